"""The libyal libraries over our disks: what they read, and what they raise.

They are written in C, and read through an object with `read`, `seek`, `tell` and `get_size`.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.disks.disk import Disk

_RAISED = (OSError, ValueError, OverflowError, MemoryError, SystemError, TypeError, RuntimeError)
"""What the libraries raise for a damaged file system, beside what comes out of our disk."""


class DiskFile:
    """A disk as a file for a library; it keeps why a read failed, which a library forgets."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._at = 0
        self.failure: FormatError | None = None

    def read(self, size: int = -1) -> bytes:
        """Return what is there, up to the end of the disk."""
        left = max(self._disk.size - self._at, 0)
        wanted = left if size < 0 else min(size, left)
        try:
            data = self._disk.read(self._at, wanted)
        except FormatError as error:
            self.failure = error
            raise
        self._at += wanted
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        base = (0, self._at, self._disk.size)[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """Say where it is."""
        return self._at

    def get_size(self) -> int:
        """Return the size of the disk, in bytes."""
        return self._disk.size

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Make a `FormatError` of whatever a library raises in here; `what` it was reading."""
        self.failure = None
        try:
            yield
        except FormatError:
            raise
        except _RAISED as error:
            if self.failure is not None:
                raise self.failure from error
            raise FormatError(f"is damaged: {what} can't be read") from error


class _Content(Protocol):
    def read_buffer_at_offset(self, size: int, offset: int) -> bytes: ...


class Stream(io.RawIOBase):
    """The content of a file, as a library reads it from any place."""

    def __init__(self, file: DiskFile, entry: _Content, size: int, path: str) -> None:
        super().__init__()
        self._file = file
        self._entry = entry
        self._size = size
        self._path = path
        self._at = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Say where it is."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        self._at = max((0, self._at, self._size)[whence] + offset, 0)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill all of `buffer`, unless the content ends before."""
        view = memoryview(buffer).cast("B")
        wanted = max(min(len(view), self._size - self._at), 0)
        if not wanted:
            return 0
        with self._file.reading(self._path):
            data = self._entry.read_buffer_at_offset(wanted, self._at)
        if not data:
            raise FormatError(f"is damaged: {self._path} ends before its {self._size:,} bytes")
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
