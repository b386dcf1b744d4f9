"""What was measured: rows, the table, `results.json` and `RESULTS.md`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Bar:
    """What a figure must be: at least or at most `limit`. `of` is `ratio` or `ours`."""

    at_least: bool
    limit: float
    of: str

    def __str__(self) -> str:
        """Return `at least 2.5x`, `at most 150`."""
        suffix = "x" if self.of == "ratio" else ""
        return f"{'at least' if self.at_least else 'at most'} {self.limit:g}{suffix}"


def faster(times: float) -> Bar:
    """Return the bar `ratio` at least `times`."""
    return Bar(at_least=True, limit=times, of="ratio")


def costlier(times: float) -> Bar:
    """Return the bar `ratio` at most `times`."""
    return Bar(at_least=False, limit=times, of="ratio")


def at_most(limit: float) -> Bar:
    """Return the bar `ours` at most `limit`."""
    return Bar(at_least=False, limit=limit, of="ours")


@dataclass(frozen=True)
class Row:
    """One figure of ours, and the peer's.

    `ratio` is how many times as fast as the peer we are where `unit` is a speed or a time to wait,
    and how many times the peer's cost ours is otherwise; `inverse` says that it is peer by ours.
    """

    name: str
    ours: float
    peer: float | None
    unit: str
    peer_name: str = ""
    bar: Bar | None = None
    inverse: bool = False

    @property
    def ratio(self) -> float | None:
        """Return the ratio; None without a peer."""
        if not self.peer or not self.ours:
            return None
        return self.peer / self.ours if self.inverse else self.ours / self.peer

    @property
    def verdict(self) -> str:
        """Return `ok`, `SHORT`, or nothing where there is no bar."""
        if self.bar is None:
            return ""
        figure = self.ours if self.bar.of == "ours" else self.ratio
        if figure is None:
            return "SHORT"
        met = figure >= self.bar.limit if self.bar.at_least else figure <= self.bar.limit
        return "ok" if met else "SHORT"

    def cells(self) -> list[str]:
        """Return the row as the table shows it."""
        return [
            self.name,
            _figure(self.ours),
            f"{_figure(self.peer)} ({self.peer_name})" if self.peer is not None else "",
            f"{self.ratio:.2f}x" if self.ratio is not None else "",
            self.unit,
            str(self.bar) if self.bar else "",
            self.verdict,
        ]


def time_row(name: str, ours: float, peer: float, peer_name: str, bar: Bar | None = None) -> Row:
    """Return a row of seconds to wait: the ratio says how many times as fast we are."""
    return Row(name, ours, peer, "s", peer_name, bar, inverse=True)


_HOW_TO_READ = """\
Client, server and peer share the machine, over loopback and the page cache; figures are medians of
rounds taken in turns. `ratio` is how many times as fast as the peer we are (times, rates), or how
many times its cost ours is (CPU, memory, bytes, requests, p99): the bar says which way is good.
Read the ratios; the rest depends on the day."""

HEADINGS = ("what", "ours", "peer", "ratio", "unit", "bar", "")


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table with aligned columns."""
    lines = [list(HEADINGS), *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def write(rows: list[Row], missing: dict[str, str], *, minutes: float) -> None:
    """Write `results.json` and `RESULTS.md` beside this file."""
    figures = {
        row.name: {
            "ours": _rounded(row.ours),
            "peer": _rounded(row.peer),
            "ratio": _rounded(row.ratio),
            "unit": row.unit,
        }
        for row in rows
    }
    (HERE / "results.json").write_text(json.dumps(figures, indent=1) + "\n")
    (HERE / "RESULTS.md").write_text(_page(rows, missing, minutes))


def _page(rows: list[Row], missing: dict[str, str], minutes: float) -> str:
    short = [row.name for row in rows if row.verdict == "SHORT"]
    parts = [
        "# Results of `make bench`",
        f"{datetime.now(UTC):%Y-%m-%d}, {minutes:.0f} minutes, on {machine()}.",
        _HOW_TO_READ,
        table(rows),
        f"Short of its bar: {', '.join(short)}." if short else "Every bar is met.",
    ]
    parts += [f"Not measured: {name}: {why}" for name, why in missing.items()]
    return "\n\n".join(parts) + "\n"


def machine() -> str:
    """Describe the machine and the programs, in public terms."""
    cpu = memory = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            memory = f"{int(line.split()[1]) / 2**20:.0f} GiB"
    programs = ", ".join(
        f"{name} {version(package)}"
        for name, package in (("aiohttp", "aiohttp"), ("sstream-mirror", "python-simplestreams"))
    )
    return (
        f"{os.cpu_count()} cores ({cpu}), {memory}, Linux {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}, {programs}, {_first_line('nginx', '-v')}, "
        f"{_first_line('curl', '--version')}"
    )


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"no {command[0]}"
    words = (done.stdout or done.stderr).splitlines()[0].replace("nginx version: ", "").split()
    return " ".join(words[:2] if command[0] == "curl" else words[:1])


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
