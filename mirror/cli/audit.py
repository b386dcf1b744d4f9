"""`mirror audit`: who changed what, and who got an image that is not free."""

from __future__ import annotations

from typing import Annotated

import typer

from mirror.cli.context import AsJson, opened
from mirror.cli.output import print_json, print_line, print_note

app = typer.Typer(help="The audit log: who changed what.", no_args_is_help=True)


@app.command("list")
def list_(
    ctx: typer.Context,
    before: Annotated[int, typer.Option(help="Only entries older than this one.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=10_000)] = 50,
    action: Annotated[str, typer.Option(help="Only this: `channel.promote`, `download`, ...")] = "",
    as_json: AsJson = False,
) -> None:
    """List the changes, the newest first: when, who, what, and the values before and after."""
    with opened(ctx) as mirror:
        entries = mirror.audit.list(before=before, limit=limit, action=action)
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        print_line(f"{entry.id}  {entry.at:%Y-%m-%d %H:%M:%S}Z  {entry.actor}")
        print_line(f"    {entry.action} {entry.subject}")
        for label, value in (("before", entry.before), ("after", entry.after)):
            if bytes(value) != b"null":
                print_line(f"    {label}: {bytes(value).decode()}")
    if len(entries) == limit and entries[-1].id > 1:
        same = f" --action {action}" if action else ""
        print_note(f"older ones: mirror audit list --before {entries[-1].id}{same}")
