"""Cold syncs, syncs with nothing new, and small updates, beside `sstream-mirror` and `curl -Z`."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.context import Context, taken_in_turns
from benchmarks.peers import Site, nginx, program, slow_line
from benchmarks.processes import Cost, Failed, run
from benchmarks.report import Bar, Row, at_most, faster, time_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SSTREAM = "sstream-mirror"
CURL = "curl -Z"
OURS = "ours"

_CONNECTIONS = 8
_LINE = 100_000_000
_LATENCY = 0.05
_LIMIT = 20_000_000
_UPDATES = 3
_QUIET_ROUNDS = 5
_WARM_ROUNDS = 10


def cold_loopback(context: Context) -> list[Row]:
    """Take the whole stream from a loopback nginx."""
    with _nginx(context) as (ports, _):
        costs = _cold(context, ports["plain"], (OURS, SSTREAM), rounds=context.rounds)
    ours, peer = costs[OURS], costs[SSTREAM]
    return [
        _time_row("cold sync, loopback", costs, SSTREAM, faster(2.5)),
        Row("cold sync, loopback: CPU", _cpu(ours), _cpu(peer), "CPU s", SSTREAM),
        _peak_row("cold sync, loopback: peak memory", ours, peer),
    ]


def cold_line(context: Context) -> list[Row]:
    """Take it over a line of 100 MB/s where a request takes 50 ms."""
    with (
        _nginx(context) as (ports, home),
        slow_line(ports["plain"], home / "line.log", latency=_LATENCY, rate=_LINE) as port,
    ):
        costs = _cold(context, port, (OURS, CURL), rounds=2)
        costs |= _cold(context, port, (SSTREAM,), rounds=1)
    name = "cold sync, 50 ms, 100 MB/s in all"
    return [
        _time_row(name, costs, CURL, faster(round(1 / 1.1, 2))),
        _time_row(f"{name}: other peer", costs, SSTREAM),
        _peak_row(f"{name}: peak memory", costs[OURS], costs[SSTREAM]),
    ]


def cold_limited(context: Context) -> list[Row]:
    """Take it at 20 MB/s per connection."""
    with _nginx(context) as (ports, _):
        costs = _cold(context, ports["limited"], (OURS, SSTREAM), rounds=1)
    return [_time_row("cold sync, 20 MB/s per connection", costs, SSTREAM, faster(6.5))]


def cold_limited_far(context: Context) -> list[Row]:
    """Take it at 20 MB/s per connection where a request takes 50 ms."""
    with (
        _nginx(context) as (ports, home),
        slow_line(ports["limited"], home / "line.log", latency=_LATENCY) as port,
    ):
        costs = _cold(context, port, (OURS, SSTREAM), rounds=1)
    return [_time_row("cold sync, 20 MB/s per connection, 50 ms", costs, SSTREAM, faster(6.5))]


def small_changes(context: Context) -> list[Row]:
    """Sync again with nothing new, then with one product updated; count what goes over the wire."""
    with _nginx(context) as (ports, home):
        base = f"http://127.0.0.1:{ports['counted']}"
        wire = _Wire(home / "access.log")
        syncs = {
            OURS: _ours(context, "small-ours", base),
            SSTREAM: _sstream(context, "small-sstream", base),
        }
        for sync in syncs.values():
            sync.run()
        quiet = _measured(syncs, wire, _QUIET_ROUNDS)
        warm = _warm(syncs[OURS].folder, context)
        updates: _Measured = defaultdict(list)
        for number in range(1, _UPDATES + 1):
            context.upstream.publish(number)
            for name, got in _measured(syncs, wire, 1).items():
                updates[name] += got
        for sync in syncs.values():
            sync.check(context.upstream.files(_UPDATES))
            context.drop(sync.folder)
    context.upstream.publish(0)
    return [
        _wire_row("nothing new: requests", quiet, "requests", "requests", at_most(1)),
        _wire_row("nothing new: on the wire", quiet, "bytes", "bytes", at_most(2048)),
        Row("nothing new: CPU inside a running process", warm, None, "CPU ms", bar=at_most(20)),
        _seconds_row("nothing new: whole command", quiet),
        _wire_row("nothing new: CPU of the whole command", quiet, "cpu", "CPU s"),
        _seconds_row("one product updated: whole command", updates),
        _wire_row("one product updated: requests", updates, "requests", "requests"),
        _wire_row("one product updated: on the wire", updates, "bytes", "bytes"),
    ]


# --- the programs ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sync:
    """A way to take the stream into `folder`: the command, and a check that all of it came."""

    folder: Path
    command: Sequence[str]
    check: Callable[[dict[str, int]], None]

    def run(self) -> Cost:
        """Sync once."""
        return run(self.command, log=self.folder.with_suffix(".log"))


def mirror_command(data_dir: Path) -> list[str]:
    """Return `mirror --data-dir DATA_DIR`."""
    return [program("mirror"), "--data-dir", str(data_dir)]


def _ours(context: Context, name: str, base: str) -> Sync:
    folder = context.folder(name)
    log = folder.with_suffix(".setup")
    mirror = mirror_command(folder)
    keyring = str(context.upstream.keyring)
    run([*mirror, "init", "--name", "benchmark"], log=log)
    run([*mirror, "source", "add", "bench", base, "--keyring", keyring], log=log)
    run([*mirror, "select", "add", "os=ubuntu", "--keep", "2"], log=log)

    def check(files: dict[str, int]) -> None:
        shown = run([*mirror, "snapshot", "show", "stable", "--json"], log=log).output
        found = {item["path"]: item["size"] for item in json.loads(shown)["items"]}
        _same_files(name, found, files)

    return Sync(folder, [*mirror, "sync"], check)


def _sstream(context: Context, name: str, base: str) -> Sync:
    folder = context.folder(name)
    keyring = f"--keyring={context.upstream.keyring}"
    address = f"{base}/streams/v1/index.sjson"
    command = [program(SSTREAM), keyring, "--max=2", address, str(folder)]

    def check(files: dict[str, int]) -> None:
        _same_files(name, _on_disk(folder), files)

    return Sync(folder, command, check)


def _curl(context: Context, name: str, base: str) -> Sync:
    """Fetch the image files and the metadata that a sync reads, with nothing verified."""
    folder = context.folder(name)
    documents = {
        f"streams/v1/{each.name}"
        for each in (context.upstream.current / "streams" / "v1").glob("*.sjson")
    }
    config = folder.with_suffix(".curl")
    paths = sorted({*context.upstream.files(), *documents})
    config.write_text(
        "".join(f'url = "{base}/{path}"\noutput = "{folder / path}"\n' for path in paths)
    )
    options = ["--parallel", "--parallel-max", str(_CONNECTIONS), "--create-dirs", "-s", "-S", "-f"]

    def check(files: dict[str, int]) -> None:
        _same_files(name, _on_disk(folder), files)

    return Sync(folder, [program("curl"), *options, "--config", str(config)], check)


_WAYS = {OURS: _ours, SSTREAM: _sstream, CURL: _curl}


def _on_disk(folder: Path) -> dict[str, int]:
    return {
        path: file.stat().st_size
        for file in folder.rglob("*")
        if file.is_file()
        and not (path := file.relative_to(folder).as_posix()).startswith((".data/", "streams/"))
    }


def _same_files(name: str, found: dict[str, int], expected: dict[str, int]) -> None:
    if found != expected:
        raise Failed(f"{name}: {len(found)} files of {len(expected)} came, or their sizes differ")


# --- measuring ------------------------------------------------------------------------------------


@contextmanager
def _nginx(context: Context) -> Iterator[tuple[dict[str, int], Path]]:
    """Serve the upstream: plain, limited per connection, and with every request logged."""
    upstream = context.upstream
    home = context.folder("nginx")
    extras = {
        "plain": "",
        "limited": f"limit_rate {_LIMIT};",
        "counted": f"access_log {home}/access.log wire;",
    }
    sites = [Site(upstream.images, upstream.current, extra) for extra in extras.values()]
    with nginx(home, sites) as (_, ports):
        yield dict(zip(extras, ports, strict=True)), home


def _cold(
    context: Context, port: int, names: Sequence[str], *, rounds: int
) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = defaultdict(list)
    files = context.upstream.files()
    for name in taken_in_turns(rounds, names):
        sync = _WAYS[name](context, f"cold-{name.partition(' ')[0]}", f"http://127.0.0.1:{port}")
        cost = sync.run()
        sync.check(files)
        context.drop(sync.folder)
        costs[name].append(cost)
        print(f"    {name}: {cost.seconds:.2f} s, {cost.cpu:.2f} CPU s, {cost.peak / 1e6:.0f} MB")
    return costs


@dataclass(frozen=True)
class _Traffic:
    seconds: float
    cpu: float
    requests: int
    bytes: int


_Measured = dict[str, list[_Traffic]]


class _Wire:
    """What nginx has logged: requests, and bytes of HTTP in both directions."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._at = 0

    def since(self) -> tuple[int, int]:
        """Return the requests and bytes since the last call."""
        time.sleep(0.1)  # nginx logs a request when it is over, which the client does not wait for
        lines = self._log.read_text().splitlines()[self._at :]
        self._at += len(lines)
        counts = [line.split() for line in lines]
        return len(lines), sum(int(received) + int(sent) for received, sent, *_ in counts)


def _measured(syncs: dict[str, Sync], wire: _Wire, rounds: int) -> _Measured:
    measured: _Measured = defaultdict(list)
    wire.since()
    for name in taken_in_turns(rounds, list(syncs)):
        cost = syncs[name].run()
        measured[name].append(_Traffic(cost.seconds, cost.cpu, *wire.since()))
    return measured


def _warm(data_dir: Path, context: Context) -> float:
    """Return the CPU milliseconds of a sync with nothing new in a process that goes on."""
    command = [sys.executable, "-m", "benchmarks.warm", str(data_dir), str(_WARM_ROUNDS)]
    done = run(command, log=context.cache / "run" / "warm.log")
    costs: list[float] = json.loads(done.output)
    return median(costs)


# --- rows -----------------------------------------------------------------------------------------


def _time_row(name: str, costs: dict[str, list[Cost]], peer: str, bar: Bar | None = None) -> Row:
    ours, theirs = (median(cost.seconds for cost in costs[each]) for each in (OURS, peer))
    return time_row(name, ours, theirs, peer, bar)


def _peak_row(name: str, ours: list[Cost], peer: list[Cost]) -> Row:
    own, other = (max(cost.peak for cost in costs) / 1e6 for costs in (ours, peer))
    return Row(name, own, other, "MB", SSTREAM, at_most(150))


def _cpu(costs: list[Cost]) -> float:
    return median(cost.cpu for cost in costs)


def _seconds_row(name: str, measured: _Measured) -> Row:
    ours, peer = (median(each.seconds for each in measured[who]) for who in (OURS, SSTREAM))
    return time_row(name, ours, peer, SSTREAM)


def _wire_row(name: str, measured: _Measured, field: str, unit: str, bar: Bar | None = None) -> Row:
    ours, peer = (median(getattr(each, field) for each in measured[who]) for who in (OURS, SSTREAM))
    return Row(name, ours, peer, unit, SSTREAM, bar)
