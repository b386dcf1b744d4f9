"""The verbs of the store: storage, verify, gc."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.context import AsJson, opened, operator, run
from mirror.cli.output import human_size, print_json, print_line, print_note

if TYPE_CHECKING:
    from mirror.service.storage import CleanReport


def storage(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Say how full the store is."""
    with opened(ctx) as mirror:
        state = mirror.storage.state()
    if as_json:
        print_json(state)
        return
    print_line(
        f"{state.blobs} blobs, {human_size(state.bytes)}, "
        f"as counted at {state.counted:%Y-%m-%d %H:%M:%S} UTC"
    )
    print_line(f"{human_size(state.free)} free; a sync leaves {human_size(state.min_free)}")
    print_line(f"{len(state.snapshots)} snapshots, {state.channels} channels")


def verify(
    ctx: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch what is damaged again, or derive it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every blob that a snapshot names, and compare it with its digest.

    Exit status: 0 all is well (again); 4 something is damaged.
    """
    from mirror.cli.progress import show_progress

    with opened(ctx) as mirror, show_progress() as emit:
        report = run(mirror.storage.verify(repair=repair, emit=emit))
    if as_json:
        print_json(report)
    else:
        print_line(f"read {report.blobs} blobs, {human_size(report.bytes)}")
        for damage in report.damaged:
            mended = "repaired" if damage.sha256 in report.repaired else damage.problem
            print_line(f"{mended}: {damage.path} (blob {damage.sha256})")
        if report.damaged and not repair:
            print_note("run `mirror verify --repair` to fetch them again")
        for problem in report.problems:
            print_note(f"{problem.what} [{problem.code}]")
            print_note(f"  {problem.remedy}")
        if repair and len(report.beyond) > len(report.problems):
            print_note(
                "what is still damaged could not be had from its source; if it is our own "
                "metadata, point the channel at another snapshot and sync again"
            )
    raise typer.Exit(report.exit_status)


def gc(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go and why, and delete nothing.")
    ] = False,
    grace: Annotated[
        float | None, typer.Option(help="Hours that unneeded files stay [store.grace].", min=0)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Drop the snapshots that retention lets go, and the files that no snapshot needs."""
    with opened(ctx) as mirror:
        chosen = None if grace is None else timedelta(hours=grace)
        report = mirror.storage.gc(grace=chosen, dry_run=dry_run, by=operator())
    if as_json:
        print_json(report)
        return
    _print_report(report)


def _print_report(report: CleanReport) -> None:
    for fate in report.snapshots:
        verb = ("would go" if report.dry_run else "gone") if fate.goes else "stays"
        print_line(f"{verb}: snapshot {fate.snapshot}: {fate.why}")
    for why, (count, size) in _by_reason(report).items():
        print_line(f"{count} blobs, {human_size(size)}: {why}")
    for each in report.dropped:
        if each.kind != "blob":
            print_line(f"{each.name}, {human_size(each.bytes)}: {each.why}")
    verb = "would delete" if report.dry_run else "deleted"
    print_line(
        f"{verb} {report.removed} snapshots, {report.blobs} blobs and {report.strays} unfinished "
        f"files: {human_size(report.bytes + report.stray_bytes)}"
    )
    print_line(
        f"{report.kept} blobs ({human_size(report.kept_bytes)}) are in use; "
        f"{report.young} ({human_size(report.young_bytes)}) are not, and wait for their grace"
    )


def _by_reason(report: CleanReport) -> dict[str, tuple[int, int]]:
    """Count the blobs that go, and their bytes, by the reason."""
    reasons: dict[str, tuple[int, int]] = {}
    for each in report.dropped:
        if each.kind == "blob":
            count, size = reasons.get(each.why, (0, 0))
            reasons[each.why] = (count + 1, size + each.bytes)
    return reasons
