"""Extended attributes of ext4: those in the inode, and those in a block of their own."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = b"\0\0\2\xea"
_ENTRY = struct.Struct("<BBHIII")
_IN_BLOCK = 32
"""Where a block's list starts, after its header."""

_PREFIXES = {
    1: "user.",
    2: "system.posix_acl_access",
    3: "system.posix_acl_default",
    4: "trusted.",
    6: "security.",
    7: "system.",
    8: "system.richacl",
}
_ACLS = (2, 3)
_MAX_VALUE = 64 * 1024
_MAX_TOTAL = 1024**2

_ACL_VERSION, _XATTR_ACL_VERSION = b"\1\0\0\0", b"\2\0\0\0"
_WITH_ID = (0x02, 0x08)
"""The tags of an ACL that name a user or a group."""
_NO_ID = 0xFFFFFFFF


def read_xattrs(
    inode: bytes, block: bytes, large_value: Callable[[int, int], bytes]
) -> dict[str, bytes]:
    """Return the attributes, as the kernel shows them; `block` is b"" where there is none.

    `large_value` returns one of `size` bytes that is in the inode of a number.
    """
    found: dict[str, bytes] = {}
    if len(inode) > 128:
        at = 128 + struct.unpack_from("<H", inode, 128)[0]
        if inode[at : at + 4] == _MAGIC:
            _read(inode[at + 4 :], 0, found, large_value)
    if block:
        if block[:4] != _MAGIC:
            raise FormatError("is damaged: the attributes of a file can't be read")
        _read(block, _IN_BLOCK, found, large_value)
    return found


def _read(
    area: bytes, at: int, found: dict[str, bytes], large_value: Callable[[int, int], bytes]
) -> None:
    total = 0
    while area[at : at + 4].strip(b"\0"):
        if at + 16 > len(area):
            raise FormatError("is damaged: the attributes of a file can't be read")
        length, index, offset, number, size, _ = _ENTRY.unpack_from(area, at)
        name = area[at + 16 : at + 16 + length]
        total += size
        inside = bool(number) or offset + size <= len(area)
        if len(name) < length or not inside or size > _MAX_VALUE or total > _MAX_TOTAL:
            raise FormatError("is damaged: the attributes of a file can't be read")
        value = large_value(number, size) if number else area[offset : offset + size]
        if index in _PREFIXES:
            full = _PREFIXES[index] + name.decode("utf-8", "surrogateescape")
            found[full] = _acl(value) if index in _ACLS else value
        at += 16 + length + -length % 4


def _acl(value: bytes) -> bytes:
    """Return an ACL as the kernel shows it, with an id in every entry."""
    if value[:4] != _ACL_VERSION:
        raise FormatError("is damaged: an access control list can't be read")
    entries, at = [_XATTR_ACL_VERSION], 4
    while at < len(value):
        size = 8 if value[at] in _WITH_ID else 4
        if at + size > len(value):
            raise FormatError("is damaged: an access control list can't be read")
        tag, permissions = struct.unpack_from("<HH", value, at)
        holder = struct.unpack_from("<I", value, at + 4)[0] if size == 8 else _NO_ID
        entries.append(struct.pack("<HHI", tag, permissions, holder))
        at += size
    return b"".join(entries)
