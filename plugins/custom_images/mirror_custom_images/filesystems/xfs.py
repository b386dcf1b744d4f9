"""XFS, versions 4 and 5: the superblock and the inodes. All numbers are big endian."""

from __future__ import annotations

import stat
import struct
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, cast

from mirror.formats import FormatError
from mirror_custom_images.filesystems.content import Content, Metadata
from mirror_custom_images.filesystems.unix_tree import Inode, UnixTree
from mirror_custom_images.filesystems.xfs_geometry import Geometry, read_geometry
from mirror_custom_images.filesystems.xfs_log import log_is_clean
from mirror_custom_images.filesystems.xfs_maps import BTREE, EXTENTS, LOCAL, Fork, content_of
from mirror_custom_images.filesystems.xfs_names import names_in_block, names_in_inode
from mirror_custom_images.filesystems.xfs_xattrs import read_xattrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirror_custom_images.disks.disk import Disk

_CORE = struct.Struct(">2sHBBHIIIHHQ8xQ8xQQIIHBB4xHHI")
_LITERAL = {1: 100, 2: 100, 3: 176}
"""Where the forks begin in an inode of each version."""
_FLAGS2, _OWN_NUMBER = 120, 152
_REALTIME = 0x1
_BIGTIME, _MANY_EXTENTS = 0x8, 0x10
_BIGTIME_STARTS = -(2**31) * 10**9

_MAX_DIRECTORY = 512 * 1024**2
_LINK_HEADER = 56


class Xfs(UnixTree):
    """A file system of this kind."""

    kind = "xfs"

    def __init__(self, disk: Disk) -> None:
        """Raise `FormatError` where it is damaged, or has a feature that can't be read."""
        self._disk = disk
        self._geometry = read_geometry(disk)
        super().__init__(_Inodes(disk, self._geometry))
        self.label = self._geometry.label

    @property
    def is_dirty(self) -> bool:
        """Whether its log holds changes that are not in their places: it was not unmounted."""
        return not log_is_clean(self._disk, self._geometry)


class _Inodes:
    """The inodes of a file system, and all that is found by them."""

    def __init__(self, disk: Disk, geometry: Geometry) -> None:
        self._disk = disk
        self._geometry = geometry
        self._metadata = Metadata(disk)
        self.root = geometry.root

    def inode(self, number: int) -> Inode:
        """See `Store.inode`; its `flags` are those of the second field of them."""
        at = self._geometry.offset_of_inode(number)
        raw = self._metadata.read(at, self._geometry.inode_size)
        (magic, mode, version, form, old_links, uid, gid, links, _, _, _, mtime,
         size, *_) = _CORE.unpack_from(raw)  # fmt: skip
        if magic != b"IN" or version not in _LITERAL or size >= 1 << 63:
            raise FormatError(f"is damaged: inode {number} can't be read")
        flags = 0
        if version == 3:
            (flags,) = struct.unpack_from(">Q", raw, _FLAGS2)
            if struct.unpack_from(">Q", raw, _OWN_NUMBER)[0] != number:
                raise FormatError(f"is damaged: inode {number} is another one")
        device = (0, 0)
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            (packed,) = struct.unpack_from(">I", raw, _LITERAL[version])
            device = packed >> 18, packed & 0x3FFFF
        if form not in (0, LOCAL, EXTENTS, BTREE):
            raise FormatError(f"is damaged: inode {number} can't be read")
        return Inode(
            number=number,
            mode=mode,
            uid=uid,
            gid=gid,
            size=size,
            mtime=_time(mtime, flags),
            links=links if version > 1 else old_links,
            raw=raw,
            device=device,
            flags=flags,
        )

    def names(self, inode: Inode) -> Iterator[tuple[bytes, int]]:
        """See `Store.names`."""
        fork = self._data_fork(inode)
        if fork.form == LOCAL:
            yield from names_in_inode(fork.raw, self._geometry)
            return
        content = self._mapped(fork, inode.size)
        step = self._geometry.directory_block
        left = _MAX_DIRECTORY
        for start, end in content.pieces():
            for at in range(start, end, step):
                left -= step
                if left < 0:
                    raise FormatError(f"is damaged: a directory is of {inode.size:,} bytes")
                yield from names_in_block(content.read_at(at, step), self._geometry)

    def content(self, inode: Inode) -> BinaryIO:
        """See `Store.content`; a `Content`, unless it is within the inode."""
        fork = self._data_fork(inode)
        (flags,) = struct.unpack_from(">H", inode.raw, 90)
        if flags & _REALTIME:
            raise FormatError(f"has a file on a device of its own: inode {inode.number}")
        if fork.form == LOCAL:
            if inode.size > len(fork.raw):
                raise FormatError(f"is damaged: inode {inode.number} is larger than its data")
            return BytesIO(fork.raw[: inode.size])
        return cast("BinaryIO", self._mapped(fork, inode.size))

    def target(self, inode: Inode) -> bytes:
        """See `Store.target`; version 5 has a header in each piece of a long one."""
        fork = self._data_fork(inode)
        if fork.form == LOCAL or self._geometry.version < 5:
            return self.content(inode).read()
        target = b""
        mapped = self._mapped(fork, 2**16)
        for start, end in mapped.pieces():
            piece = mapped.read_at(start, end - start)
            if piece[:4] != b"XSLM":
                raise FormatError(f"is damaged: inode {inode.number} is no link")
            target += piece[_LINK_HEADER:][: inode.size - len(target)]
        if len(target) < inode.size:
            raise FormatError(f"is damaged: the link of inode {inode.number} is cut")
        return target

    def xattrs(self, inode: Inode) -> Mapping[str, bytes]:
        """See `Store.xattrs`."""
        fork = self._attribute_fork(inode)
        if fork is None:
            return {}
        mapped = None if fork.form == LOCAL else self._mapped(fork, 2**32)
        return read_xattrs(fork.raw, mapped, self._geometry)

    def _data_fork(self, inode: Inode) -> Fork:
        raw = inode.raw
        start = _LITERAL[raw[4]]
        end = start + raw[82] * 8 if raw[82] else len(raw)
        at, kind = (24, ">Q") if inode.flags & _MANY_EXTENTS else (76, ">I")
        (count,) = struct.unpack_from(kind, raw, at)
        return _fork(raw[start:end], raw[5], count)

    def _attribute_fork(self, inode: Inode) -> Fork | None:
        raw = inode.raw
        if not raw[82]:
            return None
        at, kind = (76, ">I") if inode.flags & _MANY_EXTENTS else (80, ">H")
        (count,) = struct.unpack_from(kind, raw, at)
        if raw[83] == EXTENTS and not count:
            return None
        return _fork(raw[_LITERAL[raw[4]] + raw[82] * 8 :], raw[83], count)

    def _mapped(self, fork: Fork, size: int) -> Content:
        return content_of(fork, size, self._disk, self._geometry, self._metadata)


def _fork(raw: bytes, form: int, count: int) -> Fork:
    if form not in (LOCAL, EXTENTS, BTREE) or (form == EXTENTS and count * 16 > len(raw)):
        raise FormatError("is damaged: where the data of an inode is can't be read")
    return Fork(raw, form, count)


def _time(stored: int, flags: int) -> int:
    if flags & _BIGTIME:
        return stored + _BIGTIME_STARTS
    seconds = stored >> 32
    seconds -= (seconds & 1 << 31) << 1
    return seconds * 10**9 + (stored & 0xFFFFFFFF)
