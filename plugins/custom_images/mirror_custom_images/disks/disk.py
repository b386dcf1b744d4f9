"""What every disk is, whatever form the file has that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Disk(Protocol):
    """A disk, or a part of one. Whatever is read from it is hostile."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes; holes are zeros. Raises `FormatError` beyond the end."""
        ...

    def extents(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the (start, end) within a range that may hold something else than zeros, in order.

        What lies between two of them is zeros, and need not be read.
        """
        ...


class Part:
    """A part of a disk: a partition, a logical volume in one piece."""

    def __init__(self, disk: Disk, start: int, size: int) -> None:
        self._disk = disk
        self.start = start
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        """See `Disk.read`."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError(f"is read beyond its end: {offset + size:,} of {self.size:,} bytes")
        return self._disk.read(self.start + offset, size)

    def extents(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """See `Disk.extents`."""
        first, last = self.start + start, self.start + min(end, self.size)
        for begin, finish in self._disk.extents(first, last):
            yield begin - self.start, finish - self.start
