"""`python -m benchmarks [NAME ...]`: measure, and print the table."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import (
    api,
    custom_images,
    five_sources,
    large,
    peers,
    report,
    serving,
    startup,
    sync,
    validation,
)
from benchmarks.context import Context
from benchmarks.processes import Failed

if TYPE_CHECKING:
    from collections.abc import Callable

BENCHMARKS: dict[str, Callable[[Context], list[report.Row]]] = {
    "startup": startup.startup,
    "cold-loopback": sync.cold_loopback,
    "cold-line": sync.cold_line,
    "cold-limited": sync.cold_limited,
    "cold-limited-far": sync.cold_limited_far,
    "small-changes": sync.small_changes,
    "five-sources": five_sources.five_sources,
    "validation": validation.validation,
    "custom-images": custom_images.custom_images,
    "serve-files": serving.serve_files,
    "serve-index": serving.serve_index,
    "serve-ranges": serving.serve_ranges,
    "large-stream": large.large_stream,
    "api-pages": api.api_pages,
}


def main() -> None:
    """Run the benchmarks that are named, or all; a complete run is written down."""
    chosen = _arguments()
    context = Context(chosen.cache.absolute(), chosen.scale, chosen.rounds)
    context.cache.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    peers.install_missing()
    rows: list[report.Row] = []
    missing: dict[str, str] = {}
    for name in chosen.names or BENCHMARKS:
        print(f"{name}: {(BENCHMARKS[name].__doc__ or '').splitlines()[0]}", flush=True)
        try:
            rows += BENCHMARKS[name](context)
        except Failed as error:
            missing[name] = str(error)
            print(f"  not measured: {error}", flush=True)
    context.drop(context.cache / "run")
    print(report.table(rows))
    minutes = (time.monotonic() - started) / 60
    print(f"{minutes:.1f} minutes on {report.machine()}")
    if chosen.names or chosen.scale != 1:
        print("not written down: that takes all benchmarks, at full scale")
    else:
        report.write(rows, missing, minutes=minutes)
        print("written to benchmarks/RESULTS.md and benchmarks/results.json")
    if missing:
        raise SystemExit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--scale", type=float, default=1.0, help="shrink files and times, to try")
    parser.add_argument("--rounds", type=int, default=3, help="of the short benchmarks")
    parser.add_argument(
        "--cache", type=Path, default=Path("bench-data"), help="where the files are made"
    )
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}")
    return chosen


if __name__ == "__main__":
    main()
