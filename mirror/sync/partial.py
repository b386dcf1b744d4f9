"""A file being received: appended to in order, hashed as it comes, resumable at any time.

Every function blocks: call them in threads.
"""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING

from mirror.store.durable import disk_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_READ = 1 << 20
_MAX_VECTOR = 512
"""Buffers of one writev: below the kernel's limit of 1024."""


class Partial:
    """The bytes of one file so far, at `path`. Its length always is a true prefix of the file.

    `size` bytes are here; `validator` is the ETag or Last-Modified of the answer that they came
    from, kept in a file beside it for the next process to resume with. Raises the errors
    of the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.validator = ""
        self._note = path.with_name(path.name + ".validator")
        self._digest = hashlib.sha256()
        # close() may come from another thread than a running append()
        self._lock = threading.Lock()
        self._fd = -1

    def open(self, limit: int) -> None:
        """Open the file, and hash what an earlier run left of it, unless that is beyond `limit`."""
        with self._lock, disk_errors(self.path):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self.path, flags, 0o600)
            if os.fstat(self._fd).st_size > limit:
                os.ftruncate(self._fd, 0)
            while block := os.read(self._fd, _READ):
                self._digest.update(block)
                self.size += len(block)
            if self.size and self._note.exists():
                self.validator = self._note.read_text(encoding="latin-1")

    def append(self, chunks: Sequence[bytes], count: int) -> None:
        """Hash and write `chunks`, of `count` bytes in all."""
        with self._lock, disk_errors(self.path):
            for chunk in chunks:
                self._digest.update(chunk)
            for start in range(0, len(chunks), _MAX_VECTOR):
                _write(self._fd, chunks[start : start + _MAX_VECTOR])
            # On Linux this starts the write-back of what was just written and drops nothing that is
            # dirty: the fsync at the end of the file then finds little left to wait for.
            os.posix_fadvise(self._fd, self.size, count, os.POSIX_FADV_DONTNEED)
            self.size += count

    def note_validator(self, validator: str) -> None:
        """Remember which answer the bytes come from."""
        with self._lock, disk_errors(self._note):
            self.validator = validator
            self._note.write_text(validator, encoding="latin-1")

    def restart(self) -> None:
        """Drop every byte."""
        with self._lock, disk_errors(self.path):
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            self._note.unlink(missing_ok=True)
            self.size, self.validator, self._digest = 0, "", hashlib.sha256()

    def hexdigest(self) -> str:
        """Return the sha256 of the bytes so far."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the file after a running append. May be called again."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def abandon(self) -> None:
        """Close a file that could not be had. What came of it is kept for the next run."""
        self.close()
        if not self.size:
            with disk_errors(self.path):
                self.path.unlink(missing_ok=True)
                self._note.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove the note beside a file that is whole."""
        with disk_errors(self._note):
            self._note.unlink(missing_ok=True)


def _write(fd: int, chunks: Sequence[bytes]) -> None:
    missing = sum(map(len, chunks)) - os.writev(fd, chunks)
    if missing:
        rest = memoryview(b"".join(chunks))[-missing:]
        while rest:
            rest = rest[os.write(fd, rest) :]
