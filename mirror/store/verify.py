"""Read every blob again and compare it with the digest in its name."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import msgspec

from mirror.store.durable import disk_errors
from mirror.store.reach import references

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mirror.model import FileRef
    from mirror.store.store import Store

_PIECE = 4 << 20


class Damage(msgspec.Struct, frozen=True):
    """A blob that is not what it should be.

    `problem` is `missing` or `corrupt`; `size` is what it should have; `snapshot` and `path` are
    one place that needs it, `source` the boot source it came from ('' for our own files).
    """

    problem: str
    sha256: str
    size: int
    snapshot: str
    path: str
    source: str


class VerifyReport(msgspec.Struct, frozen=True):
    """How many blobs (and bytes) were read again, and which of them are damaged."""

    blobs: int
    bytes: int
    damaged: tuple[Damage, ...]

    @property
    def exit_status(self) -> int:
        """Return 4 when anything is damaged, else 0."""
        return 4 if self.damaged else 0


def verify_store(
    store: Store,
    *,
    snapshots: Iterable[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    rate: int = 0,
) -> VerifyReport:
    """Read every blob that the snapshots (by id; None: all of them) reach.

    `progress` is called with the bytes read so far and in all; `rate` limits reading to so many
    bytes per second (0: no limit). Raises SnapshotInvalid, NotFound.
    """
    ids = store.snapshots.ids() if snapshots is None else list(snapshots)
    needed = _needed(store, ids)
    total = sum(ref.size for ref, _, _ in needed.values())
    pace = _Pace(total, progress, rate)
    damaged = []
    for sha256, (ref, snapshot_id, path) in needed.items():
        problem = _check(store.blobs.path(sha256), ref, pace)
        if problem:
            damaged.append(Damage(problem, sha256, ref.size, snapshot_id, path, ref.source))
    return VerifyReport(blobs=len(needed), bytes=total, damaged=tuple(damaged))


def _needed(store: Store, ids: Iterable[str]) -> dict[str, tuple[FileRef, str, str]]:
    needed: dict[str, tuple[FileRef, str, str]] = {}
    for snapshot_id in ids:
        for path, ref in references(store.snapshots.load(snapshot_id)):
            needed.setdefault(ref.sha256, (ref, snapshot_id, path))
    return needed


class _Pace:
    """Counts what was read, tells of it, and slows down."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None, rate: int) -> None:
        self._total, self._progress, self._rate = total, progress, rate
        self._done = 0
        self._began = time.monotonic()

    def read(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._total)
        if self._rate:
            ahead = self._done / self._rate - (time.monotonic() - self._began)
            time.sleep(max(0.0, ahead))


def _check(blob: Path, ref: FileRef, pace: _Pace) -> str:
    """Return what is wrong with the blob, '' if nothing."""
    with disk_errors(blob):
        try:
            return "" if _digest(blob, ref, pace) == ref.sha256 else "corrupt"
        except FileNotFoundError:
            pace.read(ref.size)
            return "missing"
        except PermissionError:
            raise
        except OSError:
            # a bad sector, or a link or directory in its place
            return "corrupt"


def _digest(blob: Path, ref: FileRef, pace: _Pace) -> str:
    """Return the blob's sha256; '' when its size alone tells that it is wrong."""
    fd = os.open(blob, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(fd, "rb", buffering=0) as file:
        if os.fstat(fd).st_size != ref.size:
            pace.read(ref.size)
            return ""
        digest = hashlib.sha256()
        while piece := file.read(_PIECE):
            digest.update(piece)
            pace.read(len(piece))
    return digest.hexdigest()
