"""`mirror channel`: which snapshot each channel publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.context import AsJson, PageAfter, PageLimit, opened, operator
from mirror.cli.findings import (
    InFull,
    finding_text,
    point_to_findings,
    print_findings,
    print_notices,
    tally,
)
from mirror.cli.output import human_size, print_json, print_line, print_note, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.model import Pin
    from mirror.service.channels import ChannelState
    from mirror.sync.resources import BootResource

app = typer.Typer(help="Channels: what is published under which name.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel.")]
From = Annotated[str, typer.Argument(help="A snapshot, or the channel to copy.")]


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the channels: what each publishes, since when, and what holds it back."""
    with opened(ctx) as mirror:
        channels = mirror.channels.list()
    if as_json:
        print_json(channels)
        return
    print_table(
        ("CHANNEL", "SNAPSHOT", "UPDATED", "FILES", "SIZE", "HELD", "PINS"),
        [
            (
                each.name,
                each.snapshot,
                f"{each.updated:%Y-%m-%d %H:%M:%S}",
                str(each.files),
                human_size(each.bytes),
                "" if each.held is None else "yes",
                str(sum(1 for pin in each.pins if pin.version) or ""),
            )
            for each in channels
        ],
    )


@app.command()
def show(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Show where a channel is, what to know of its releases today, its pins and its history."""
    with opened(ctx) as mirror:
        state = mirror.channels.state(name)
        history = mirror.channels.history(name)
        notices = () if state.problem else mirror.images.notices(name)
    if as_json:
        print_json({"channel": state, "notices": notices, "history": history})
        return
    _print_state(state)
    print_notices(notices)
    print_table(
        ("AT", "SNAPSHOT", "BY", "REASON"),
        [
            (f"{each.at:%Y-%m-%d %H:%M:%S}", each.snapshot, each.by or "-", each.reason)
            for each in history
        ],
    )


@app.command()
def images(
    ctx: typer.Context,
    name: Name,
    os: Annotated[str, typer.Option("--os", help="Only this os.")] = "",
    release: Annotated[str, typer.Option(help="Only this release.")] = "",
    arch: Annotated[str, typer.Option(help="Only this architecture.")] = "",
    subarch: Annotated[str, typer.Option(help="Only this kernel.")] = "",
    label: Annotated[str, typer.Option(help="Only this label.")] = "",
    limit: PageLimit = 1000,
    after: PageAfter = "",
    in_full: InFull = False,
    as_json: AsJson = False,
) -> None:
    """List the images that a channel publishes, and what plugins found in them."""
    wanted = {"os": os, "release": release, "arch": arch, "subarch": subarch, "label": label}
    with opened(ctx) as mirror:
        if as_json:
            print_json(mirror.images.resources(name, **wanted, after=after, limit=limit))
            return
        found = list(mirror.images.each_resource(name, **wanted))
    print_table(
        ("OS", "RELEASE", "ARCH", "SUBARCH", "LABEL", "VERSION", "SIZE", "SOURCE", "FINDINGS"),
        [row for each in found for row in _image_rows(each)],
    )
    for each in found:
        for notice in each.notices if in_full else ():
            print_line(finding_text(notice, each.product))
    if in_full:
        from mirror.model import VersionFindings

        print_findings(
            VersionFindings(each.product, version.name, version.findings)
            for each in found
            for version in each.versions
        )
    else:
        point_to_findings(version.findings for each in found for version in each.versions)


def _image_rows(image: BootResource) -> list[tuple[str, ...]]:
    about = (image.os, image.release or "-", image.arch, image.subarch or "-", image.label or "-")
    return [
        (*about, each.name, human_size(each.bytes), image.source, tally(each.findings, each.judge))
        for each in reversed(image.versions)
    ]


def _print_state(state: ChannelState) -> None:
    print_line(
        f"channel {state.name} is at {state.snapshot}, of {state.updated:%Y-%m-%d %H:%M:%S} UTC: "
        f"{state.files} files, {human_size(state.bytes)}"
    )
    if state.problem:
        print_line(f"it can't be read: {state.problem}")
    if state.held is not None:
        print_line(f"held: {state.held or 'no reason was given'}")
    for pin in state.pins:
        if pin.version:
            print_line(f"pin {pin.id}: {' '.join(pin.filters)} at {pin.version}")
    if state.licences:
        print_line(f"licences that it allows: {', '.join(state.licences)}")
    pulled = f"{state.pulled:%Y-%m-%d %H:%M} UTC" if state.pulled else "not yet"
    print_line(f"last pulled: {pulled}")


@app.command()
def create(ctx: typer.Context, name: Name, snapshot: From) -> None:
    """Make a channel that publishes a snapshot, or what another channel has."""
    with opened(ctx) as mirror:
        now_at = mirror.channels.create(name, snapshot, by=operator())
    print_note(f"{name} publishes {now_at}")


@app.command()
def remove(ctx: typer.Context, name: Name) -> None:
    """Remove a channel, its history and its pins; not the one that syncs publish to."""
    with opened(ctx) as mirror:
        mirror.channels.remove(name, by=operator())
    print_note(f"{name} is gone; its snapshots stay until `mirror gc` lets them go")


Licences = Annotated[
    list[str], typer.Argument(metavar="LICENCE...", help="subscription, proprietary.")
]


@app.command()
def allow(ctx: typer.Context, name: Name, licences: Licences, as_json: AsJson = False) -> None:
    """Let a channel give images that are not free to those whose token has the licence."""
    with opened(ctx) as mirror:
        now = mirror.channels.allow(name, licences, by=operator())
    _say_licences(name, now, as_json=as_json)


@app.command()
def disallow(ctx: typer.Context, name: Name, licences: Licences, as_json: AsJson = False) -> None:
    """Let a channel give images of these licences to nobody any more."""
    with opened(ctx) as mirror:
        now = mirror.channels.disallow(name, licences, by=operator())
    _say_licences(name, now, as_json=as_json)


def _say_licences(name: str, licences: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"channel": name, "licences": licences})
    given = " and ".join(licences)
    who = f"{given} images are for tokens that have the licence" if given else "free images only"
    print_note(f"{name}: {who}")


@app.command()
def promote(ctx: typer.Context, name: Name, snapshot: From, as_json: AsJson = False) -> None:
    """Let a channel publish a snapshot, or what another channel has; its pins hold."""
    with opened(ctx) as mirror:
        now_at = mirror.channels.promote(name, snapshot, by=operator())
    _say_at(name, now_at, f"{name} now publishes {now_at}", as_json=as_json)


@app.command()
def rollback(
    ctx: typer.Context,
    name: Name,
    to: Annotated[
        str, typer.Option(metavar="SNAPSHOT", help="What to go back to [what it had before].")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Let a channel publish again what it published before, and hold it there.

    It is published under a new time, for clients refuse a stream whose time went back.
    """
    with opened(ctx) as mirror:
        now_at = mirror.channels.rollback(name, to=to, by=operator())
        pins = mirror.channels.pins(name)
    _say_at(name, now_at, f"{name} is back, as {now_at}, and held there", as_json=as_json)
    if any(pin.version for pin in pins):
        print_note("its version pins count again once it is released")
    print_note(f"no sync changes it until: mirror channel unpin {name}")


@app.command()
def hold(
    ctx: typer.Context,
    name: Name,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks later.")] = "",
    as_json: AsJson = False,
) -> None:
    """Keep a channel where it is: no sync and no promotion changes it until `unpin`."""
    with opened(ctx) as mirror:
        pin = mirror.channels.hold(name, reason, by=operator())
    if as_json:
        print_json(pin)
    print_note(f"{name} is held; release it with: mirror channel unpin {name}")


@app.command()
def pin(
    ctx: typer.Context,
    name: Name,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RELEASE|FILTER... VERSION",
            help="Which products (noble; or os=ubuntu 'release~(jammy|noble)'), and the version.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Publish only this version of some products: MAAS always takes the greatest that it sees.

    Examples: mirror channel pin stable noble 20240423
              mirror channel pin stable release=noble arch=amd64 20240423
    """
    from mirror.publish.pins import filters_of

    with opened(ctx) as mirror:
        made = mirror.channels.pin(name, filters_of(words[:-1]), words[-1], by=operator())
        now_at = mirror.channels.current(name)
    if as_json:
        print_json(made)
    print_note(f"pin {made.id}: {name} publishes {_pinned(made)} only, as {now_at}")


@app.command()
def unpin(
    ctx: typer.Context,
    name: Name,
    number: Annotated[
        int | None, typer.Argument(help="Which pin [the hold, or the only pin].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Release a channel that is held, or remove a pin. What is newer comes with the next sync."""
    with opened(ctx) as mirror:
        gone = mirror.channels.unpin(name, number, by=operator())
        left = mirror.channels.pins(name)
    if as_json:
        print_json(gone)
    _say_released(name, gone, left)


def _say_released(name: str, gone: Iterable[Pin], left: Iterable[Pin]) -> None:
    for each in gone:
        what = f"pin {each.id} ({_pinned(each)}) is gone" if each.version else "it is held no more"
        print_note(f"{name}: {what}")
    for each in left:
        print_note(f"still there: {_pinned(each) if each.version else 'the hold'}")
    print_note(f"next: mirror sync, or mirror channel promote {name} SNAPSHOT")


def _pinned(pin: Pin) -> str:
    return f"{' '.join(pin.filters)} at {pin.version}"


def _say_at(name: str, snapshot: str, words: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"channel": name, "snapshot": snapshot})
    print_note(words)
