"""Where the data of a fork of an XFS inode is: a list of extents in it, or a tree of them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from mirror.formats import FormatError
from mirror_custom_images.filesystems.content import Content, Run, checked_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.filesystems.content import Metadata
    from mirror_custom_images.filesystems.xfs_geometry import Geometry

LOCAL, EXTENTS, BTREE = 1, 2, 3
"""How a fork holds its data: itself, in extents that it lists, or in a tree that begins in it."""

_EXTENT = struct.Struct(">QQ")
_NODE = struct.Struct(">4sHH")
_HEADERS = {b"BMAP": 24, b"BMA3": 72}
_MAX_LEVEL = 9


class Fork(NamedTuple):
    """A fork of an inode: `raw` in the inode, `form` of it, and how many extents it lists."""

    raw: bytes
    form: int
    listed: int


def content_of(
    fork: Fork, size: int, disk: Disk, geometry: Geometry, metadata: Metadata
) -> Content:
    """Return the `size` bytes of a fork that is not local, or less where no data is that far."""
    if fork.form == EXTENTS:
        runs = _extents(fork.raw[: fork.listed * 16], geometry)
    else:
        runs = _tree(fork.raw, geometry, metadata)
    return Content(disk, size, checked_runs(runs, size, disk.size))


def _extents(raw: bytes, geometry: Geometry) -> Iterator[Run]:
    for high, low in _EXTENT.iter_unpack(raw):
        length = low & 0x1FFFFF
        if high >> 63 or not length:  # reserved, and never written: zeros
            continue
        start = high >> 9 & (1 << 54) - 1
        at = geometry.offset_of((high & 0x1FF) << 43 | low >> 21, length)
        yield Run(start * geometry.block_size, at, length * geometry.block_size)


def _tree(root: bytes, geometry: Geometry, metadata: Metadata) -> Iterator[Run]:
    size = geometry.block_size
    seen: set[int] = set()

    def node(block: int, level: int) -> Iterator[Run]:
        if block in seen:
            raise FormatError("is damaged: the tree of a file's extents has a loop")
        seen.add(block)
        raw = metadata.read(geometry.offset_of(block), size)
        magic, own_level, count = _NODE.unpack_from(raw)
        header = _HEADERS.get(magic)
        if header is None or own_level != level or header + 16 * count > size:
            raise FormatError("is damaged: the tree of a file's extents can't be read")
        if not level:
            yield from _extents(raw[header : header + 16 * count], geometry)
            return
        pointers = header + (size - header) // 16 * 8
        for child in struct.unpack_from(f">{count}Q", raw, pointers):
            yield from node(child, level - 1)

    level, count = struct.unpack_from(">HH", root.ljust(4, b"\0"))
    pointers = 4 + (len(root) - 4) // 16 * 8
    if not 0 < level <= _MAX_LEVEL or pointers + 8 * count > len(root):
        raise FormatError("is damaged: the tree of a file's extents can't be read")
    for child in struct.unpack_from(f">{count}Q", root, pointers):
        yield from node(child, level - 1)
