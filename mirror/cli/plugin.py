"""`mirror plugin`: which plugins were found, and what became of each."""

from __future__ import annotations

import typer

from mirror.cli.context import AsJson
from mirror.cli.output import print_json, print_line, print_table

app = typer.Typer(help="Plugins: the distributions that the mirror knows.", no_args_is_help=True)


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List every plugin that is installed; needs no data directory."""
    from mirror.plugin_manager import load_plugins

    chosen = ctx.obj.settings().plugins
    records = load_plugins(allow=chosen.allow, block=chosen.block).records
    if as_json:
        print_json(records)
        return
    print_table(
        ("NAME", "STATUS", "PACKAGE", "VERSION", "DISTRIBUTIONS"),
        [(r.name, r.status, r.package, r.version, " ".join(r.distributions)) for r in records],
    )
    for record in records:
        if record.error:
            print_line(f"{record.name}: {record.error}\n  {record.remedy}")
