"""How many blobs there are, and their bytes: exact, and cheap to ask again.

A folder's time changes with each name that comes or goes, so only folders that changed are read
again: a look at 256 folders instead of at every file.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from mirror.store.durable import disk_errors

if TYPE_CHECKING:
    from pathlib import Path

_SETTLED = 2_000_000_000
"""Nanoseconds after which a change of a folder must show in its time, however coarse that is."""

_NAME_LENGTH = 64


class Count(NamedTuple):
    """So many blobs, of so many bytes."""

    blobs: int
    bytes: int


class Census:
    """Counts the blobs below `root` (`<data_dir>/blobs`). For one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "sha256"
        self._known: dict[str, tuple[int, Count]] = {}

    def take(self) -> Count:
        """Return the count as of now. Blocks; raises the errors of the disk."""
        before, self._known = self._known, {}
        total_blobs = total_bytes = 0
        with disk_errors(self._folder):
            for folder in os.scandir(self._folder) if self._folder.is_dir() else ():
                # asked before the folder is read: what changes meanwhile is found the next time
                now, changed = time.time_ns(), folder.stat().st_mtime_ns
                known = before.get(folder.name)
                count = known[1] if known and known[0] == changed else _count(folder.path)
                if now - changed > _SETTLED:
                    self._known[folder.name] = (changed, count)
                total_blobs += count.blobs
                total_bytes += count.bytes
        return Count(total_blobs, total_bytes)


def _count(folder: str) -> Count:
    blobs = size = 0
    for entry in os.scandir(folder):
        if len(entry.name) == _NAME_LENGTH:
            with suppress(FileNotFoundError):
                size += entry.stat(follow_symlinks=False).st_size
                blobs += 1
    return Count(blobs, size)
