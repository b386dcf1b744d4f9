"""`mirror catalog`: the file with all that the operator decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.context import AsJson, opened, operator
from mirror.cli.output import human_size, print_json, print_line, print_note, print_table

if TYPE_CHECKING:
    from mirror.service.rebuild import RebuildReport

app = typer.Typer(
    help="The catalogue: look at it, back it up, rebuild it when it is lost.", no_args_is_help=True
)


@app.command()
def show(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Say whether the catalogue is whole, and what is in it.

    Exit status: 0 it is whole; 4 it is damaged.
    """
    from mirror.service.catalog_file import inspect

    with opened(ctx) as mirror:
        state = inspect(mirror.dir)
    if as_json:
        print_json(state)
    else:
        print_line(f"{state.file}, {human_size(state.bytes)}: {state.problem or 'whole'}")
        if state.rows:
            print_table(
                ("TABLE", "ROWS"), [(name, str(count)) for name, count in state.rows.items()]
            )
    raise typer.Exit(4 if state.problem else 0)


@app.command()
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The copy; one that is there is replaced.")],
) -> None:
    """Write a copy of the catalogue, of one instant, also while the mirror runs."""
    from mirror.service.catalog_file import back_up

    with opened(ctx) as mirror:
        size = back_up(mirror.dir, file)
    print_note(f"wrote {file}, {human_size(size)}")


@app.command()
def rebuild(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would come back, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new catalogue of what snapshots and channels tell, and say what they don't.

    For a catalogue that is lost or damaged; the old file is moved aside. Stop `mirror serve` first.
    """
    from mirror.service.rebuild import rebuild as rebuild_catalog

    with opened(ctx) as mirror:
        report = rebuild_catalog(mirror, dry_run=dry_run, by=operator())
    if as_json:
        print_json(report)
        return
    print_report(report)
    if not dry_run:
        print_note(
            "next: mirror source list; mirror select list; mirror sync --dry-run; then, if that "
            "is right, mirror schedule set --on"
        )


def print_report(report: RebuildReport) -> None:
    """Show what came back, and what did not."""
    if report.aside:
        print_line(f"the old file is {report.aside} now")
    for source in report.sources:
        state = "" if source.enabled else " (disabled: its key is not on this machine)"
        print_line(f"+ source {source.name}: {source.url}{state}")
    for each in report.selections:
        about = " ".join(
            word for word in (each.os, each.release, *each.arches, *each.subarches) if word
        )
        print_line(f"+ selection: {about} from {each.source}, {each.keep} versions")
    for image in report.images:
        held = ", ".join(each.name for each in image.versions)
        print_line(f"custom image {image.declaration.name}: {held}")
    for hold in report.holds:
        print_line(f"+ channel {hold.channel} is held: {hold.reason}")
    for name in report.keyless:
        key = next(each.fingerprints[0] for each in report.sources if each.name == name)
        print_line(f"to do: mirror source set {name} --keyring FILE   (with the key {key})")
        print_line(f"       mirror source enable {name}")
    for name in report.gone:
        print_line(f"not brought back: source {name}: nothing published is from it")
    for note in report.notes:
        print_line(f"note: {note}")
    for what in report.lost:
        print_line(f"lost: {what}")
