"""`mirror snapshot`: what was published, and when."""

from __future__ import annotations

import typer

from mirror.cli.context import AsJson, opened, operator
from mirror.cli.output import human_size, print_json, print_line, print_table

app = typer.Typer(help="Snapshots: what was published.", no_args_is_help=True)


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the snapshots, oldest first, with the channels that point at them."""
    with opened(ctx) as mirror:
        snapshots = mirror.snapshots.list()
    if as_json:
        print_json(snapshots)
        return
    print_table(
        ("SNAPSHOT", "FILES", "SIZE", "CHANNELS"),
        [
            (each.id, str(each.files), human_size(each.bytes), " ".join(each.channels))
            for each in snapshots
        ],
    )


@app.command()
def show(ctx: typer.Context, snapshot: str, as_json: AsJson = False) -> None:
    """Show the images of a snapshot (an id, or the name of a channel)."""
    with opened(ctx) as mirror:
        contents = mirror.snapshots.show(snapshot)
    if as_json:
        print_json(contents)
        return
    print_line(f"snapshot {contents.id}, published {contents.updated:%Y-%m-%d %H:%M:%S} UTC")
    rows = [
        (item.product, item.version, item.item, human_size(item.size), item.sha256[:12], item.path)
        for item in contents.items
    ]
    print_table(("PRODUCT", "VERSION", "ITEM", "SIZE", "SHA256", "PATH"), rows)
    for product, said in sorted(contents.notes.items()):
        for note in said:
            print_line(f"note: {product}: {note}")


@app.command()
def remove(ctx: typer.Context, snapshot: str) -> None:
    """Remove a snapshot that no channel points at; `mirror gc` then frees its blobs."""
    with opened(ctx) as mirror:
        mirror.snapshots.remove(snapshot, by=operator())
