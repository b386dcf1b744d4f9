"""`mirror source`: where images come from."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from mirror.cli.context import AsJson, opened, operator
from mirror.cli.output import print_json, print_line, print_note, print_table

app = typer.Typer(help="Boot sources: where images come from.", no_args_is_help=True)


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A short name.")],
    url: Annotated[str, typer.Argument(help="The base of the stream, or its index file.")],
    keyring: Annotated[
        Path | None, typer.Option(help="OpenPGP keyring, binary or armored.")
    ] = None,
    fingerprint: Annotated[
        list[str] | None, typer.Option(help="Trust only this key of the keyring.")
    ] = None,
    trust: Annotated[str, typer.Option(help="`signed`, or `none` for an unsigned source.")] = (
        "signed"
    ),
    priority: Annotated[int, typer.Option(help="The higher one wins a product.")] = 0,
    proxy: Annotated[str, typer.Option(help="HTTP proxy.")] = "",
    ca_file: Annotated[str, typer.Option(help="CA certificates (PEM) to trust besides.")] = "",
    username: Annotated[str, typer.Option(help="For basic authentication.")] = "",
    password_file: Annotated[str, typer.Option(help="File with the password.")] = "",
    bandwidth: Annotated[int, typer.Option(help="Bytes per second; 0: no limit.", min=0)] = 0,
    max_staleness: Annotated[
        float, typer.Option(help="Days after which an index is refused; 0: never.", min=0)
    ] = 7,
) -> None:
    """Add a boot source."""
    from mirror.model import BootSource

    new = BootSource(
        name=name,
        url=url,
        keyring=str(keyring.expanduser().absolute()) if keyring else "",
        fingerprints=tuple(fingerprint or ()),
        trust=trust,
        priority=priority,
        proxy=proxy,
        ca_file=ca_file,
        username=username,
        password_file=password_file,
        bandwidth=bandwidth,
        max_staleness=timedelta(days=max_staleness),
    )
    with opened(ctx) as mirror:
        mirror.sources.add(new, by=operator())
    print_note(f"added {name}; next: mirror select add 'release~(jammy|noble)' arch=amd64")


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the boot sources."""
    with opened(ctx) as mirror:
        sources = mirror.sources.list()
    if as_json:
        print_json(sources)
        return
    print_table(
        ("NAME", "PRIORITY", "TRUST", "URL"),
        [(each.name, str(each.priority), each.trust, each.url) for each in sources],
    )


@app.command()
def show(ctx: typer.Context, name: str, as_json: AsJson = False) -> None:
    """Show one boot source."""
    with opened(ctx) as mirror:
        source = mirror.sources.get(name)
    if as_json:
        print_json(source)
        return
    for field in source.__struct_fields__:
        print_line(f"{field}: {getattr(source, field)}")


@app.command()
def remove(ctx: typer.Context, name: str) -> None:
    """Remove a boot source; its images leave with the next sync."""
    with opened(ctx) as mirror:
        mirror.sources.remove(name, by=operator())
