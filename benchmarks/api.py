"""Read lists of 20,000 products over the API, a page at a time."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from http.client import HTTPConnection
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from benchmarks.large import write_stream
from benchmarks.peers import free_port
from benchmarks.processes import Failed, run, running
from benchmarks.report import Row, at_most
from benchmarks.sync import mirror_command
from mirror.model import BootSource, Role, Selection
from mirror.service import Mirror
from mirror.settings import load_settings
from mirror.signing.key import ED25519, SigningKey
from mirror.testing.serve import serve_in_thread

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.context import Context

_PRODUCTS = 20_000
_PAGE = 100
_LISTS = {
    "available images": "/api/v1/available-images",
    "boot resources": "/api/v1/boot-resources",
    "boot resources, one kernel": "/api/v1/boot-resources?subarch=ga-10000",
}


class _Read(NamedTuple):
    """How long each page took, in milliseconds, and how many items there were in all."""

    pages: list[float]
    items: int


def api_pages(context: Context) -> list[Row]:
    """Read every page of what 20,000 products are listed in, with one connection."""
    total = max(200, int(_PRODUCTS * context.scale))
    folder = context.folder("api")
    data_dir = folder / "data"
    token = _prepare(folder, data_dir, total)
    port = free_port()
    command = [*mirror_command(data_dir), "serve", "--host", "127.0.0.1", "--port", str(port)]
    rows: list[Row] = []
    with running(command, log=folder / "serve.log", ready="serving"):
        for name, path in _LISTS.items():
            _read_all(port, path, token)  # each worker opens the catalogue at its first request
            reads = [_read_all(port, path, token) for _ in range(max(1, context.rounds))]
            if "kernel" not in name and reads[0].items != total:
                raise Failed(f"{path} lists {reads[0].items} of {total} products")
            pages = [each for read in reads for each in read.pages]
            rows.append(Row(f"API, {name}: page, median", median(pages), None, "ms"))
            rows.append(Row(f"API, {name}: page, p99", _p99(pages), None, "ms", bar=at_most(50)))
    context.drop(folder)
    return rows


def _prepare(folder: Path, data_dir: Path, total: int) -> str:
    """Publish the products, list them as available, and return a token."""
    stream = folder / "stream"
    with SigningKey.create(folder / "key", "The large upstream", algorithm=ED25519) as key:
        keyring = write_stream(stream, key, total).keyring
    publish = (sys.executable, "-m", "benchmarks.large", "publish")
    run([*publish, str(data_dir), str(stream), str(keyring)], log=folder / "publish.log")
    with (
        serve_in_thread(stream, []) as url,
        Mirror.open(load_settings(data_dir=data_dir)) as mirror,
    ):
        source = BootSource(name="bench", url=url, keyring=str(keyring))
        mirror.sources.add(source, by="benchmark")
        mirror.selections.add(Selection(0, ("os=ubuntu",)), by="benchmark")
        problems = asyncio.run(mirror.images.refresh(lambda _: None))
        if problems:
            raise Failed(f"the stream could not be read: {problems}")
        return mirror.tokens.create("benchmark", Role.OPERATOR, by="benchmark").secret


def _read_all(port: int, path: str, token: str) -> _Read:
    """Follow `next` from the first page to the last."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}"}
    after, times, items = "", [], 0
    while True:
        query = urlencode({"limit": _PAGE, "after": after})
        began = time.perf_counter()
        connection.request("GET", f"{path}{'&' if '?' in path else '?'}{query}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        times.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            raise Failed(f"{path}: {answer.status} {body[:500]!r}")
        page = json.loads(body)
        items += len(page["items"])
        after = page["next"]
        if not after:
            connection.close()
            return _Read(times, items)


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]
