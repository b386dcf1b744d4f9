"""The superblock of XFS: where things are."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.formats import FormatError

if TYPE_CHECKING:
    from mirror_custom_images.disks.disk import Disk

_START = struct.Struct(">4sIQQQ16sQQQQIIIIIHHHH12s5B")
_FTYPE, _SPARSE_INODES, _META_UUID, _BIGTIME = 0x1, 0x2, 0x4, 0x8
_NEEDS_REPAIR, _MANY_EXTENTS, _EXCHANGE, _PARENT = 0x10, 0x20, 0x40, 0x80
_READABLE = (
    _FTYPE | _SPARSE_INODES | _META_UUID | _BIGTIME | _MANY_EXTENTS | _EXCHANGE | _PARENT
)  # fmt: skip
_V4_DIRECTORIES, _V4_MORE, _V4_FTYPE = 0x2000, 0x8000, 0x200


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """What the superblock says; sizes are in bytes, those of groups in blocks."""

    version: int
    block_size: int
    blocks: int
    group_blocks: int
    groups: int
    group_bits: int
    inode_size: int
    inodes_bits: int
    directory_block: int
    root: int
    log_start: int
    log_size: int
    has_types: bool
    """Whether a directory says of which type each entry is."""
    label: str

    def offset_of_inode(self, number: int) -> int:
        """Return where an inode is, in bytes."""
        block, index = number >> self.inodes_bits, number & (1 << self.inodes_bits) - 1
        return self.offset_of(block) + index * self.inode_size

    def offset_of(self, block: int, count: int = 1) -> int:
        """Return where `count` blocks are: the high bits of a block's number are its group."""
        group, within = block >> self.group_bits, block & (1 << self.group_bits) - 1
        if group >= self.groups or within + count > self.group_blocks:
            raise FormatError("is damaged: something is beyond its end")
        return (group * self.group_blocks + within) * self.block_size


def read_geometry(disk: Disk) -> Geometry:
    """Read the superblock. Raises `FormatError` where it makes no sense, or can't be read."""
    raw = disk.read(0, min(512, disk.size)).ljust(512, b"\0")
    (magic, block_size, blocks, _, _, _, log_start, root, _, _, _, group_blocks, groups, _,
     log_blocks, bits, _, inode_size, _, label, block_log, _, inode_log, inodes_bits,
     group_bits) = _START.unpack_from(raw)  # fmt: skip
    version, directory_log = bits & 0xF, raw[192]
    if magic != b"XFSB" or version not in (4, 5):
        raise FormatError("is damaged: it has no superblock, or one of an unknown version")
    sane = (
        9 <= block_log <= 16
        and block_size == 1 << block_log
        and 8 <= inode_log <= 11
        and inode_size == 1 << inode_log
        and inodes_bits == block_log - inode_log
        and 0 < group_blocks <= 1 << group_bits <= 1 << 31
        and directory_log + block_log <= 16
        and groups * group_blocks < 1 << 52
    )
    if not sane:
        raise FormatError("is damaged: its superblock makes no sense")
    geometry = Geometry(
        version=version,
        block_size=block_size,
        blocks=blocks,
        group_blocks=group_blocks,
        groups=groups,
        group_bits=group_bits,
        inode_size=inode_size,
        inodes_bits=inodes_bits,
        directory_block=block_size << directory_log,
        root=root,
        log_start=log_start,
        log_size=log_blocks * block_size,
        has_types=_has_types(raw, version, bits),
        label=label.split(b"\0")[0].decode("utf-8", "replace"),
    )
    if blocks * block_size > disk.size:
        raise FormatError(f"is cut: {disk.size:,} bytes of {blocks * block_size:,}")
    return geometry


def _has_types(raw: bytes, version: int, bits: int) -> bool:
    if version == 4:
        if not bits & _V4_DIRECTORIES:
            raise FormatError("has directories of the first version, which can't be read")
        more = struct.unpack_from(">I", raw, 200)[0] if bits & _V4_MORE else 0
        return bool(more & _V4_FTYPE)
    (incompatible,) = struct.unpack_from(">I", raw, 216)
    if incompatible & _NEEDS_REPAIR:
        raise FormatError("is damaged, as it says itself: xfs_repair has not ended")
    if incompatible & ~_READABLE:
        unknown = incompatible & ~_READABLE
        raise FormatError(f"has a feature of XFS that can't be read: {unknown:#x}")
    return bool(incompatible & _FTYPE)
