"""`mirror key`: the key that signs what we publish."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mirror.cli.context import AsJson, opened
from mirror.cli.output import print_json, print_line

app = typer.Typer(help="The mirror's own signing key.", no_args_is_help=True)


@app.command()
def show(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the fingerprint to give to MAAS's administrators."""
    with opened(ctx) as mirror:
        fingerprint = mirror.key.fingerprint
    if as_json:
        print_json({"fingerprint": fingerprint})
    else:
        print_line(fingerprint)


@app.command()
def export(
    ctx: typer.Context,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file.")] = None,
    armor: Annotated[bool, typer.Option(help="As text; MAAS wants it binary.")] = False,
) -> None:
    """Write the public key, as the keyring that MAAS and gpgv take."""
    with opened(ctx) as mirror:
        data = mirror.key.public_armored() if armor else mirror.key.public_binary()
    if output is None:
        sys.stdout.buffer.write(data)
    else:
        output.write_bytes(data)
