"""A disk of which the pieces lie here and there in a file: what qcow2, VHD and VHDX have in common.

A piece is (start, end, source): bytes of the disk, and where they are: an offset in the file, or a
function that returns those from `start` to `end`. What is in no piece is zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from mirror.formats import FormatError

if TYPE_CHECKING:
    from mirror_custom_images.disks.raw import RawDisk

LARGEST = 2 * 1024**4
"""Bytes of a disk that is in a form of its own: no machine is deployed with a larger one."""

Source = int | Callable[[int, int], bytes]
Piece = tuple[int, int, Source]


class MappedDisk:
    """A disk whose pieces a function finds: those from `start` to `end`, in order, and no more."""

    def __init__(
        self, file: RawDisk, size: int, pieces: Callable[[int, int], Iterator[Piece]]
    ) -> None:
        """Take the file, the bytes of the disk, and what finds its pieces."""
        self._file = file
        self._pieces = pieces
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        """See `Disk.read`: pieces that lie behind each other in the file are read at once."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError(f"is read beyond its end: {offset + size:,} of {self.size:,} bytes")
        parts, here = [], offset
        for start, end, source in _joined(self._pieces(offset, offset + size)):
            if start > here:
                parts.append(bytes(start - here))
            if isinstance(source, int):
                parts.append(self._file.read(source, end - start))
            else:
                parts.append(source(start, end))
            here = end
        if here < offset + size:
            parts.append(bytes(offset + size - here))
        return b"".join(parts)

    def extents(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """See `Disk.extents`."""
        begin = finish = 0
        for start_of_piece, end_of_piece, _ in self._pieces(start, min(end, self.size)):
            if start_of_piece != finish:
                if finish > begin:
                    yield begin, finish
                begin = start_of_piece
            finish = end_of_piece
        if finish > begin:
            yield begin, finish


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Make one of pieces that follow each other on the disk, and in the file as well."""
    held: Piece | None = None
    for piece in pieces:
        if held is not None:
            start, end, source = held
            if (
                end == piece[0]
                and isinstance(source, int)
                and isinstance(piece[2], int)
                and source + end - start == piece[2]
            ):
                held = (start, piece[1], source)
                continue
            yield held
        held = piece
    if held is not None:
        yield held


# --- disks in blocks of one size ------------------------------------------------------------------


def blocks(
    table: Callable[[int], int], block: int, start: int, end: int
) -> Iterator[tuple[int, int, int]]:
    """Yield the pieces of a disk that is kept in blocks.

    `table` returns the offset of a block in the file, -1 for one that is zeros.
    """
    for index in range(start // block, -(-end // block)):
        at = table(index)
        if at >= 0:
            first, last = max(start, index * block), min(end, (index + 1) * block)
            yield first, last, at + first - index * block


def check_blocks(table: Sequence[int], block: int, size: int, room: int) -> None:
    """Raise `FormatError` for blocks that are not within a file of `room` bytes, or overlap there.

    Of the last block no more needs to be there than the disk has.
    """
    count = 0
    for index, at in enumerate(table):
        if at < 0:
            continue
        count += 1
        if at + min(block, size - index * block) > room:
            raise FormatError(f"is cut: its data goes on after {room:,} bytes")
        if count * block > room + block:
            raise FormatError("is damaged: blocks in it overlap")


def check_size(size: int) -> None:
    """Raise `FormatError` for a size that no disk has."""
    if not 0 < size <= LARGEST:
        raise FormatError(f"holds a disk of {size:,} bytes: {LARGEST:,} are the most")
