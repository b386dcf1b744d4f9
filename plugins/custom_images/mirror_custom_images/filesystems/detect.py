"""What is on a partition: told by the magic that each format has at a place of its own."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.filesystems.filesystem import FileSystem

MIB = 1024**2

_HEAD = 4096
"""Bytes at the start that are read at once: most have their magic there."""

_BITLOCKER_TO_GO = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")

# Those that may have the remains of an older file system behind their own magic come first.
_MAGICS = (
    ("luks", 0, b"LUKS\xba\xbe"),
    ("bitlocker", 3, b"-FVE-FS-"),
    ("bitlocker", 0x1A8, _BITLOCKER_TO_GO),
    *(("lvm2", 512 * sector + 24, b"LVM2 001") for sector in range(4)),
    ("xfs", 0, b"XFSB"),
    ("ntfs", 3, b"NTFS    "),
    ("refs", 3, b"ReFS\0\0\0\0"),
    ("exfat", 3, b"EXFAT   "),
    ("squashfs", 0, b"hsqs"),
    ("erofs", 1024, b"\xe2\xe1\xf5\xe0"),
    ("f2fs", 1024, b"\x10\x20\xf5\xf2"),
    ("hfsplus", 1024, b"H+\0\4"),
    ("apfs", 32, b"NXSB"),
    ("linux_raid", 0, b"\xfc\x4e\x2b\xa9\1\0\0\0"),
    ("btrfs", 0x10040, b"_BHRfS_M"),
    ("linux_raid", 4096, b"\xfc\x4e\x2b\xa9\1\0\0\0"),
    ("iso9660", 0x8001, b"CD001"),
    ("jfs", 0x8000, b"JFS1"),
    ("vmfs", MIB, b"\x0d\xd0\x01\xc0"),
    ("swap", 0xFF6, b"SWAPSPACE2"),
    ("swap", 0xFFF6, b"SWAPSPACE2"),
)
"""(kind, offset in bytes, magic)."""

_EXT = struct.Struct("<3I")
_HAS_JOURNAL = 0x4
_EXT3_INCOMPATIBLE = 0x2 | 0x4 | 0x8 | 0x10  # filetype, recover, journal_dev, meta_bg
_EXT3_READ_ONLY = 0x1 | 0x2 | 0x4  # sparse_super, large_file, btree_dir


def kind_of(disk: Disk) -> str:
    """Name what is on a disk or a part of one, as Linux does; '' where it is nothing known."""
    head = disk.read(0, min(_HEAD, disk.size))
    for kind, offset, magic in _MAGICS:
        if _bytes_at(disk, head, offset, len(magic)) == magic:
            return kind
    if head[0x438:0x43A] == b"\x53\xef":
        return _kind_of_ext(head[0x400:])
    return "vfat" if _is_fat(head) else ""


def open_filesystem(disk: Disk) -> FileSystem | None:
    """Return the file system that is on a disk or a part of one; None: none that can be read.

    Raises `FormatError` where it is one of those, and damaged.
    """
    kind = kind_of(disk)
    if kind in ("ext2", "ext3", "ext4"):
        from mirror_custom_images.filesystems.ext import Ext

        return Ext(disk, kind)
    if kind == "xfs":
        from mirror_custom_images.filesystems.xfs import Xfs

        return Xfs(disk)
    if kind == "ntfs":
        from mirror_custom_images.filesystems.ntfs import Ntfs

        return Ntfs(disk)
    if kind == "vfat":
        from mirror_custom_images.filesystems.fat import Fat

        return Fat(disk)
    return None


def _bytes_at(disk: Disk, head: bytes, offset: int, size: int) -> bytes:
    if offset + size <= len(head):
        return head[offset : offset + size]
    return disk.read(offset, size) if offset + size <= disk.size else b""


def _kind_of_ext(superblock: bytes) -> str:
    compatible, incompatible, read_only = _EXT.unpack_from(superblock, 0x5C)
    if incompatible & ~_EXT3_INCOMPATIBLE or read_only & ~_EXT3_READ_ONLY:
        return "ext4"
    return "ext3" if compatible & _HAS_JOURNAL else "ext2"


def _is_fat(head: bytes) -> bool:
    """Say whether a boot sector describes a FAT: its label is a hint only, and may be missing."""
    if len(head) < 512 or head[510:512] != b"\x55\xaa":
        return False
    sector, cluster, reserved, tables = struct.unpack_from("<HBHB", head, 11)
    return (
        sector in (512, 1024, 2048, 4096)
        and cluster > 0
        and cluster & (cluster - 1) == 0
        and reserved > 0
        and tables in (1, 2)
        and (head[21] == 0xF0 or head[21] >= 0xF8)
    )
