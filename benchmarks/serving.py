"""Serving beside nginx: the same files, two workers each, in turns."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import re
import sys
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.context import taken_in_turns
from benchmarks.large import products
from benchmarks.peers import WORKERS, Site, free_port, nginx, program
from benchmarks.processes import Failed, cpu_seconds, family, peak_memory, run, running
from benchmarks.report import Bar, Row, at_most, costlier, faster
from benchmarks.sync import OURS, mirror_command
from mirror.model import Item, utcnow
from mirror.service import Mirror
from mirror.settings import load_settings
from mirror.sync.build import build_snapshot
from mirror.sync.plan import Planned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.context import Context

NGINX = "nginx"

_READERS = (1, 8, 200)
_FILE = 400_000_000
_SECONDS = 4.0
_INDEX_PRODUCTS = 300
"""So many that the index is about 20 KB."""

_INDEX = "images/stable/streams/v1/index.json"
_LARGE = "noble/amd64/20250615/squashfs"
_RANGE = 1 << 20

_RANGES_LUA = """
local parts = math.floor({size} / {part})
function init(args) math.randomseed(tonumber(tostring(wrk.thread):match("0x(%x+)"), 16)) end
function request()
  local at = math.random(0, parts - 1) * {part}
  return wrk.format("GET", nil, {{ ["Range"] = "bytes=" .. at .. "-" .. (at + {part} - 1) }})
end
"""


@dataclass(frozen=True)
class Server:
    """A server that runs: its base URL, and its processes."""

    url: str
    pids: list[int]

    @property
    def largest(self) -> int:
        """Return the peak memory of its largest process but the first, which serves nothing."""
        return max(peak_memory(pid) for pid in self.pids[1:])


def serve_files(context: Context) -> list[Row]:
    """Send 400 MB files to 1, 8 and 200 readers."""
    rows: list[Row] = []
    with _servers(context) as servers:
        for count in _READERS:
            rates: dict[str, list[float]] = defaultdict(list)
            costs: dict[str, list[float]] = defaultdict(list)
            for name in taken_in_turns(context.rounds, list(servers)):
                rate, cost = _read(servers[name], count, context)
                rates[name].append(rate)
                costs[name].append(cost)
                print(f"    {count} readers, {name}: {rate:.2f} GB/s, {cost:.3f} CPU s per GB")
            label = f"400 MB files, {count} reader{'s' if count > 1 else ''}"
            rows += [
                _row(label, rates, "GB/s", faster(1.0)),
                _row(f"{label}: CPU", costs, "CPU s per GB", costlier(1.2)),
            ]
        peaks = {name: [server.largest / 1e6] for name, server in servers.items()}
        rows.append(_row("400 MB files: peak memory of a worker", peaks, "MB", at_most(150)))
    return rows


def serve_index(context: Context) -> list[Row]:
    """Send a 20 KB index over 64 connections."""
    return _with_wrk(context, "20 KB index, 64 connections", _INDEX, 64, faster(0.5), latency=True)


def serve_ranges(context: Context) -> list[Row]:
    """Send random 1 MiB ranges of a 400 MB file over 16 connections."""
    script = context.cache / "ranges.lua"
    script.write_text(_RANGES_LUA.format(size=_file_size(context), part=_RANGE))
    options = ["-s", str(script)]
    path = f"images/stable/{_LARGE}"
    return _with_wrk(
        context, "1 MiB ranges, 16 connections", path, 16, faster(0.8), options=options
    )


def _with_wrk(
    context: Context,
    label: str,
    path: str,
    connections: int,
    bar: Bar | None,
    *,
    options: Sequence[str] = (),
    latency: bool = False,
) -> list[Row]:
    rates: dict[str, list[float]] = defaultdict(list)
    slowest: dict[str, list[float]] = defaultdict(list)
    costs: dict[str, list[float]] = defaultdict(list)
    with _servers(context) as servers:
        for name in taken_in_turns(context.rounds, list(servers)):
            server = servers[name]
            before = cpu_seconds(server.pids)
            rate, p99, count = _wrk(f"{server.url}/{path}", connections, options, context)
            cost = (cpu_seconds(server.pids) - before) / count * 1e6
            rates[name].append(rate)
            slowest[name].append(p99)
            costs[name].append(cost)
            print(f"    {name}: {rate:,.0f} requests/s, p99 {p99:.2f} ms, {cost:.0f} CPU us each")
        peaks = {name: [server.largest / 1e6] for name, server in servers.items()}
    return [
        _row(label, rates, "requests/s", bar),
        _row(f"{label}: p99", slowest, "ms", costlier(2.0) if latency else None),
        _row(f"{label}: CPU", costs, "CPU us per request"),
        _row(f"{label}: peak memory of a worker", peaks, "MB", at_most(150)),
    ]


def _row(name: str, figures: dict[str, list[float]], unit: str, bar: Bar | None = None) -> Row:
    return Row(name, median(figures[OURS]), median(figures[NGINX]), unit, NGINX, bar)


# --- the clients ----------------------------------------------------------------------------------


def _seconds(context: Context) -> float:
    return max(1.0, _SECONDS * context.scale)


def _read(server: Server, count: int, context: Context) -> tuple[float, float]:
    """Return GB per second, and the server's CPU seconds per GB."""
    url = f"{server.url}/images/stable/{_LARGE}"
    command = [sys.executable, "-m", "benchmarks.readers", url, str(count), str(_seconds(context))]
    before = cpu_seconds(server.pids)
    got = json.loads(run(command, log=context.cache / "run" / "readers.log").output)
    spent = cpu_seconds(server.pids) - before
    if got["served"] != count:
        raise Failed(f"{got['served']} of {count} readers got anything from {server.url}")
    return got["bytes"] / got["seconds"] / 1e9, spent / (got["bytes"] / 1e9)


def _wrk(
    url: str, connections: int, options: Sequence[str], context: Context
) -> tuple[float, float, int]:
    """Return requests per second, the p99 in ms, and how many requests there were."""
    command = [program("wrk"), "-t2", f"-c{connections}", f"-d{_seconds(context):.0f}s"]
    log = context.cache / "run" / "wrk.log"
    text = run([*command, "--latency", *options, url], log=log).output
    if "Non-2xx" in text or "Socket errors" in text:
        raise Failed(f"wrk met errors: {text[-800:]}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", text)
    count = re.search(r"(\d+) requests in", text)
    if not (rate and p99 and count):
        raise Failed(f"can't read what wrk printed: {text[-800:]}")
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}[p99[2]]
    return float(rate[1]), float(p99[1]) * unit, int(count[1])


# --- the servers ----------------------------------------------------------------------------------


@contextmanager
def _servers(context: Context) -> Iterator[dict[str, Server]]:
    """Run our server and nginx over the same files."""
    data_dir, site = context.folder("serve-ours"), context.folder("serve-nginx")
    asyncio.run(_publish(data_dir, site, _file_size(context)))
    port = free_port()
    serve = [*mirror_command(data_dir), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with ExitStack() as stack:
        log = data_dir.with_suffix(".log")
        command = [*serve, "--workers", str(WORKERS)]
        ours = stack.enter_context(running(command, log=log, ready="serving"))
        pid, ports = stack.enter_context(nginx(context.folder("nginx"), [Site(site)]))
        yield {
            OURS: Server(f"http://127.0.0.1:{port}", family(ours.pid)),
            NGINX: Server(f"http://127.0.0.1:{ports[0]}", family(pid)),
        }
    context.drop(data_dir, site)


def _file_size(context: Context) -> int:
    return int(_FILE * context.scale)


async def _publish(data_dir: Path, site: Path, size: int) -> None:
    """Publish a large file and a real index of about 20 KB; give nginx the same bytes."""
    settings = load_settings(data_dir=data_dir)
    with Mirror.create(settings, name="benchmark") as mirror:
        store = mirror.store
        sha256 = _large_blob(mirror, size)
        item = Item("squashfs", "squashfs", _LARGE, sha256, size)
        planned = [Planned(each, "bench") for each in products(_INDEX_PRODUCTS, squashfs=item)]
        snapshot = await build_snapshot(
            planned,
            blobs=store.blobs,
            key=mirror.key,
            parent="",
            not_before=utcnow(),
            sources={},
            notes={},
        )
        store.channels.switch("stable", store.snapshots.save(snapshot), "benchmark")
        index = snapshot.files[_INDEX.removeprefix("images/stable/")]
        for path, ref in ((_INDEX, index.sha256), (f"images/stable/{_LARGE}", sha256)):
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            os.link(store.blobs.path(ref), site / path)


def _large_blob(mirror: Mirror, size: int) -> str:
    noise = random.Random(size)
    digest = hashlib.sha256()
    scratch = mirror.store.incoming.root / "large"
    scratch.parent.mkdir(parents=True, exist_ok=True)
    with scratch.open("wb") as out:
        for at in range(0, size, 1 << 24):
            data = noise.randbytes(min(1 << 24, size - at))
            digest.update(data)
            out.write(data)
    mirror.store.blobs.adopt(scratch, digest.hexdigest())
    return digest.hexdigest()
