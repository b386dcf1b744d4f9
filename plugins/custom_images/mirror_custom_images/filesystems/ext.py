"""ext2, ext3 and ext4: the superblock, the inodes, and what is in a directory.

Offsets are those of the format's documentation; all numbers are little endian.
"""

from __future__ import annotations

import stat
import struct
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, cast

from mirror.formats import FormatError
from mirror_custom_images.filesystems.content import Content, Metadata, checked_runs
from mirror_custom_images.filesystems.ext_blocks import runs_of
from mirror_custom_images.filesystems.ext_xattrs import read_xattrs
from mirror_custom_images.filesystems.unix_tree import Inode, UnixTree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirror_custom_images.disks.disk import Disk

_FILETYPE, _RECOVER, _META_BG, _EXTENTS, _64BIT = 0x2, 0x4, 0x10, 0x40, 0x80
_MMP, _FLEX_BG, _EA_INODE, _CSUM_SEED, _LARGE_DIR = 0x100, 0x200, 0x400, 0x2000, 0x4000
_INLINE_DATA, _ENCRYPT, _CASEFOLD = 0x8000, 0x10000, 0x20000
_READABLE = (
    _FILETYPE | _RECOVER | _META_BG | _EXTENTS | _64BIT | _MMP | _FLEX_BG | _EA_INODE
    | _CSUM_SEED | _LARGE_DIR | _INLINE_DATA | _ENCRYPT | _CASEFOLD
)  # fmt: skip
_SPARSE_SUPER, _SPARSE_SUPER2 = 0x1, 0x200

_VALID = 0x1
"""The state of one that is not mounted."""

_ENCRYPTED_INODE, _EXTENTS_INODE, _INLINE_INODE = 0x800, 0x80000, 0x10000000

_INODE = struct.Struct("<HHIIiiIHHII4x60sIIII4xHH")
_EXTRA_MTIME = 136
_DIRENT = struct.Struct("<IHB")
_MAX_DIRECTORY = 512 * 1024**2


class Ext(UnixTree):
    """A file system of this family, `kind` of it as Linux names it."""

    def __init__(self, disk: Disk, kind: str = "ext4") -> None:
        """Raise `FormatError` where it is damaged, or has a feature that can't be read."""
        self._inodes = Inodes(disk)
        super().__init__(self._inodes)
        self.kind = kind
        self.label = self._inodes.label
        self.uuid = self._inodes.uuid

    @property
    def is_dirty(self) -> bool:
        """Whether it was not unmounted: changes may be in its journal, and not in their places."""
        return self._inodes.in_use


class Inodes:
    """The inodes of a file system, and all that is found by them."""

    root = 2

    def __init__(self, disk: Disk) -> None:
        if disk.size < 4096:
            raise FormatError(f"is cut: {disk.size:,} bytes are no file system")
        self._disk = disk
        self._metadata = Metadata(disk)
        block = disk.read(1024, 1024)
        self._count, self._blocks = struct.unpack_from("<2I", block)
        self._first_block, scale = struct.unpack_from("<2I", block, 20)
        self._per_group, _, self._inodes_per_group = struct.unpack_from("<3I", block, 32)
        revision, *_, size, _, compatible, incompatible, self._read_only = struct.unpack_from(
            "<I2HIHH3I", block, 76
        )
        self.label = block[120:136].split(b"\0")[0].decode("utf-8", "replace")
        self.uuid = block[104:120].hex()
        self._features = incompatible
        self._inode_size = size if revision else 128
        self._check(block, scale)
        self._block_size: int = 1024 << scale
        wide = incompatible & _64BIT
        self._superblock = 1 if self._block_size == 1024 else 0
        self._descriptor_size = struct.unpack_from("<H", block, 254)[0] if wide else 32
        self._first_meta_group = struct.unpack_from("<I", block, 260)[0]
        two_backups = compatible & _SPARSE_SUPER2
        self._backups = struct.unpack_from("<2I", block, 588) if two_backups else None
        self._tables: dict[int, int] = {}
        (state,) = struct.unpack_from("<H", block, 58)
        self.in_use = bool(incompatible & _RECOVER) or not state & _VALID

    def _check(self, block: bytes, scale: int) -> None:
        if block[56:58] != b"\x53\xef":
            raise FormatError("is damaged: it has no superblock")
        if self._features & ~_READABLE:
            unknown = self._features & ~_READABLE
            raise FormatError(f"has a feature of ext4 that can't be read: {unknown:#x}")
        size = self._inode_size
        sane = scale <= 6 and self._per_group and self._inodes_per_group
        if not sane or size < 128 or size & (size - 1) or size > 1024 << scale:
            raise FormatError("is damaged: its superblock makes no sense")
        if self._features & _64BIT and not 32 <= struct.unpack_from("<H", block, 254)[0] <= 1024:
            raise FormatError("is damaged: its superblock makes no sense")

    def inode(self, number: int) -> Inode:
        """Return an inode, whatever is in it."""
        if not 0 < number <= self._count:
            raise FormatError(f"is damaged: a directory names inode {number}, which can't be")
        group, index = divmod(number - 1, self._inodes_per_group)
        table = self._tables.get(group)
        if table is None:
            table = self._tables[group] = self._table(group)
        raw = self._metadata.read(table + index * self._inode_size, self._inode_size)
        (mode, uid, size, _, _, mtime, _, gid, links, _, flags,
         blocks, _, _, size_high, _, uid_high, gid_high) = _INODE.unpack_from(raw)  # fmt: skip
        if stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and self._features & _LARGE_DIR):
            size |= size_high << 32
        device = (0, 0)
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            device = _device(*struct.unpack_from("<2I", blocks))
        return Inode(
            number=number,
            mode=mode,
            uid=uid | uid_high << 16,
            gid=gid | gid_high << 16,
            size=size,
            mtime=_time(raw, mtime),
            links=links,
            raw=raw,
            device=device,
            flags=flags,
        )

    def names(self, inode: Inode) -> Iterator[tuple[bytes, int]]:
        """Yield what is in a directory; one with an index is read as if it had none."""
        _check_plain(inode)
        if inode.flags & _INLINE_INODE:
            yield from _entries(inode.raw[44:100], self._block_size)
            yield from _entries(self._all_xattrs(inode).get("system.data", b""), self._block_size)
            return
        content = self._mapped(inode)
        left = _MAX_DIRECTORY
        for start, end in content.pieces():
            for at in range(start, end, self._block_size):
                left -= self._block_size
                if left < 0:
                    raise FormatError(f"is damaged: a directory is of {inode.size:,} bytes")
                yield from _entries(content.read_at(at, self._block_size), self._block_size)

    def content(self, inode: Inode) -> BinaryIO:
        """Return the content of a file: a `Content`, unless it is within the inode."""
        _check_plain(inode)
        if inode.flags & _INLINE_INODE:
            data = inode.raw[40:100] + self._all_xattrs(inode).get("system.data", b"")
            if inode.size > len(data):
                raise FormatError(f"is damaged: inode {inode.number} is larger than its data")
            return BytesIO(data[: inode.size])
        return cast("BinaryIO", self._mapped(inode))

    def target(self, inode: Inode) -> bytes:
        """Return where a symbolic link points: short ones are where the blocks would be."""
        if inode.size < 60 and not inode.flags & (
            _EXTENTS_INODE | _INLINE_INODE | _ENCRYPTED_INODE
        ):
            return inode.raw[40 : 40 + inode.size]
        return self.content(inode).read()

    def xattrs(self, inode: Inode) -> Mapping[str, bytes]:
        """Return the attributes, without the one in which content is kept."""
        found = self._all_xattrs(inode)
        found.pop("system.data", None)
        return found

    def _all_xattrs(self, inode: Inode) -> dict[str, bytes]:
        raw = inode.raw
        (low,) = struct.unpack_from("<I", raw, 104)
        (high,) = struct.unpack_from("<H", raw, 118)
        at = low | high << 32 if self._features & _64BIT else low
        block = self._metadata.read(at * self._block_size, self._block_size) if at else b""
        return read_xattrs(raw, block, self._large_value)

    def _large_value(self, number: int, size: int) -> bytes:
        """Return the value of an attribute, which has an inode of its own."""
        content = self._mapped(self.inode(number))
        value = content.read_at(0, size)
        if len(value) < size:
            raise FormatError("is damaged: the value of an attribute is cut")
        return value

    def _mapped(self, inode: Inode) -> Content:
        def read(block: int) -> bytes:
            return self._metadata.read(block * self._block_size, self._block_size)

        extents = bool(inode.flags & _EXTENTS_INODE)
        runs = runs_of(inode.raw[40:100], self._block_size, inode.size, read, extents=extents)
        return Content(self._disk, inode.size, checked_runs(runs, inode.size, self._disk.size))

    def _table(self, group: int) -> int:
        """Return where the table of a group's inodes is, in bytes."""
        size, per_block = self._descriptor_size, self._block_size // self._descriptor_size
        block, index = divmod(group, per_block)
        if self._features & _META_BG and block >= self._first_meta_group:
            first = block * per_block
            at = self._first_block + first * self._per_group + self._has_superblock(first)
            at += not first and self._superblock != self._first_block
        else:
            at = self._superblock + 1 + block
        raw = self._metadata.read(at * self._block_size + index * size, size)
        (low,) = struct.unpack_from("<I", raw, 8)
        high = struct.unpack_from("<I", raw, 40)[0] if size >= 64 else 0
        return int(low | high << 32) * self._block_size

    def _has_superblock(self, group: int) -> bool:
        if self._backups is not None:
            return group in (0, *self._backups)
        if group <= 1 or not self._read_only & _SPARSE_SUPER:
            return True
        return any(_is_power(group, base) for base in (3, 5, 7))


def _entries(block: bytes, block_size: int) -> Iterator[tuple[bytes, int]]:
    at = 0
    while at + 8 <= len(block):
        number, length, name = _DIRENT.unpack_from(block, at)
        if block_size == 65536 and length in (0, 65535):
            length = 65536
        if length < 8 or length % 4 or at + length > len(block) or name > length - 8:
            raise FormatError("is damaged: a directory can't be read")
        if number:
            yield block[at + 8 : at + 8 + name], number
        at += length


def _device(old: int, new: int) -> tuple[int, int]:
    if old:
        return old >> 8 & 0xFF, old & 0xFF
    return new >> 8 & 0xFFF, new & 0xFF | new >> 12 & 0xFFF00


def _time(raw: bytes, seconds: int) -> int:
    """Return nanoseconds: those, and the years after 2038, are where inodes are large enough."""
    if len(raw) > 128 and 128 + struct.unpack_from("<H", raw, 128)[0] >= _EXTRA_MTIME + 4:
        (extra,) = struct.unpack_from("<I", raw, _EXTRA_MTIME)
        return int((seconds + ((extra & 3) << 32)) * 10**9 + (extra >> 2))
    return seconds * 10**9


def _check_plain(inode: Inode) -> None:
    if inode.flags & _ENCRYPTED_INODE:
        raise FormatError(f"has something encrypted: inode {inode.number}")


def _is_power(number: int, base: int) -> bool:
    while number % base == 0:
        number //= base
    return number == 1
