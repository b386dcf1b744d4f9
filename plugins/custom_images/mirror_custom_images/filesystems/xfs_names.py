"""What is in a directory of XFS: in the inode where it is short, else in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.filesystems.xfs_geometry import Geometry

_HEADERS = {b"XD2D": 16, b"XD2B": 16, b"XDD3": 64, b"XDB3": 64}
_WITH_TAIL = (b"XD2B", b"XDB3")
"""A directory of one block, with the index in it, at its end."""
_UNUSED = b"\xff\xff"


def names_in_inode(raw: bytes, geometry: Geometry) -> Iterator[tuple[bytes, int]]:
    """Yield the names in a short directory, with the number of each inode."""
    if len(raw) < 6:
        raise FormatError("is damaged: a directory can't be read")
    width = 8 if raw[1] else 4
    at = 2 + width
    more = geometry.has_types + width
    for _ in range(raw[0]):
        length = raw[at] if at < len(raw) else 0
        end = at + 3 + length + more
        if not length or end > len(raw):
            raise FormatError("is damaged: a directory can't be read")
        yield raw[at + 3 : at + 3 + length], int.from_bytes(raw[end - width : end], "big")
        at = end


def names_in_block(block: bytes, geometry: Geometry) -> Iterator[tuple[bytes, int]]:
    """Yield the names in a block of a directory, with the number of each inode."""
    if len(block) < geometry.directory_block:
        raise FormatError("is damaged: a directory can't be read")
    magic = block[:4]
    at, end = _HEADERS.get(magic, 0), len(block)
    if magic in _WITH_TAIL:
        end -= 8 + 8 * int.from_bytes(block[-8:-4], "big")
    if not at or at > end:
        raise FormatError("is damaged: a directory can't be read")
    while at < end:
        if block[at : at + 2] == _UNUSED:
            length = int.from_bytes(block[at + 2 : at + 4], "big")
            if length < 8 or length % 8:
                raise FormatError("is damaged: a directory can't be read")
            at += length
            continue
        length = block[at + 8] if at + 8 < end else 0
        size = 11 + length + geometry.has_types
        if not length or at + size > end:
            raise FormatError("is damaged: a directory can't be read")
        yield block[at + 9 : at + 9 + length], int.from_bytes(block[at : at + 8], "big")
        at += size + -size % 8
