"""`mirror image add`, `build` and `lint`: a file that is to become an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, Unpack

import typer

from mirror.cli.context import AsJson, Globals, opened, operator, run
from mirror.cli.findings import finding_text, tally
from mirror.cli.output import human_size, print_json, print_line, print_note
from mirror.cli.spread import spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mirror.images.declaration import Wanted
    from mirror.intake.build import BuiltFile
    from mirror.intake.order import Building, Taken, TakeOrder
    from mirror.model import Finding
    from mirror.service import Mirror

File = Annotated[Path, typer.Argument(help="The file.", metavar="FILE")]
Keep = Annotated[int, typer.Option(help="Versions to hold [images.keep].", min=0)]
Publish = Annotated[
    bool, typer.Option("--publish/--no-publish", help="Publish at once, or with the next sync.")
]

ANY_ARCH = "amd64/generic"


class Said(TypedDict):
    """What an operator says of a file."""

    name: Annotated[
        str, typer.Option(help="Needed; as in MAAS: windows/win2022; rocky-9 is custom.")
    ]
    arch: Annotated[str | None, typer.Option(help="ARCH/SUBARCH.", show_default=ANY_ARCH)]
    type: Annotated[
        str | None,
        typer.Option(help="MAAS's: tgz, ddgz, root-tgz ...; auto: found.", show_default="auto"),
    ]
    title: Annotated[str | None, typer.Option(help="What people see.")]
    base_image: Annotated[
        str | None, typer.Option(help="Of custom only: ubuntu/jammy, rhel/9.", metavar="OS/RELEASE")
    ]
    licence: Annotated[
        str | None, typer.Option(help="free, subscription, proprietary.", show_default="by os")
    ]
    accept: Annotated[
        list[str] | None,
        typer.Option(help="Take on the errors of this code; repeatable.", metavar="CODE"),
    ]


@spread
def add(
    ctx: typer.Context,
    file: File,
    *,
    sha256: Annotated[str, typer.Option(help="What its digest is to be.")] = "",
    size: Annotated[int | None, typer.Option(help="How many bytes it is to have.", min=0)] = None,
    keep: Keep = 0,
    publish: Publish = True,
    as_json: AsJson = False,
    **said: Unpack[Said],
) -> None:
    """Take an image in: identify it, look into it, keep it as a new version, publish it.

    Exit status: 0 done; 1 the image is refused; 2 its name is, or wrong usage; 3 taken in, but not
    published; 4 not the file that it was said to be.
    """
    from msgspec.structs import replace

    with opened(ctx) as mirror:
        order = _order(mirror, file, said, keep=keep, publish=publish)
        _take(mirror, replace(order, sha256=sha256, size=size), as_json=as_json)


@spread
def build(
    ctx: typer.Context,
    file: File,
    *,
    hooks: Annotated[Path | None, typer.Option(help="Directory of curtin hooks to put in.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="For the plugin: shrink=yes; repeatable.", metavar="NAME=VALUE"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the image to this file, over one that is there.")
    ] = None,
    take: Annotated[
        bool | None, typer.Option("--add/--no-add", help="Take it in [unless --output].")
    ] = None,
    keep: Keep = 0,
    publish: Publish = True,
    as_json: AsJson = False,
    **said: Unpack[Said],
) -> None:
    """Make an image of a disk or an archive: take it in, as `add` does, or write it to a file.

    docs/custom-images.md has the options. Exit status: as of `add`; 1 also if it can't be built.
    """
    from msgspec.structs import replace

    from mirror.errors import UsageProblem
    from mirror.intake.order import Building

    building = Building(
        hooks=str(hooks.absolute()) if hooks else "", options=_options(option or ())
    )
    if output is None:
        if take is False:
            raise UsageProblem(
                "with --no-add, the image goes nowhere", remedy="Name a file for it: --output FILE."
            )
        with opened(ctx) as mirror:
            order = _order(mirror, file, said, keep=keep, publish=publish)
            _take(mirror, replace(order, building=building), as_json=as_json)
        return
    _check_output(output, file)
    built = _build_to(ctx, output, _unfilled(file, said, building))
    if not take:
        if as_json:
            print_json(built)
        else:
            _print_built(built)
        return
    with opened(ctx) as mirror:
        order = _order(mirror, output, said, keep=keep, publish=publish)
        _take(mirror, replace(order, made_from=built.made_from), as_json=as_json)


@spread
def lint(
    ctx: typer.Context,
    file: File,
    *,
    as_json: AsJson = False,
    **said: Unpack[Said],
) -> None:
    """Say what is wrong with an image; no mirror is needed.

    Exit status: 0 good, if only with warnings; 1 it can't be taken in; 2 wrong usage.
    """
    from mirror.intake.lint import lint_image
    from mirror.plugin_manager import load_configured

    options: Globals = ctx.obj
    settings = options.settings()
    report = run(
        lint_image(
            file,
            _wanted(said),
            settings=settings,
            plugins=load_configured(settings.plugins),
            accepted=tuple(said["accept"] or ()),
        )
    )
    if as_json:
        print_json(report)
    else:
        _print_findings(report.findings)
        about = report.declaration
        kind = f", {about.ftype}" if about.ftype else ""
        verdict = "can be taken in" if report.good else "can't be taken in"
        counts = f" ({tally(report.findings, 'lint')})" if report.findings else ""
        print_line(f"{report.file}{kind}: {verdict} as {about.name}{counts}")
    _point_to_unused(said["accept"] or (), report.findings)
    raise typer.Exit(0 if report.good else 1)


# --- how ------------------------------------------------------------------------------------------


def _wanted(said: Mapping[str, Any]) -> Wanted:
    """Return what was said of a file on the command line."""
    from mirror.errors import UsageProblem
    from mirror.images.declaration import Wanted
    from mirror.intake.look import read_type
    from mirror.service.custom_images import read_licence

    if not said["name"]:
        raise UsageProblem(
            "an image needs a name", remedy="Give one as MAAS has it: --name rhel/9."
        )
    return Wanted(
        name=said["name"],
        arch=said["arch"] or ANY_ARCH,
        ftype=read_type(said["type"] or ""),
        title=said["title"] or "",
        base_image=said["base_image"] or "",
        licence=read_licence(said["licence"] or ""),
    )


def _order(
    mirror: Mirror, file: Path, said: Mapping[str, Any], *, keep: int, publish: bool
) -> TakeOrder:
    from mirror.intake.order import TakeOrder

    return TakeOrder(
        file=str(file.absolute()),
        wanted=_wanted(said),
        channel=mirror.settings.sync.channel,
        by=operator(),
        keep=keep,
        accept=tuple(said["accept"] or ()),
        publish=publish,
    )


def _take(mirror: Mirror, order: TakeOrder, *, as_json: bool) -> None:
    """Take an image in, show what came of it, and end with its exit status."""
    from mirror.cli.progress import show_progress

    with show_progress() as emit:
        taken = run(mirror.custom_images.take(order, emit))
    if as_json:
        print_json(taken)
    else:
        _print_taken(taken)
        _say_who_sees(mirror, taken)
    _point_to_unused(order.accept, taken.version.findings)
    raise typer.Exit(taken.exit_status)


def _print_taken(taken: Taken) -> None:
    version = taken.version
    new = "+" if taken.is_new else "already there:"
    print_line(f"{new} {taken.product} {version.name}")
    print_line(f"{version.root.ftype}, {human_size(version.root.size)}, {version.root.sha256}")
    _print_findings(version.findings)
    published = taken.published
    if published is None:
        print_note("it is published with the next sync")
    elif published.status == "held":
        print_line(f"{published.channel} is held at {published.snapshot}: not published yet")
    else:
        print_line(f"{published.channel} is at {published.snapshot}")
        for each in published.left_out:
            print_line(f"left out: {each.about}: {each.what} [{each.code}]\n  {each.remedy}")


def _say_who_sees(mirror: Mirror, taken: Taken) -> None:
    """Say what is still to be done before a MAAS can deploy what was taken in."""
    from mirror.model import Licence

    about, channel = taken.declaration, mirror.settings.sync.channel
    push = f"mirror image push {about.name} --maas URL --key-file FILE"
    if about.licence is not Licence.FREE:
        allowed = mirror.store.channels.licences(channel)
        more = (
            "" if about.licence in allowed else f": mirror channel allow {channel} {about.licence}"
        )
        print_note(
            f"its licence is {about.licence}: only tokens that have it see the image"
            + (f", once {channel} allows it{more}" if more else "")
        )
    if about.os == "custom":
        print_note(f"MAAS deploys images of custom only where they were pushed to it: {push}")
    elif about.ftype != "root-tgz":
        print_note(f"MAAS 3.7 and newer has disk images only where they were pushed to it: {push}")


def _point_to_unused(accepted: Iterable[str], findings: Iterable[Finding]) -> None:
    """Say which codes were accepted for nothing: they may be mistyped."""
    for code in sorted(set(accepted) - {each.code for each in findings}):
        print_note(f"--accept {code}: nothing of that code was found")


def _print_findings(findings: Iterable[Finding]) -> None:
    """Print findings, the gravest first."""
    from mirror.model import Severity

    order = list(Severity)
    for each in sorted(findings, key=lambda finding: order.index(finding.severity)):
        print_line(finding_text(each))


def _options(words: Sequence[str]) -> dict[str, str]:
    from mirror.errors import UsageProblem

    bad = [word for word in words if "=" not in word]
    if bad:
        raise UsageProblem(f"an option is NAME=VALUE, not {bad[0]!r}")
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _unfilled(file: Path, said: Mapping[str, Any], building: Building) -> TakeOrder:
    """Return an order that is for no mirror."""
    from mirror.intake.order import TakeOrder

    return TakeOrder(file=str(file.absolute()), wanted=_wanted(said), building=building)


def _check_output(output: Path, file: Path) -> None:
    """Refuse a place that nothing can be written to, before the work is done."""
    from mirror.errors import UsageProblem

    if not output.absolute().parent.is_dir() or output.is_dir():
        raise UsageProblem(
            f"{output} is no file in a directory that there is",
            remedy="Name a file in one: --output FILE.",
        )
    if file.exists() and output.exists() and output.samefile(file):
        raise UsageProblem(
            f"{output} is what the image is made of", remedy="Name another file: --output FILE."
        )


def _build_to(ctx: typer.Context, output: Path, order: TakeOrder) -> BuiltFile:
    """Make an image without a mirror."""
    from mirror.cli.progress import show_progress
    from mirror.intake.build import build_to
    from mirror.plugin_manager import load_configured

    options: Globals = ctx.obj
    settings = options.settings()
    plugins = load_configured(settings.plugins)
    with show_progress() as emit:
        return run(
            build_to(output.absolute(), order, settings=settings, plugins=plugins, emit=emit)
        )


def _print_built(built: BuiltFile) -> None:
    _print_findings(built.findings)
    print_line(f"{built.file}: {built.ftype}, {human_size(built.size)}, {built.sha256}")
