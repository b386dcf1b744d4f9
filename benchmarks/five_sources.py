"""Sync again and again in one process with several boot sources, and nothing new in any.

    python -m benchmarks.five_sources [--sources 5] [--count 30] [--tls]

Makes signed samples, serves them from a process of its own, syncs them all once, and then measures.
Prints the CPU milliseconds of each sync (threads and child processes included) and the requests
that each made, as JSON. The bar: one conditional request for each source, and less than 100 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from benchmarks.processes import Failed
from benchmarks.report import Row, at_most
from benchmarks.warm import _cpu
from mirror.model import BootSource, Selection
from mirror.service import Mirror
from mirror.settings import load_settings
from mirror.signing.key import SigningKey
from mirror.sync.run import SyncOptions
from mirror.testing.sample import SampleUpstream

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from benchmarks.context import Context

_BAR = at_most(100)


def five_sources(_context: Context) -> list[Row]:
    """Sync five sources with nothing new in any, over http and over https."""
    return [row for scheme in ("http", "https") for row in _rows(scheme)]


def _rows(scheme: str) -> list[Row]:
    command = [sys.executable, "-m", "benchmarks.five_sources"]
    done = subprocess.run(
        [*command, "--tls"] if scheme == "https" else command,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"five sources over {scheme}: {done.stderr[-500:]}")
    measured = json.loads(done.stdout)
    requests = max(len(answers) for answers in measured["answers"])
    name = f"five sources over {scheme}, nothing new"
    return [
        Row(f"{name}: CPU", measured["median_ms"], None, "CPU ms", bar=_BAR),
        Row(f"{name}: requests", requests, None, "requests", bar=at_most(5)),
    ]


def _serve(root: Path, certificate: Path | None, pipe: Connection) -> None:
    """Serve everything below `root`; say the port, and, whenever asked, the statuses answered."""
    answered: list[int] = []

    async def note(_request: web.Request, response: web.StreamResponse) -> None:
        answered.append(response.status)

    async def serve() -> None:
        tls = None
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
        app = web.Application()
        app.on_response_prepare.append(note)
        app.router.add_static("/", root)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        pipe.send(runner.addresses[0][1])
        while await asyncio.to_thread(pipe.recv):
            pipe.send(answered[:])
            answered.clear()

    asyncio.run(serve())


def _certificate(folder: Path) -> Path:
    openssl = shutil.which("openssl") or "openssl"
    key, cert, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)
    subprocess.run([openssl, *new, "-keyout", key, "-out", cert], check=True, capture_output=True)
    both.write_text(key.read_text() + cert.read_text())
    return both


async def _measure(mirror: Mirror, count: int, pipe: Connection) -> dict[str, Any]:
    costs, requests = [], set()
    for number in range(count + 2):
        before = _cpu()
        result = await mirror.syncs.run(SyncOptions(), lambda _: None)
        cost = (_cpu() - before) * 1000
        pipe.send("answers")
        answers = tuple(pipe.recv())
        if number > 1:  # the first publishes, the second imports what is left to import
            costs.append(round(cost, 2))
            requests.add(answers)
        if number and result.status != "unchanged":
            raise SystemExit(f"the sync was {result.status}")
    return {
        "median_ms": statistics.median(costs),
        "max_ms": max(costs),
        "cpu_ms": costs,
        "answers": [list(each) for each in requests],
    }


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="benchmarks.five_sources", description=__doc__)
    parser.add_argument("--sources", type=int, default=5)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--tls", action="store_true", help="https, with a CA file for each source")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificate = _certificate(folder) if chosen.tls else None
        with SigningKey.create(folder / "key", "Benchmark", algorithm="ed25519") as key:
            samples = [
                SampleUpstream.create(folder / "up" / str(number), key=key, versions=1)
                for number in range(chosen.sources)
            ]
        ours, theirs = multiprocessing.Pipe()
        serving = multiprocessing.Process(target=_serve, args=(folder / "up", certificate, theirs))
        serving.start()
        stack.callback(serving.kill)
        scheme = "https" if certificate else "http"
        base = f"{scheme}://127.0.0.1:{ours.recv()}"
        settings = load_settings(data_dir=folder / "data")
        mirror = stack.enter_context(Mirror.create(settings, name="x", algorithm="ed25519"))
        for number, sample in enumerate(samples):
            source = BootSource(
                name=f"source-{number}",
                url=f"{base}/{number}/",
                keyring=str(sample.keyring),
                priority=number,
                ca_file=str(certificate or ""),
            )
            mirror.sources.add(source, by="benchmark")
        mirror.selections.add(Selection(0, ("os=ubuntu", "arch=amd64")), by="benchmark")
        print(json.dumps(asyncio.run(_measure(mirror, chosen.count, ours)), indent=2))


if __name__ == "__main__":
    main()
