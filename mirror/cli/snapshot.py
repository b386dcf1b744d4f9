"""`mirror snapshot`: what was published, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.context import AsJson, opened, operator, run
from mirror.cli.findings import (
    InFull,
    finding_text,
    point_to_findings,
    print_findings,
    tally,
)
from mirror.cli.output import (
    human_size,
    print_json,
    print_line,
    print_note,
    print_table,
)

if TYPE_CHECKING:
    from mirror.publish.diff import ProductDiff, SnapshotDiff
    from mirror.publish.packages import PackageDiff
    from mirror.service.snapshots import SnapshotContents, SnapshotSummary

app = typer.Typer(help="Snapshots: what was published.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="A snapshot, or a channel.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    unique: Annotated[
        bool, typer.Option("--unique", help="Tell what only this snapshot needs (slower).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the snapshots, oldest first, with the channels that publish or still answer for them."""
    with opened(ctx) as mirror:
        snapshots = mirror.snapshots.list(unique=unique)
    if as_json:
        print_json(snapshots)
        return
    headings = ["SNAPSHOT", "AGE", "FILES", "SIZE", *(["UNIQUE"] if unique else []), "CHANNELS"]
    print_table(headings, [_row(each, unique=unique) for each in snapshots])
    for each in snapshots:
        if each.problem:
            print_line(f"{each.id}: {each.problem}")


def _row(each: SnapshotSummary, *, unique: bool) -> list[str]:
    former = [f"({name})" for name in each.answering if name not in each.channels]
    row = [each.id, _age(each), str(each.files), human_size(each.bytes)]
    if unique:
        row.append("-" if each.unique is None else human_size(each.unique))
    return [*row, " ".join([*each.channels, *former])]


def _age(each: SnapshotSummary) -> str:
    from mirror.model import utcnow

    hours = (utcnow() - each.updated).total_seconds() / 3600
    if hours < 1:
        return f"{max(0, hours * 60):.0f} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"


@app.command()
def show(
    ctx: typer.Context, snapshot: Name, in_full: InFull = False, as_json: AsJson = False
) -> None:
    """Show the images of a snapshot, and what plugins found in them."""
    with opened(ctx) as mirror:
        contents = mirror.snapshots.show(snapshot)
    if as_json:
        print_json(contents)
        return
    print_line(f"snapshot {contents.id}, published {contents.updated:%Y-%m-%d %H:%M:%S} UTC")
    print_table(
        ("PRODUCT", "VERSION", "ITEM", "SIZE", "SHA256", "FINDINGS", "PATH"), _items(contents)
    )
    for product, said in sorted(contents.notes.items()):
        for note in said:
            print_line(f"note: {product}: {note}")
    if in_full:
        from mirror.model import VersionFindings

        print_findings(
            VersionFindings(each.product, each.version, each.findings) for each in contents.versions
        )
    else:
        point_to_findings(each.findings for each in contents.versions)


def _items(contents: SnapshotContents) -> list[tuple[str, ...]]:
    """Return a row for each item; what was found in a version is in the row of its first."""
    found = {
        (each.product, each.version): tally(each.findings, each.judge) for each in contents.versions
    }
    return [
        (
            item.product,
            item.version,
            item.item,
            human_size(item.size),
            item.sha256[:12],
            found.pop((item.product, item.version), ""),
            item.path,
        )
        for item in contents.items
    ]


@app.command()
def diff(
    ctx: typer.Context,
    old: Annotated[str, typer.Argument(help="A snapshot, or a channel.")],
    new: Annotated[str, typer.Argument(help="Another one.")],
    packages: Annotated[
        bool, typer.Option("--packages", help="Compare the packages of what changed, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show which products, versions and files differ between two snapshots."""
    with opened(ctx) as mirror:
        found = run(mirror.snapshots.diff(old, new, packages=packages))
    if as_json:
        print_json(found)
        return
    print_diff(found)


def print_diff(found: SnapshotDiff) -> None:
    """Show a difference: + came, - went, ~ changed."""
    for product in found.products:
        sign = {"added": "+", "removed": "-"}.get(product.change, "~")
        print_line(f"{sign} {product.product}")
        _print_product(product)
    print_line(
        f"{len(found.products)} products differ, {found.same} are the same; "
        f"+{human_size(found.bytes_added)}, -{human_size(found.bytes_removed)}"
    )


def _print_product(product: ProductDiff) -> None:
    for sign, versions in (("+", product.added), ("-", product.removed)):
        for each in versions:
            print_line(f"    {sign} {each.version}  {human_size(each.bytes)}")
            for finding in each.findings if sign == "+" else ():
                print_line(f"        {finding_text(finding)}")
    for item in product.items:
        sizes = f"{human_size(item.old_bytes)} -> {human_size(item.new_bytes)}"
        print_line(f"    ~ {item.version} {item.item}: {sizes}")
    if product.attributes:
        print_line(f"    ~ {', '.join(product.attributes)}")
    if product.source:
        print_line(f"    ~ from boot source {product.source[1]}, was {product.source[0]}")
    if product.packages_problem:
        print_line(f"    packages: {product.packages_problem}")
    if product.packages:
        print_packages(product.packages, indent="      ")


@app.command()
def packages(
    ctx: typer.Context,
    product: Annotated[
        str, typer.Argument(help="Its name, or filters: noble, 'release=noble arch=amd64'.")
    ],
    old: Annotated[str, typer.Argument(metavar="VERSION1")],
    new: Annotated[str, typer.Argument(metavar="VERSION2")],
    as_json: AsJson = False,
) -> None:
    """Show which packages differ between two versions of an image, as its plugin lists them."""
    with opened(ctx) as mirror:
        found = run(mirror.snapshots.packages(product, old, new))
    if as_json:
        print_json(found)
        return
    print_packages(found)


def print_packages(found: PackageDiff, indent: str = "") -> None:
    """Show a difference of packages: + came, - went, ~ changed."""
    for sign, some in (("+", found.added), ("-", found.removed)):
        for each in some:
            print_line(f"{indent}{sign} {each.name} {each.version}")
    for change in found.changed:
        print_line(f"{indent}~ {change.name} {change.old} -> {change.new}")
    print_line(
        f"{indent}{found.old} -> {found.new}: {len(found.added)} packages added, "
        f"{len(found.removed)} removed, {len(found.changed)} changed, {found.same} the same"
    )


@app.command()
def verify(ctx: typer.Context, snapshot: Name, as_json: AsJson = False) -> None:
    """Read every file of one snapshot, and compare it with its digest.

    Exit status: 0 all is well; 4 something is damaged.
    """
    from mirror.cli.progress import show_progress

    with opened(ctx) as mirror, show_progress() as emit:
        report = run(mirror.snapshots.verify(snapshot, emit))
    if as_json:
        print_json(report)
    else:
        print_line(f"read {report.blobs} blobs, {human_size(report.bytes)}")
        for damage in report.damaged:
            print_line(f"{damage.problem}: {damage.path} (blob {damage.sha256})")
        if report.damaged:
            print_note("run `mirror verify --repair` to fetch them again")
    raise typer.Exit(report.exit_status)


@app.command()
def remove(ctx: typer.Context, snapshot: str) -> None:
    """Remove a snapshot that no channel answers for; `mirror gc` then frees its blobs."""
    with opened(ctx) as mirror:
        mirror.snapshots.remove(snapshot, by=operator())
