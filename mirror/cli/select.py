"""`mirror select`: what to take from the boot sources."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror.cli.context import AsJson, opened, operator
from mirror.cli.output import print_json, print_note, print_table

app = typer.Typer(help="Selections: what to take.", no_args_is_help=True)


@app.command()
def add(
    ctx: typer.Context,
    filters: Annotated[
        list[str], typer.Argument(help="Simplestreams filters; all must pass: arch=amd64")
    ],
    source: Annotated[str, typer.Option(help="Of this boot source only.")] = "",
    keep: Annotated[int, typer.Option(help="Versions of each product to hold.", min=1)] = 2,
) -> None:
    """Add a selection. Bootloaders come along by themselves."""
    from mirror.model import Selection

    with opened(ctx) as mirror:
        selection = mirror.selections.add(
            Selection(0, tuple(filters), source=source, keep=keep), by=operator()
        )
    print_note(f"added selection {selection.id}; next: mirror sync --dry-run")


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the selections."""
    with opened(ctx) as mirror:
        selections = mirror.selections.list()
    if as_json:
        print_json(selections)
        return
    print_table(
        ("ID", "SOURCE", "KEEP", "FILTERS"),
        [
            (str(each.id), each.source or "any", str(each.keep), " ".join(each.filters))
            for each in selections
        ],
    )


@app.command()
def remove(ctx: typer.Context, number: int) -> None:
    """Remove a selection; its images leave with the next sync."""
    with opened(ctx) as mirror:
        mirror.selections.remove(number, by=operator())
