"""Where the blocks of a file are on ext2, ext3 (lists of blocks) and ext4 (extents)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mirror.formats import FormatError
from mirror_custom_images.filesystems.content import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HEADER = struct.Struct("<4H4x")
_EXTENT = struct.Struct("<IHHI")
_INDEX = struct.Struct("<IIH2x")
_MAGIC = 0xF30A
_MAX_DEPTH = 5
_WRITTEN = 32768
"""Blocks of the longest extent; a longer one is reserved only: zeros of that many blocks less."""

_DIRECT = 12


def runs_of(
    root: bytes, block_size: int, size: int, read: Callable[[int], bytes], *, extents: bool
) -> Iterator[Run]:
    """Yield where the data of a file of `size` bytes is; `root` is the 60 bytes in its inode.

    `read` returns a block. Raises `FormatError`; ends, whatever the blocks hold.
    """
    if not size:
        return
    if extents:
        yield from _extents(root, block_size, read)
        return
    wanted = -(-size // block_size)
    start, length, at = 0, 0, 0
    for logical, physical in _listed(root, block_size, wanted, read):
        if length and logical == start + length and physical == at + length:
            length += 1
            continue
        if length:
            yield Run(start * block_size, at * block_size, length * block_size)
        start, at, length = logical, physical, 1
    if length:
        yield Run(start * block_size, at * block_size, length * block_size)


def _extents(root: bytes, block_size: int, read: Callable[[int], bytes]) -> Iterator[Run]:
    nodes = _Nodes(read)

    def node(data: bytes, level: int | None) -> Iterator[Run]:
        magic, entries, _, depth = _HEADER.unpack_from(data)
        fits = 12 + 12 * entries <= len(data)
        if magic != _MAGIC or not fits or depth > _MAX_DEPTH or level not in (None, depth):
            raise FormatError("is damaged: the list of a file's extents can't be read")
        for at in range(12, 12 + 12 * entries, 12):
            if depth:
                _, low, high = _INDEX.unpack_from(data, at)
                yield from node(nodes.read(low | high << 32), depth - 1)
                continue
            first, length, high, low = _EXTENT.unpack_from(data, at)
            if length <= _WRITTEN:
                physical = low | high << 32
                yield Run(first * block_size, physical * block_size, length * block_size)

    yield from node(root, None)


def _listed(
    root: bytes, block_size: int, wanted: int, read: Callable[[int], bytes]
) -> Iterator[tuple[int, int]]:
    """Yield (number in the file, number on the disk) of each block that there is."""
    nodes = _Nodes(read)
    each = block_size // 4

    def below(block: int, level: int, first: int) -> Iterator[tuple[int, int]]:
        if not block or first >= wanted:
            return
        if not level:
            yield first, block
            return
        span = each ** (level - 1)
        for index, child in enumerate(struct.unpack(f"<{each}I", nodes.read(block))):
            if child:
                yield from below(child, level - 1, first + index * span)

    first = 0
    for index, block in enumerate(struct.unpack("<15I", root)):
        level = max(index - _DIRECT + 1, 0)
        yield from below(block, level, first)
        first += each**level


class _Nodes:
    """Reads blocks of a tree, each once: one that is in itself has no end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._seen: set[int] = set()

    def read(self, block: int) -> bytes:
        if block in self._seen:
            raise FormatError("is damaged: the list of a file's blocks has a loop")
        self._seen.add(block)
        return self._read(block)
