"""Open blobs, shared by the requests of one worker.

Opening a file on the event loop may block it for as long as the disk likes, and opening one in a
thread for each request costs more than sending a megabyte. So a few stay open for a few seconds. A
blob is closed when the last one that uses it lets go.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from typing import TYPE_CHECKING

from mirror.errors import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_OPEN = 256
MAX_AGE = 10.0
"""Seconds after which a blob is looked up again: a repaired one must not be sent from its corpse,
and a deleted one must give its space back."""


class OpenBlob:
    """A blob that is open for reading. `readers` is how many it is being sent to."""

    def __init__(self, path: Path) -> None:
        self.readers = 0
        self._fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        status = os.fstat(self._fd)
        self.regular = stat.S_ISREG(status.st_mode)
        self.size = status.st_size
        self.modified = int(status.st_mtime)
        self.opened = time.monotonic()
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._fd


class OpenBlobs:
    """The open blobs of one worker, by sha256. `locate` says where a blob lies."""

    def __init__(self, locate: Callable[[str], Path]) -> None:
        self._locate = locate
        self._open: dict[str, OpenBlob] = {}

    def cached(self, sha256: str) -> OpenBlob | None:
        """Return the blob if it is open and fresh."""
        blob = self._open.get(sha256)
        return blob if blob is not None and time.monotonic() - blob.opened < MAX_AGE else None

    async def get(self, sha256: str, size: int | None = None) -> OpenBlob:
        """Return the blob, opening it if need be; BlobMissing if it is not there, or not whole.

        `size`, in bytes, is what it must have; None when nobody knows.
        """
        blob = self.cached(sha256)
        if blob is None:
            blob = await asyncio.to_thread(_open, self._locate(sha256), sha256)
            self._keep(sha256, blob)
        if size is not None and blob.size != size:
            self._open.pop(sha256, None)
            raise BlobMissing(f"blob {sha256} has {blob.size} bytes on disk instead of {size}")
        return blob

    def drop_stale(self) -> None:
        """Let go of the blobs that were opened too long ago."""
        oldest = time.monotonic() - MAX_AGE
        for sha256 in [key for key, blob in self._open.items() if blob.opened < oldest]:
            del self._open[sha256]

    def clear(self) -> None:
        """Let go of all of them."""
        self._open.clear()

    def _keep(self, sha256: str, blob: OpenBlob) -> None:
        while len(self._open) >= MAX_OPEN:
            del self._open[next(iter(self._open))]
        self._open.pop(sha256, None)
        self._open[sha256] = blob


def _open(path: Path, sha256: str) -> OpenBlob:
    try:
        blob = OpenBlob(path)
    except FileNotFoundError as error:
        raise BlobMissing(f"blob {sha256} is not in the store") from error
    except OSError as error:
        raise BlobMissing(f"blob {sha256} can't be opened: {error.strerror}") from error
    if not blob.regular:
        raise BlobMissing(f"blob {sha256} is not a regular file")
    return blob
