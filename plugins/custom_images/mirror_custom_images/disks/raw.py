"""A disk that a file holds as it is; and the file that a disk of another form is in."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_MOST = 1 << 30
"""Bytes of one system call; the kernel gives no more than 2 GiB."""


class RawDisk:
    """An open file, as a disk: holes in it are holes of the disk.

    Nothing in it moves, so that any number of threads may read at once.
    """

    def __init__(self, fd: int) -> None:
        """Take a file that is open for reading, and stays so as long as the disk is used."""
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def read(self, offset: int, size: int) -> bytes:
        """See `Disk.read`."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError(f"is read beyond its end: {offset + size:,} of {self.size:,} bytes")
        data = os.pread(self._fd, min(size, _AT_MOST), offset)
        if len(data) == size:
            return data
        pieces = [data]
        while size := size - len(pieces[-1]):
            offset += len(pieces[-1])
            pieces.append(os.pread(self._fd, min(size, _AT_MOST), offset))
            if not pieces[-1]:
                raise FormatError(f"is cut while it is read: it ends after {offset:,} bytes now")
        return b"".join(pieces)

    def extents(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """See `Disk.extents`: what the file system knows of holes."""
        end = min(end, self.size)
        while start < end:
            try:
                start = os.lseek(self._fd, start, os.SEEK_DATA)
                finish = os.lseek(self._fd, start, os.SEEK_HOLE)
            except OSError as error:
                if error.errno != errno.ENXIO:  # this file system tells nothing of holes
                    yield start, end
                return
            if start < end:
                yield start, min(finish, end)
            start = finish
