"""A raw disk for tests of what is on it: a file as it is, or bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FileDisk:
    """A file, or bytes in place of it (a memory file that is written once)."""

    def __init__(self, source: Path | bytes) -> None:
        self._bytes = source if isinstance(source, bytes) else None
        self._fd = os.memfd_create("disk") if isinstance(source, bytes) else os.open(source, 0)
        if self._bytes is not None:
            os.write(self._fd, self._bytes)
        self.size = os.fstat(self._fd).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read(self, offset: int, size: int) -> bytes:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError(f"is read beyond its end: {offset + size:,} of {self.size:,} bytes")
        data = os.pread(self._fd, size, offset)
        assert len(data) == size
        return data

    def extents(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        here = start
        while here < min(end, self.size):
            try:
                begin = os.lseek(self._fd, here, os.SEEK_DATA)
            except OSError:
                return
            here = os.lseek(self._fd, begin, os.SEEK_HOLE)
            if begin < end:
                yield begin, min(here, end)
