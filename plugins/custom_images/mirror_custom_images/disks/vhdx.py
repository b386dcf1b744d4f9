"""VHDX images: what Hyper-V keeps disks in.

Places are written twice, with a checksum: the newer one that is whole counts.
"""

from __future__ import annotations

import struct
import sys
import uuid
from array import array
from functools import partial
from typing import TYPE_CHECKING

from mirror.formats import FormatError
from mirror_custom_images.disks.crc32c import crc32c
from mirror_custom_images.disks.mapped import MappedDisk, blocks, check_blocks, check_size

if TYPE_CHECKING:
    from mirror_custom_images.disks.raw import RawDisk

KIB, MIB = 1024, 1024**2

_HEADERS, _REGIONS = (64 * KIB, 128 * KIB), (192 * KIB, 256 * KIB)
_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
_HEADER_SIZE = 4 * KIB
_LOG_ENTRY, _LOG_SECTOR = struct.Struct("<4s28x16s"), 4 * KIB
_REGION_TABLE = struct.Struct("<4sII4x")
_REGION = struct.Struct("<16sQII")
_REGIONS_SIZE, _MAX_REGIONS = 64 * KIB, 2047
_METADATA_TABLE = struct.Struct("<8s2xH20x")
_METADATA = struct.Struct("<16sIIII")
_METADATA_SIZE, _MAX_METADATA = 64 * KIB, 2047

_BAT = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA_REGION = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_SECTOR_SIZE = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
_REQUIRED_ITEMS = {_PARAMETERS: 8, _DISK_SIZE: 8, _SECTOR_SIZE: 4}
_KNOWN_ITEMS = {
    *_REQUIRED_ITEMS,
    uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746"),  # the page 83 data: an identity
    uuid.UUID("cda348c7-445d-4471-9cc9-e9885251c556"),  # the size of a physical sector
    uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c"),  # where the parent is
}
_ITEM_REQUIRED, _HAS_PARENT = 4, 2
_PRESENT, _PARTLY = 6, 7
_BLOCK_SIZES = tuple(1 << bits for bits in range(20, 29))
_SECTORS_OF_BITMAP = 1 << 23


def open_vhdx(file: RawDisk) -> MappedDisk:
    """Return the disk that a VHDX file holds, be it fixed or dynamic.

    Raises `FormatError` where it is cut or damaged, was not closed, or holds only what differs from
    another one.
    """
    _check_header(file)
    regions = _read_regions(file)
    items = _read_items(file, *regions[_METADATA_REGION])
    block, flags = struct.unpack("<II", items[_PARAMETERS])
    (size,) = struct.unpack("<Q", items[_DISK_SIZE])
    (sector,) = struct.unpack("<I", items[_SECTOR_SIZE])
    check_size(size)
    if flags & _HAS_PARENT:
        raise FormatError("is a part of a chain: it holds what differs from another disk only")
    if block not in _BLOCK_SIZES or sector not in {512, 4096} or size % sector:
        raise FormatError("is damaged: its blocks or sectors are of a size that can't be")
    table = _read_table(file, regions[_BAT], _SECTORS_OF_BITMAP * sector // block, block, size)
    return MappedDisk(file, size, partial(blocks, table.__getitem__, block))


def _checked(file: RawDisk, at: int, size: int, signature: bytes) -> bytes:
    """Return what is there, or nothing where it is not whole."""
    if at + size > file.size:
        return b""
    data = file.read(at, size)
    if not data.startswith(signature):
        return b""
    (said,) = struct.unpack_from("<I", data, 4)
    return data if crc32c(data[:4] + bytes(4) + data[8:]) == said else b""


def _check_header(file: RawDisk) -> None:
    copies = [_checked(file, at, _HEADER_SIZE, b"head") for at in _HEADERS]
    headers = [_HEADER.unpack_from(data) for data in copies if data]
    if not headers:
        raise FormatError("is damaged: neither of its headers is whole")
    newest = max(headers, key=lambda header: header[2])
    _, _, _, _, _, log, _, version, log_size, log_at = newest
    if version != 1:
        raise FormatError(f"is of version {version} of VHDX: 1 is known")
    if any(log) and _has_entry(file, log_at, log_size, log):
        raise FormatError(
            "was not closed: it has a log of changes that are not done yet. Attach it once where "
            "it was made, and shut the virtual machine down"
        )


def _has_entry(file: RawDisk, at: int, size: int, identity: bytes) -> bool:
    """Say whether a log holds what is still to be done: an entry with the log's identity."""
    if at + size > file.size:
        raise FormatError(f"is cut: its log goes on after {file.size:,} bytes")
    for place in range(at, at + size, _LOG_SECTOR):
        entry = file.read(place, _LOG_ENTRY.size)
        if _LOG_ENTRY.unpack(entry) == (b"loge", identity):
            return True
    return False


def _read_regions(file: RawDisk) -> dict[uuid.UUID, tuple[int, int]]:
    for at in _REGIONS:
        if data := _checked(file, at, _REGIONS_SIZE, b"regi"):
            break
    else:
        raise FormatError("is damaged: neither of its tables of regions is whole")
    _, _, count = _REGION_TABLE.unpack_from(data)
    if count > _MAX_REGIONS:
        raise FormatError(f"is damaged: it has {count:,} regions")
    found = {}
    for index in range(count):
        raw, at, size, required = _REGION.unpack_from(
            data, _REGION_TABLE.size + index * _REGION.size
        )
        kind = uuid.UUID(bytes_le=raw)
        if kind not in {_BAT, _METADATA_REGION}:
            if required & 1:
                raise FormatError(f"has a region that is not known: {kind}")
            continue
        if at < MIB or at + size > file.size:
            raise FormatError(f"is cut: it goes on after {file.size:,} bytes")
        found[kind] = (at, size)
    if len(found) < 2:
        raise FormatError("is damaged: a region is missing in it")
    return found


def _read_items(file: RawDisk, region: int, room: int) -> dict[uuid.UUID, bytes]:
    """Return the items of metadata that the disk can't be read without."""
    table = file.read(region, min(room, _METADATA_SIZE))
    if len(table) < _METADATA_SIZE or not table.startswith(b"metadata"):
        raise FormatError("is damaged: its metadata can't be read")
    _, count = _METADATA_TABLE.unpack_from(table)
    if count > _MAX_METADATA:
        raise FormatError(f"is damaged: it has {count:,} items of metadata")
    items = {}
    for index in range(count):
        raw, at, size, flags, _ = _METADATA.unpack_from(
            table, _METADATA_TABLE.size + index * _METADATA.size
        )
        kind = uuid.UUID(bytes_le=raw)
        if kind not in _KNOWN_ITEMS and flags & _ITEM_REQUIRED:
            raise FormatError(f"has metadata that is not known: {kind}")
        if kind not in _REQUIRED_ITEMS:
            continue
        if size != _REQUIRED_ITEMS[kind] or at < _METADATA_SIZE or at + size > room:
            raise FormatError("is damaged: its metadata can't be read")
        items[kind] = file.read(region + at, size)
    if len(items) < len(_REQUIRED_ITEMS):
        raise FormatError("is damaged: metadata is missing in it")
    return items


def _read_table(
    file: RawDisk, region: tuple[int, int], ratio: int, block: int, size: int
) -> array[int]:
    """Return where each block is in the file, -1 for zeros.

    Behind each `ratio` blocks the table has an entry for a bitmap, which only a chain uses.
    """
    count = -(-size // block)
    needed = (count + (count - 1) // ratio) * 8
    if needed > region[1]:
        raise FormatError("is damaged: its table is too small for its disk")
    entries = array("Q", file.read(region[0], needed))
    if sys.byteorder == "big":
        entries.byteswap()
    table = array("q", (_place(entries[index + index // ratio]) for index in range(count)))
    check_blocks(table, block, size, file.size)
    return table


def _place(entry: int) -> int:
    state = entry & 7
    if state == _PARTLY:
        raise FormatError("is a part of a chain: it holds what differs from another disk only")
    at = entry >> 20 << 20
    if state == _PRESENT and not MIB <= at < 1 << 62:
        raise FormatError("is damaged: a block in it is nowhere")
    return at if state == _PRESENT else -1
