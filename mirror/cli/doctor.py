"""`mirror doctor`: whether all is well, and what a MAAS would make of this mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.context import AsJson, Globals, run
from mirror.cli.output import print_json, print_line
from mirror.errors import MirrorError

if TYPE_CHECKING:
    from mirror.doctor.report import Generation, Report


def doctor(
    ctx: typer.Context,
    url: Annotated[
        str, typer.Option(help="Where clients reach the server, as http://mirror:8080.")
    ] = "",
    channel: Annotated[str, typer.Option(help="The channel to look at [sync.channel].")] = "",
    as_json: AsJson = False,
) -> None:
    """Look at everything, and say what a MAAS of each generation would see here.

    Exit status: 0 all is well, or there are warnings only; 1 there is a problem.
    """
    report = _examine(ctx.obj, url, channel)
    if as_json:
        print_json(report)
    else:
        _print(report)
    raise typer.Exit(report.exit_status)


def _examine(options: Globals, url: str, channel: str) -> Report:
    from mirror.doctor.examine import examine, not_opened
    from mirror.service import Mirror

    settings = options.settings()
    try:
        mirror = Mirror.open(settings)
    except MirrorError as error:
        return not_opened(error)
    with mirror:
        return run(examine(mirror, url=url, channel=channel))


def _print(report: Report) -> None:
    for check in report.checks:
        print_line(f"{check.state.value.upper():8} {check.name}: {check.what}")
        if check.remedy and check.state.value != "ok":
            print_line(f"{'':8}   -> {check.remedy}")
    for seen in report.maas:
        _print_generation(report.channel, seen)


def _print_generation(channel: str, seen: Generation) -> None:
    print_line(f"\nMAAS {seen.maas}, pointed at channel {channel}:")
    for why in seen.fails:
        print_line(f"  would fail: {why}")
    for image in seen.offered:
        newest = ", ".join(f"{arch} {version}" for arch, version in image.versions.items())
        print_line(f"  {image.os}/{image.release} ({image.title}): {newest}")
    for arch in seen.arches:
        releases = ", ".join(arch.commissioning) or "none"
        loaders = ", ".join(arch.bootloaders) or "none"
        print_line(f"  {arch.arch}: to commission with: {releases}; bootloaders: {loaders}")
    for each in seen.ignored:
        print_line(f"  ignores {each.product}: {each.why}")
    for command in seen.commands:
        print_line(f"    {command}")
