"""The content of a file whose data lies in pieces on a disk, with holes between them."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mirror_custom_images.disks.disk import Disk

MAX_READ = 64 * 1024**2
"""Bytes of one `read()`, which is in memory, where nothing says how many are wanted."""

_PIECE = 256 * 1024
_PIECES_KEPT = 64


class Run(NamedTuple):
    """A piece of a file that lies in one piece on the disk; all in bytes."""

    start: int
    """In the file."""
    at: int
    """On the disk."""
    length: int


class Content(io.RawIOBase):
    """A file's content: `runs` in order, without overlaps; what is in none of them is zeros."""

    def __init__(self, disk: Disk, size: int, runs: Sequence[Run]) -> None:
        super().__init__()
        self._disk = disk
        self._runs = runs
        self._starts = [run.start for run in runs] if len(runs) > 1 else None
        self.size = size
        self._at = 0

    def pieces(self) -> list[tuple[int, int]]:
        """Return the (start, end) that may hold something else than zeros, in order."""
        found: list[tuple[int, int]] = []
        for run in self._runs:
            end = min(run.start + run.length, self.size)
            if found and found[-1][1] == run.start:
                found[-1] = (found[-1][0], end)
            elif run.start < end:
                found.append((run.start, end))
        return found

    def read_at(self, offset: int, size: int) -> bytes:
        """Return what is there: `size` bytes, fewer only at the end."""
        end = min(offset + size, self.size)
        if offset >= end:
            return b""
        index = max(bisect_right(self._starts, offset) - 1, 0) if self._starts else 0
        parts = []
        here = offset
        while here < end and index < len(self._runs):
            start, at, length = self._runs[index]
            index += 1
            if here < start:
                hole = min(start, end) - here
                parts.append(bytes(hole))
                here += hole
            count = min(start + length, end) - here
            if count > 0:
                parts.append(self._disk.read(at + here - start, count))
                here += count
        if here < end:
            parts.append(bytes(end - here))
        return parts[0] if len(parts) == 1 else b"".join(parts)

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
        self._at = max((0, self._at, self.size)[whence] + offset, 0)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Return the next `size` bytes, fewer only at the end.

        Raises `FormatError` where all is wanted, and that is more than fits into memory.
        """
        if size is None or size < 0:
            size = self.size - self._at
            if size > MAX_READ:
                raise FormatError(f"has a file of {self.size:,} bytes where a small one should be")
        data = self.read_at(self._at, size)
        self._at += len(data)
        return data

    def readall(self) -> bytes:
        """Return the rest, as `read()`."""
        return self.read()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill all of `buffer`, unless the content ends before."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


def checked_runs(runs: Iterable[Run], size: int, disk_size: int) -> list[Run]:
    """Return the runs of a file of `size` bytes, neighbours made one; `FormatError` for bad ones.

    Each begins where the one before ends, or later; and is on the disk.
    """
    found: list[Run] = []
    end = 0
    for start, at, length in runs:
        if start < end or at < 0 or at + length > disk_size:
            raise FormatError("is damaged: data of a file overlaps, or is beyond the end")
        end = start + length
        if start >= size:
            continue
        if found and found[-1].start + found[-1].length == start:
            last = found[-1]
            if last.at + last.length == at:
                found[-1] = Run(last.start, last.at, last.length + length)
                continue
        found.append(Run(start, at, length))
    return found


class Metadata:
    """Small reads of what lies close together, out of large pieces that are kept for a while."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def read(self, offset: int, size: int) -> bytes:
        """See `Disk.read`."""
        index, at = divmod(offset, _PIECE)
        if at + size > _PIECE or offset < 0:
            return self._disk.read(offset, size)
        piece = self._kept.get(index)
        if piece is None:
            start = index * _PIECE
            piece = self._disk.read(start, max(min(_PIECE, self._disk.size - start), 0))
            self._kept[index] = piece
            if len(self._kept) > _PIECES_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(index)
        if at + size > len(piece):
            raise FormatError("is damaged: something is beyond its end")
        return piece[at : at + size]
