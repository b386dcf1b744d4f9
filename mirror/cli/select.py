"""`mirror select`: what to take from the boot sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypedDict, Unpack

import typer

from mirror.cli.context import AsJson, PageAfter, PageLimit, opened, operator, run
from mirror.cli.findings import InFull, point_to_findings, print_findings, tally
from mirror.cli.output import human_size, print_json, print_line, print_note, print_table
from mirror.cli.spread import spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.model import AvailableImage, Selection
    from mirror.service import Mirror
    from mirror.sync.look import SelectionPreview

app = typer.Typer(help="Selections: what to take.", no_args_is_help=True)
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what it would fetch; change nothing.")
]


class Conditions(TypedDict):
    """What a selection says; what is not given stays as it is, or as its default has it."""

    filters: Annotated[
        list[str] | None, typer.Argument(help="Simplestreams filters: 'release~(jammy|noble)'.")
    ]
    os: Annotated[str | None, typer.Option("--os", help="As in MAAS: ubuntu; `*`: any.")]
    release: Annotated[str | None, typer.Option(help="noble; `*`: any.")]
    arch: Annotated[list[str] | None, typer.Option(help="amd64; repeatable.")]
    subarch: Annotated[
        list[str] | None,
        typer.Option(help="Kernel: ga-22.04, 'hwe-*', '*-edge', '*-lowlatency'; repeatable."),
    ]
    label: Annotated[list[str] | None, typer.Option(help="stable, candidate; repeatable.")]
    source: Annotated[str | None, typer.Option(help="Of this boot source only; '': of any.")]
    keep: Annotated[int | None, typer.Option(help="Versions of each product to hold.", min=1)]
    bootloaders: Annotated[
        bool | None,
        typer.Option("--bootloaders/--no-bootloaders", help="Let the bootloaders come along."),
    ]


@app.command()
@spread
def add(
    ctx: typer.Context,
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    **options: Unpack[Conditions],
) -> None:
    """Add a selection, and show what it would fetch. All conditions must pass."""
    from mirror.model import Selection

    given = _given(options)
    with opened(ctx) as mirror:
        wanted = Selection(0, **given)
        seen, problem = _look(mirror, wanted, may_fail=not dry_run)
        added = wanted if dry_run else mirror.selections.add(wanted, by=operator())
    _show_change(added, seen, problem, dry_run=dry_run, as_json=as_json)


@app.command("set")
@spread
def set_(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="Its id.")],
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    **options: Unpack[Conditions],
) -> None:
    """Change what is given of a selection, and show what that would fetch; '' is no condition."""
    import msgspec

    given = _given(options)
    with opened(ctx) as mirror:
        wanted = msgspec.structs.replace(mirror.selections.get(number), **given)
        seen, problem = _look(mirror, wanted, may_fail=not dry_run)
        changed = wanted if dry_run else mirror.selections.update(wanted, by=operator())
    _show_change(changed, seen, problem, dry_run=dry_run, as_json=as_json)


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the selections."""
    with opened(ctx) as mirror:
        selections = mirror.selections.list()
    if as_json:
        print_json(selections)
        return
    print_table(
        ("ID", "SOURCE", "KEEP", "TAKES"),
        [
            (str(each.id), each.source or "any", str(each.keep), " ".join(_words(each)))
            for each in selections
        ],
    )


@app.command()
def show(ctx: typer.Context, number: int, as_json: AsJson = False) -> None:
    """Show a selection."""
    import msgspec

    with opened(ctx) as mirror:
        selection = mirror.selections.get(number)
    if as_json:
        print_json(selection)
        return
    for name, value in msgspec.to_builtins(selection).items():
        if isinstance(value, bool):
            shown = "yes" if value else "no"
        elif isinstance(value, list | tuple):
            shown = " ".join(value)
        else:
            shown = str(value)
        print_line(f"{name}: {shown or ('none' if name == 'filters' else 'any')}")


@app.command()
def remove(ctx: typer.Context, number: int) -> None:
    """Remove a selection; its images leave with the next sync."""
    with opened(ctx) as mirror:
        mirror.selections.remove(number, by=operator())
    print_note("its images leave with the next sync; see which: mirror sync --dry-run")


@app.command()
def available(
    ctx: typer.Context,
    source: Annotated[str, typer.Option(help="Of this boot source.")] = "",
    os: Annotated[str, typer.Option("--os", help="ubuntu")] = "",
    release: Annotated[str, typer.Option(help="noble")] = "",
    arch: Annotated[str, typer.Option(help="amd64")] = "",
    subarch: Annotated[str, typer.Option(help="Kernel: ga-24.04")] = "",
    label: Annotated[str, typer.Option(help="stable")] = "",
    refresh: Annotated[bool, typer.Option("--refresh", help="Read the sources first.")] = False,
    limit: PageLimit = 1000,
    after: PageAfter = "",
    in_full: InFull = False,
    as_json: AsJson = False,
) -> None:
    """List what the boot sources offer, whether it is taken, why not, and what was found in it."""
    from mirror.cli.progress import show_progress

    chosen = {
        "source": source,
        "os": os,
        "release": release,
        "arch": arch,
        "subarch": subarch,
        "label": label,
    }
    with opened(ctx) as mirror:
        if refresh:
            with show_progress() as emit:
                failed = run(mirror.images.refresh(emit))
            for each in failed:
                print_note(f"source {each.about}: {each.what} [{each.code}]\n  {each.remedy}")
        if as_json:
            print_json(mirror.images.available(**chosen, after=after, limit=limit))
            return
        images = _all_available(mirror, chosen)
    print_table(
        (
            *("OS", "RELEASE", "ARCH", "SUBARCH", "LABEL", "VERSION", "SIZE", "SOURCE"),
            *("FINDINGS", "TAKEN"),
        ),
        [_row(each) for each in images],
    )
    if in_full:
        from mirror.model import VersionFindings

        print_findings(
            VersionFindings(each.product, each.version, each.findings) for each in images
        )
    else:
        point_to_findings(each.findings for each in images)
    if not images:
        print_note("nothing like that is known; read the sources with --refresh")


_LISTS = {"filters": "filters", "arch": "arches", "subarch": "subarches", "label": "labels"}


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given on the command line, as fields of a selection."""
    given: dict[str, Any] = {}
    for name, value in options.items():
        if name not in _LISTS and value is not None:
            given[name] = value
        elif value:
            given[_LISTS[name]] = tuple(value)
    return given


def _look(
    mirror: Mirror, wanted: Selection, *, may_fail: bool
) -> tuple[SelectionPreview | None, str]:
    """Return what the selection would bring, or why that can't be said."""
    from mirror.cli.progress import show_progress
    from mirror.errors import MirrorError, UsageProblem

    try:
        with show_progress() as emit:
            return run(mirror.selections.preview(wanted, emit)), ""
    except UsageProblem:
        if mirror.sources.list() or not may_fail:
            raise
        return None, "there is no boot source yet (`mirror source add`)"
    except MirrorError as error:
        if not may_fail:
            raise
        return None, error.what


def _show_change(
    selection: Selection,
    seen: SelectionPreview | None,
    problem: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    if as_json:
        print_json({"selection": selection, "preview": seen, "problem": problem or None})
        return
    if seen is not None:
        for version in seen.added:
            print_line(f"+ {version}")
        for version in seen.dropped:
            print_line(f"- {version}")
        print_line(f"would fetch {seen.files} files, {human_size(seen.bytes)} more")
        for each in seen.sources:
            print_line(f"not counted: {each.about}: {each.what} [{each.code}]\n  {each.remedy}")
    if problem:
        print_note(f"what it would fetch can't be said: {problem}")
    if not dry_run:
        print_note(f"selection {selection.id} is set; next: mirror sync --dry-run")


def _words(selection: Selection) -> list[str]:
    """Write the conditions as filters are written."""
    fields = {
        "os": (selection.os,),
        "release": (selection.release,),
        "arch": selection.arches,
        "subarch": selection.subarches,
        "label": selection.labels,
    }
    words = [f"{key}={','.join(values)}" for key, values in fields.items() if any(values)]
    return [*words, *selection.filters, *([] if selection.bootloaders else ["no bootloaders"])]


def _all_available(mirror: Mirror, chosen: dict[str, str]) -> list[AvailableImage]:
    images: list[AvailableImage] = []
    after = ""
    while True:
        page = mirror.images.available(**chosen, after=after, limit=1000)
        images += page.items
        after = page.next
        if not after:
            return images


def _row(image: AvailableImage) -> tuple[str, ...]:
    taken = "yes" if image.taken else "no"
    return (
        image.os,
        image.release or "-",
        image.arch,
        image.subarch or "-",
        image.label or "-",
        image.version,
        human_size(image.bytes),
        image.source,
        tally(image.findings, image.judge),
        f"{taken}: {image.reason}" if image.reason else taken,
    )
