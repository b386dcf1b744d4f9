"""The log of XFS, as far as it tells whether all of it is in its place: it was unmounted."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mirror.formats import FormatError

if TYPE_CHECKING:
    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.filesystems.xfs_geometry import Geometry

_BLOCK = 512
_MAGIC = b"\xfe\xed\xba\xbe"
_RECORD = struct.Struct(">4sIIIQ")
_OPERATIONS_AT, _SIZE_AT = 40, 320
_UNMOUNTED = 0x20
_HEADER_COVERS = 32 * 1024
"""Bytes of a record for each block of its header."""
_MAX_LOG = 2 * 1024**3
_CHUNK = 1024**2


def log_is_clean(disk: Disk, geometry: Geometry) -> bool:
    """Say whether the last record is the one that an unmount writes.

    Raises `FormatError` where the log is on another disk.
    """
    if not geometry.log_start:
        raise FormatError("has its log on another disk: it can't be told whether it is whole")
    if geometry.log_size > _MAX_LOG:
        raise FormatError(f"is damaged: its log is of {geometry.log_size:,} bytes")
    start = geometry.offset_of(geometry.log_start)
    if start + geometry.log_size > disk.size:
        raise FormatError("is damaged: its log is beyond its end")
    last = _last_record(disk, start, geometry.log_size)
    if last is None:
        return True  # nothing was ever written to it
    at, header = last
    (operations,) = struct.unpack_from(">I", header, _OPERATIONS_AT)
    body = start + (at - start + _header_size(header)) % geometry.log_size
    flags = disk.read(body, _BLOCK)[9]
    return operations == 1 and bool(flags & _UNMOUNTED)


def _last_record(disk: Disk, start: int, size: int) -> tuple[int, bytes] | None:
    """Return the record with the highest sequence number, and where it is.

    Each says how long it is; where none is, the next one is looked for.
    """
    last: tuple[int, bytes] | None = None
    highest = -1
    at = start
    while at < start + size:
        header = disk.read(at, _BLOCK)
        magic, _, _, length, number = _RECORD.unpack_from(header)
        if magic != _MAGIC:
            at = _next_record(disk, at + _BLOCK, start + size)
            continue
        if number > highest:
            highest, last = number, (at, header)
        at += _header_size(header) + length + -length % _BLOCK
    return last


def _next_record(disk: Disk, at: int, end: int) -> int:
    while at < end:
        chunk = disk.read(at, min(_CHUNK, end - at))
        if chunk.strip(b"\0"):
            for offset in range(0, len(chunk), _BLOCK):
                if chunk[offset : offset + 4] == _MAGIC:
                    return at + offset
        at += len(chunk)
    return end


def _header_size(header: bytes) -> int:
    """Return the bytes of a record's header; a long one has a block for each part of its body."""
    version = int.from_bytes(header[8:12], "big")
    size = int.from_bytes(header[_SIZE_AT : _SIZE_AT + 4], "big")
    if version & 2 and size > _HEADER_COVERS:
        return -(-size // _HEADER_COVERS) * _BLOCK
    return _BLOCK
