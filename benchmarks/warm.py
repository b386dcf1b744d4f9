"""Sync again and again in one process, as a running server would, with nothing new.

    python -m benchmarks.warm DATA_DIR COUNT

Prints the CPU milliseconds of each sync, threads and child processes included, as JSON. The first
one, which imports and opens everything, is not counted.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from mirror.service import Mirror
from mirror.settings import load_settings
from mirror.sync.run import SyncOptions


async def _measure(mirror: Mirror, count: int) -> list[float]:
    costs = []
    for _ in range(count + 1):
        before = _cpu()
        result = await mirror.syncs.run(SyncOptions(), lambda _: None)
        costs.append((_cpu() - before) * 1000)
        if result.status != "unchanged":
            raise SystemExit(f"the sync was {result.status}")
    return costs[1:]


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    """Measure as the command line says."""
    data_dir, count = sys.argv[1:]
    with Mirror.open(load_settings(data_dir=Path(data_dir))) as mirror:
        print(json.dumps(asyncio.run(_measure(mirror, int(count)))))


if __name__ == "__main__":
    main()
