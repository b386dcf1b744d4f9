"""`mirror demo`: a signed upstream, a sync, a server and a client, in one command."""

from __future__ import annotations

import asyncio
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.context import run
from mirror.cli.output import print_line, print_note
from mirror.errors import DigestMismatch

if TYPE_CHECKING:
    from mirror.service import Mirror
    from mirror.testing.sample import SampleUpstream

_UPSTREAM = "demo-upstream"
_CLIENT = "demo-client"
_SIZE = 4 << 20
"""Bytes of a sample root file system: small, but not so small that nothing is to be seen."""


def demo(
    directory: Annotated[
        Path, typer.Option("--dir", help="Where to put it all.", file_okay=False)
    ] = Path("demo-data"),
    once: Annotated[bool, typer.Option("--once", help="End when all is checked.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0: any.", min=0, max=65535)] = 8080,
) -> None:
    """Build a signed sample upstream, mirror it, serve it, and check it with sstream-mirror."""
    from mirror.cli.verbs import server_options
    from mirror.server.supervisor import run_server
    from mirror.service import Mirror
    from mirror.settings import load_settings
    from mirror.testing.serve import serve_in_thread

    root = directory.expanduser().absolute()
    settings = load_settings(data_dir=root)
    with ExitStack() as stack:
        mirror = stack.enter_context(Mirror.create(settings, name="MAAS image mirror demo"))
        upstream = _build_upstream(root / _UPSTREAM)
        url = stack.enter_context(serve_in_thread(upstream.root))
        print_note(f"1. a signed upstream is served at {url}")
        _select(mirror, upstream, url)
        run(_sync(mirror))
        run(_check(mirror, root / _CLIENT))
        if once:
            mirror_command = f"{_program('mirror')} --data-dir {root}"
            print_line(f"serve it: {mirror_command} serve --host {host} --port {port}")
            return
        chosen = server_options(settings, host, port)
        run_server(chosen, on_ready=lambda at: _say_what_next(at, root))


def _build_upstream(root: Path) -> SampleUpstream:
    from mirror.signing.key import ED25519, SigningKey
    from mirror.testing.sample import SampleUpstream

    shutil.rmtree(root, ignore_errors=True)
    home = root.with_name(f"{root.name}-key")
    if not SigningKey.exists(home):
        SigningKey.create(home, "The demo's upstream", algorithm=ED25519).close()
    key = SigningKey.open(home)
    return SampleUpstream.create(root, key=key, size=_SIZE)


def _select(mirror: Mirror, upstream: SampleUpstream, url: str) -> None:
    from mirror.model import BootSource, Selection

    for source in mirror.catalog.sources():
        mirror.catalog.remove_source(source.name)
    source = BootSource(name="demo", url=url, keyring=str(upstream.keyring))
    mirror.sources.add(source, by="demo")
    if not mirror.catalog.selections():
        mirror.selections.add(Selection(0, ("os~(ubuntu|centos)", "arch=amd64")), by="demo")


async def _sync(mirror: Mirror) -> None:
    from mirror.cli.progress import show_progress
    from mirror.sync.run import SyncOptions

    with show_progress() as emit:
        result = await mirror.syncs.run(SyncOptions(channel="stable"), emit)
    print_note(f"2. mirrored and published: snapshot {result.snapshot} on channel stable")


async def _check(mirror: Mirror, out: Path) -> None:
    """Let a client that we did not write mirror from us, and compare every byte."""
    from mirror.cli.verbs import server_options
    from mirror.server.serving import running_server
    from mirror.testing.sstream import mirrored_files, sstream_mirror

    expected = {
        item.path: (item.sha256, item.size) for item in mirror.snapshots.show("stable").items
    }
    keyring = out.with_name(f"{out.name}.gpg")
    keyring.write_bytes(mirror.key.public_binary())
    shutil.rmtree(out, ignore_errors=True)
    options = server_options(mirror.settings, "127.0.0.1", 0)
    async with running_server(options) as url:
        address = f"{url}/images/stable/streams/v1/index.sjson"
        try:
            outcome = await asyncio.to_thread(sstream_mirror, address, out, keyring=keyring)
        except FileNotFoundError as error:
            print_note(f"3. not checked with sstream-mirror: {error}")
            return
    found = mirrored_files(out)
    shutil.rmtree(out, ignore_errors=True)
    if outcome.status != 0 or found != expected:
        raise DigestMismatch(
            f"sstream-mirror ended with {outcome.status}, and {len(found)} of {len(expected)} "
            f"files: {outcome.errors.strip()[-500:]}",
            remedy="This is a bug: please report it with the text above.",
        )
    print_note(f"3. sstream-mirror mirrored it from us: {len(found)} files, every byte right")


def _say_what_next(url: str, root: Path) -> None:
    mirror = f"{_program('mirror')} --data-dir {root}"
    print_line(f"4. serving {url}/images/stable/ until Ctrl-C. Now try, in another terminal:")
    print_line(f"   {mirror} snapshot show stable")
    print_line(f"   {mirror} sync")
    print_line(f"   {mirror} channel show stable")
    print_line(f"   {mirror} token create me --role admin  # to log in with")
    print_line(f"   curl {url}/images/stable/streams/v1/index.json")
    print_line(f"   curl -O {url}/keys/mirror.gpg")
    print_line(f"   {_program('sstream-query')} --keyring=./mirror.gpg --json {url}/images/stable/")


def _program(name: str) -> str:
    """Return how to call a program that was installed with us."""
    return name if shutil.which(name) else str(Path(sys.executable).with_name(name))
