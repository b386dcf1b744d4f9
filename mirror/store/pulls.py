"""When each snapshot was last pulled: an empty file each, whose time says it.

Several processes serve at once, and none of them may write for each request: each tells of a
snapshot at most once an hour. A stamp that could not be written is lost, and that is all.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

EVERY = 3600.0
"""Seconds between two stamps of one snapshot by one process."""


class Pulls:
    """The stamps below `root`, which is made when the first one is written."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stamped: dict[str, float] = {}

    def note(self, snapshot_ids: Iterable[str]) -> None:
        """Write down that these snapshots (of which there are some) were pulled just now. Blocks.

        Cheap to call every second: most calls find that it is written already.
        """
        now = time.monotonic()
        for snapshot_id in snapshot_ids:
            if now - self._stamped.get(snapshot_id, -EVERY) >= EVERY:
                self._stamped[snapshot_id] = now
                self._write(snapshot_id)

    def times(self) -> dict[str, datetime]:
        """Return when each snapshot was last pulled, to the hour; those never pulled are not in."""
        found = {}
        with suppress(FileNotFoundError):
            for file in self._root.iterdir():
                with suppress(FileNotFoundError):
                    found[file.name] = datetime.fromtimestamp(int(file.stat().st_mtime), UTC)
        return found

    def forget(self, existing: Iterable[str]) -> None:
        """Remove the stamps of every snapshot but these."""
        for snapshot_id in self.times().keys() - set(existing):
            (self._root / snapshot_id).unlink(missing_ok=True)

    def _write(self, snapshot_id: str) -> None:
        with suppress(OSError):
            self._root.mkdir(exist_ok=True)
            file = self._root / snapshot_id
            file.touch()
            os.utime(file)
