"""Physical volumes of LVM2: the label at their begin, and the text that it leads to."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from mirror.formats import FormatError
from mirror_custom_images.disks.lvm_text import Section, parse_lvm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.disks.disk import Disk

SECTOR = 512
_LABEL = struct.Struct("<8sQII8s")
_AREA = struct.Struct("<I16sIQQ")
_LOCATION = struct.Struct("<QQII")
_PLACE = struct.Struct("<QQ")
_MAGIC = b" LVM2 x[5A%r0N*>"
_IGNORED = 1
_MAX_AREAS = 16
_MAX_TEXT = 4 * 1024**2
"""Bytes of a text; one has some thousand."""


@dataclass(frozen=True, slots=True)
class PhysicalVolume:
    """A physical volume: `uuid` as the text has it, without dashes.

    `group` is the description of the volume group: None where this volume holds no copy.
    """

    disk: Disk
    uuid: str
    group: Section | None


def read_physical(disk: Disk) -> PhysicalVolume:
    """Read the label of a physical volume. Raises `FormatError` where it is damaged."""
    sector = _label(disk)
    offset = _LABEL.unpack_from(sector)[3]
    if not _LABEL.size <= offset <= SECTOR - 40:
        raise FormatError("is damaged: its LVM label leads nowhere")
    uuid = sector[offset : offset + 32].decode("ascii", "replace")
    data = list(_places(sector, offset + 40))
    areas = list(_places(sector, offset + 40 + 16 * (len(data) + 1)))
    group, faults = None, []
    for start, size in areas:
        try:
            group = group or _metadata(disk, start, size)
        except FormatError as error:
            faults.append(error)
    if group is None and faults:
        raise faults[0]
    return PhysicalVolume(disk, uuid, group)


def _crc(data: bytes) -> int:
    """Return LVM's checksum: a CRC-32 that begins with its own value, and is not inverted."""
    return crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def _label(disk: Disk) -> bytes:
    for number in range(4):
        if (number + 1) * SECTOR > disk.size:
            break
        sector = disk.read(number * SECTOR, SECTOR)
        name, _, checksum, _, kind = _LABEL.unpack_from(sector)
        if (name, kind) == (b"LABELONE", b"LVM2 001"):
            if _crc(sector[20:]) != checksum:
                raise FormatError("is damaged: its LVM label does not match its checksum")
            return sector
    raise FormatError("is no physical volume of LVM")


def _places(sector: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Yield (offset, size) up to the pair of zeros that ends them."""
    for each in range(at, min(at + _MAX_AREAS * 16, SECTOR - 15), 16):
        offset, size = _PLACE.unpack_from(sector, each)
        if not offset:
            return
        yield offset, size


def _metadata(disk: Disk, start: int, size: int) -> Section | None:
    """Return what an area describes: None where it is not in use."""
    header = disk.read(start, SECTOR)
    checksum, magic, _, own, _ = _AREA.unpack_from(header)
    if magic != _MAGIC or own != start or _crc(header[4:]) != checksum:
        raise FormatError("is damaged: the header of its metadata does not match its checksum")
    offset, length, checksum, flags = _LOCATION.unpack_from(header, _AREA.size)
    if not offset or flags & _IGNORED:
        return None
    if not SECTOR <= offset < size or length > min(size - SECTOR, _MAX_TEXT):
        raise FormatError("is damaged: its metadata is not where it should be")
    before = min(length, size - offset)
    raw = disk.read(start + offset, before) + disk.read(start + SECTOR, length - before)
    if _crc(raw) != checksum:
        raise FormatError("is damaged: its metadata does not match its checksum")
    return parse_lvm(raw.rstrip(b"\0").decode("utf-8", "replace"))
