"""squashfs images: the superblock, and the ends of every table. The data is not read.

The tables are last in an image, so an image that was cut has none of them. What is looked at is
bounded: a few blocks of 8 KiB, for an image of any size.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from mirror.formats.errors import FormatError
from mirror.formats.head import check_head
from mirror.formats.squashfs_metadata import METADATA, MetadataReader

if TYPE_CHECKING:
    from pathlib import Path

COMPRESSIONS = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
SUPERBLOCK = struct.Struct("<4sIIIIHHHHHHQQQQQQQQ")
MAGIC = b"hsqs"
BLOCK_LOGS = range(12, 21)
NOT_THERE = 0xFFFFFFFFFFFFFFFF
DIRECTORIES = {1: struct.Struct("<16xI4xHH"), 8: struct.Struct("<16x4xII6xH")}
"""Kinds of inode that are directories: where the listing is, and how long, in another order."""

LARGE_DIRECTORY = 8
EMPTY_LISTING = 3
INODE_KINDS = range(1, 15)
EXPORT_ENTRY, FRAGMENT_ENTRY, ID_ENTRY, XATTR_ENTRY = 8, 16, 4, 16


class _Superblock(NamedTuple):
    magic: bytes
    inodes: int
    made: int
    block_size: int
    fragments: int
    compression: int
    block_log: int
    flags: int
    ids: int
    major: int
    minor: int
    root: int
    bytes_used: int
    id_table: int
    xattr_table: int
    inode_table: int
    directory_table: int
    fragment_table: int
    export_table: int


@dataclass(frozen=True)
class Squashfs:
    """What an image says of itself; sizes are in bytes.

    `compression` is `kind N` where it is one that came after those that are known.

    `size` is the file's: images are padded to 4 KiB, and may have something behind (`appended`).
    """

    compression: str
    bytes_used: int
    block_size: int
    inodes: int
    created: datetime
    size: int
    fragments: int
    ids: int

    @property
    def appended(self) -> int:
        """How many bytes are behind the image and its padding to 4 KiB."""
        return max(0, self.size - self.bytes_used - -self.bytes_used % 4096)


def read_squashfs(file: Path) -> Squashfs:
    """Read the superblock and look at every table.

    Raises `FormatError` where the file is no squashfs 4.0, is cut, or has tables that can't be.
    """
    with file.open("rb", buffering=0) as stream:
        head = stream.read(SUPERBLOCK.size)
        size = os.fstat(stream.fileno()).st_size
        if not head.startswith(MAGIC):
            check_head(head)
            raise FormatError("is no squashfs image")
        if len(head) < SUPERBLOCK.size:
            raise FormatError(f"is cut: {size} bytes, less than a superblock")
        superblock = _Superblock(*SUPERBLOCK.unpack(head))
        _check_superblock(superblock, size)
        _check_order(superblock)
        _check_tables(superblock, stream)
    return Squashfs(
        compression=_compression(superblock),
        bytes_used=superblock.bytes_used,
        block_size=superblock.block_size,
        inodes=superblock.inodes,
        created=datetime.fromtimestamp(superblock.made, UTC),
        size=size,
        fragments=superblock.fragments,
        ids=superblock.ids,
    )


def _compression(superblock: _Superblock) -> str:
    number = superblock.compression
    return COMPRESSIONS.get(number, f"kind {number}")


def _check_superblock(superblock: _Superblock, size: int) -> None:
    version = superblock.major, superblock.minor
    if version != (4, 0):
        raise FormatError("is squashfs {}.{}, which Linux doesn't mount: not 4.0".format(*version))
    if not superblock.compression:
        raise FormatError("is damaged: it is compressed in no way at all")
    block_log = superblock.block_log
    if block_log not in BLOCK_LOGS or superblock.block_size != 1 << block_log:
        raise FormatError(
            f"is damaged: blocks of {superblock.block_size} bytes, and of 2^{block_log}"
        )
    if superblock.bytes_used > size:
        raise FormatError(f"is cut: {size} bytes of {superblock.bytes_used}")
    if not superblock.ids or not superblock.inodes:
        raise FormatError("is damaged: it has no inodes, or none that anyone owns")


def _check_order(superblock: _Superblock) -> None:
    """Check that tables come in the order that they are written in."""
    tables = {
        "inode": superblock.inode_table,
        "directory": superblock.directory_table,
        "fragment": superblock.fragment_table,
        "export": superblock.export_table,
        "id": superblock.id_table,
        "xattr": superblock.xattr_table,
    }
    last, before = SUPERBLOCK.size, "superblock"
    for name, start in tables.items():
        if start == NOT_THERE and name in {"fragment", "export", "xattr"}:
            continue
        if not last <= start < superblock.bytes_used:
            raise FormatError(
                f"is damaged: its {name} table is at {start}, not between the {before} and the end"
            )
        last, before = start, f"{name} table"
    if superblock.fragments and superblock.fragment_table == NOT_THERE:
        raise FormatError("is damaged: it has fragments and no table of them")


def _check_tables(superblock: _Superblock, stream: BinaryIO) -> None:
    """Expand the ends of each table, and follow the root to its inode and its directory."""
    reader = MetadataReader(stream, _compression(superblock), superblock.bytes_used)
    _check_root(superblock, reader)
    if superblock.fragment_table != NOT_THERE:
        reader.indexed("fragment", superblock.fragment_table, superblock.fragments, FRAGMENT_ENTRY)
    if superblock.export_table != NOT_THERE:
        reader.indexed("export", superblock.export_table, superblock.inodes, EXPORT_ENTRY)
    if superblock.xattr_table != NOT_THERE:
        start, count = struct.unpack("<QI4x", reader.read(superblock.xattr_table, 16))
        if not SUPERBLOCK.size <= start <= superblock.xattr_table:
            raise FormatError(f"is damaged: its xattrs are at {start}, behind their table")
        reader.indexed("xattr", superblock.xattr_table + 16, count, XATTR_ENTRY)
    reader.indexed("id", superblock.id_table, superblock.ids, ID_ENTRY)


def _check_root(superblock: _Superblock, reader: MetadataReader) -> None:
    """Look at the first block of inodes, at the root's, and at where the root's listing begins."""
    inodes, listings = superblock.inode_table, superblock.directory_table
    first = reader.block("inode", inodes, listings)
    if first is None:
        return
    if len(first) < 2 or struct.unpack_from("<H", first)[0] not in INODE_KINDS:
        raise FormatError("is damaged: its inode table begins with something else")
    block, offset = superblock.root >> 16, superblock.root & 0xFFFF
    inode = (reader.block("inode", inodes + block, listings) or b"")[offset:]
    kind = struct.unpack_from("<H", inode)[0] if len(inode) >= 2 else 0
    if offset >= METADATA or kind not in DIRECTORIES:
        raise FormatError("is damaged: its root is no directory")
    layout = DIRECTORIES[kind]
    if len(inode) < layout.size:
        return  # the rest of it is in the next block
    start, size, where = layout.unpack_from(inode)
    if kind == LARGE_DIRECTORY:
        start, size = size, start
    if size <= EMPTY_LISTING:
        return
    listing = reader.block("directory", listings + start, superblock.id_table)
    if listing is not None and where >= len(listing):
        raise FormatError("is damaged: the listing of its root is not where it says")
