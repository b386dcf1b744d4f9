"""Extended attributes of XFS: in the inode where they are short, else in blocks of their own."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.filesystems.content import Content
    from mirror_custom_images.filesystems.xfs_geometry import Geometry

_LOCAL, _ROOT, _SECURE, _PARENT, _INCOMPLETE = 0x1, 0x2, 0x4, 0x8, 0x80
_ACLS = {b"SGI_ACL_FILE": "system.posix_acl_access", b"SGI_ACL_DEFAULT": "system.posix_acl_default"}
_XATTR_ACL_VERSION = b"\2\0\0\0"

_LEAVES = {0xFBEE: (12, 32), 0x3BEE: (56, 80)}
"""Of each magic: where the count is, and the entries."""
_NODES = {0xFEBE: (12, 16), 0x3EBE: (56, 64)}
_REMOTE_HEADER = 56
_MAX_VALUE = 64 * 1024
_MAX_TOTAL = 1024**2
_MAX_DEPTH = 8


def read_xattrs(fork: bytes, mapped: Content | None, geometry: Geometry) -> dict[str, bytes]:
    """Return the attributes, as the kernel shows them; `mapped` None: `fork` holds them itself."""
    found: dict[str, bytes] = {}
    total = 0
    for flags, name, value in _short(fork) if mapped is None else _long(mapped, geometry):
        total += len(value)
        if total > _MAX_TOTAL:
            raise FormatError("is damaged: a file has too many attributes")
        if flags & (_PARENT | _INCOMPLETE):
            continue
        if flags & _ROOT and name in _ACLS:
            found[_ACLS[name]] = _acl(value)
            continue
        space = "security." if flags & _SECURE else "trusted." if flags & _ROOT else "user."
        found[space + name.decode("utf-8", "surrogateescape")] = value
    return found


def _short(raw: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    at = 4
    for _ in range(raw[2] if len(raw) > 3 else 0):
        length, size, flags = raw[at : at + 3].ljust(3, b"\0")
        end = at + 3 + length + size
        if not length or end > len(raw):
            raise _unreadable()
        yield flags, raw[at + 3 : at + 3 + length], raw[at + 3 + length : end]
        at = end


def _long(mapped: Content, geometry: Geometry) -> Iterator[tuple[int, bytes, bytes]]:
    size = geometry.block_size
    block = _first_leaf(mapped, size)
    seen: set[int] = set()
    while True:
        if block in seen:
            raise FormatError("is damaged: the attributes of a file have a loop")
        seen.add(block)
        raw = _block(mapped, block, size)
        following, _, magic = struct.unpack_from(">IIH", raw)
        if magic not in _LEAVES:
            raise _unreadable()
        yield from _leaf(raw, magic, mapped, geometry)
        if not following:
            return
        block = following


def _first_leaf(mapped: Content, size: int) -> int:
    block = 0
    for _ in range(_MAX_DEPTH):
        raw = _block(mapped, block, size)
        (magic,) = struct.unpack_from(">H", raw, 8)
        if magic not in _NODES:
            return block
        _, entries = _NODES[magic]
        (block,) = struct.unpack_from(">I", raw, entries + 4)
    raise _unreadable()


def _leaf(
    raw: bytes, magic: int, mapped: Content, geometry: Geometry
) -> Iterator[tuple[int, bytes, bytes]]:
    counted, entries = _LEAVES[magic]
    (count,) = struct.unpack_from(">H", raw, counted)
    if entries + 8 * count > len(raw):
        raise _unreadable()
    for at in range(entries, entries + 8 * count, 8):
        where, flags = struct.unpack_from(">HB", raw, at + 4)
        if where + 9 > len(raw):
            raise _unreadable()
        if flags & _LOCAL:
            size, length = struct.unpack_from(">HB", raw, where)
            name = raw[where + 3 : where + 3 + length]
            value = raw[where + 3 + length : where + 3 + length + size]
        else:
            first, size, length = struct.unpack_from(">IIB", raw, where)
            name = raw[where + 9 : where + 9 + length]
            value = b"" if flags & _INCOMPLETE else _remote(mapped, first, size, geometry)
        if len(name) < length or (len(value) < size and not flags & _INCOMPLETE):
            raise _unreadable()
        yield flags, name, value


def _remote(mapped: Content, first: int, size: int, geometry: Geometry) -> bytes:
    """Return a value in blocks of its own; in version 5, each has a header."""
    if size > _MAX_VALUE:
        raise _unreadable()
    step = geometry.block_size
    header = _REMOTE_HEADER if geometry.version >= 5 else 0
    value = b""
    block = first
    while len(value) < size:
        raw = _block(mapped, block, step)
        if header and raw[:4] != b"XARM":
            raise _unreadable()
        value += raw[header:]
        block += 1
    return value[:size]


def _block(mapped: Content, block: int, size: int) -> bytes:
    raw = mapped.read_at(block * size, size)
    if len(raw) < size:
        raise _unreadable()
    return raw


def _acl(value: bytes) -> bytes:
    """Return an ACL as the kernel shows it."""
    if len(value) < 4 or len(value) % 12 != 4:
        raise FormatError("is damaged: an access control list can't be read")
    entries = [_XATTR_ACL_VERSION]
    for tag, holder, permissions in struct.iter_unpack(">IIH2x", value[4:]):
        if tag > 0xFFFF:
            raise FormatError("is damaged: an access control list can't be read")
        known = holder if tag in (0x02, 0x08) else 0xFFFFFFFF
        entries.append(struct.pack("<HHI", tag, permissions, known))
    return b"".join(entries)


def _unreadable() -> FormatError:
    return FormatError("is damaged: the attributes of a file can't be read")
