"""`mirror channel`: which snapshot each channel publishes."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror.cli.context import AsJson, opened, operator
from mirror.cli.output import print_json, print_note, print_table

app = typer.Typer(help="Channels: what is published under which name.", no_args_is_help=True)


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the channels and the snapshots that they point at."""
    with opened(ctx) as mirror:
        channels = mirror.channels.pointers()
    if as_json:
        print_json(channels)
        return
    print_table(("CHANNEL", "SNAPSHOT"), sorted(channels.items()))


@app.command()
def show(ctx: typer.Context, name: str, as_json: AsJson = False) -> None:
    """Show the history of a channel, oldest first."""
    with opened(ctx) as mirror:
        history = mirror.channels.history(name)
    if as_json:
        print_json(history)
        return
    print_table(
        ("AT", "SNAPSHOT", "REASON"),
        [(f"{each.at:%Y-%m-%d %H:%M:%S}", each.snapshot, each.reason) for each in history],
    )


@app.command()
def promote(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The channel to move.")],
    snapshot: Annotated[str, typer.Argument(help="A snapshot, or the channel to copy.")],
) -> None:
    """Point a channel at a snapshot."""
    with opened(ctx) as mirror:
        now_at = mirror.channels.promote(name, snapshot, by=operator())
    print_note(f"{name} now publishes {now_at}")


@app.command()
def rollback(ctx: typer.Context, name: str) -> None:
    """Point a channel back at the snapshot that it published before."""
    with opened(ctx) as mirror:
        now_at = mirror.channels.rollback(name, by=operator())
    print_note(f"{name} is back at {now_at}")
