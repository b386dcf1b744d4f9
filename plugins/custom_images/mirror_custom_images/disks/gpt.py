"""GUID partition tables: read with every check that Linux makes, and written for another size.

Linux takes no table that fails one of them, and looks at the backup only where the primary is good:
what it would not see, curtin does not find.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.disks.disk import Disk

SECTOR_SIZES = (512, 4096)
"""Bytes of a sector, of the disks that there are."""

MIB = 1024**2
_MAX_TABLE = 4 * MIB
"""Bytes of a table of partitions; Linux reads no larger one. There are 16 KiB."""
_SIGNATURE = b"EFI PART"
_HEADER = struct.Struct("<8s4sIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_PROTECTIVE = 0xEE
_MBR_ENTRY = struct.Struct("<B3sB3sII")


@dataclass(frozen=True, slots=True)
class GptEntry:
    """A partition, as the table has it: `first` and `last` are sectors, `kind` a GUID."""

    number: int
    kind: str
    first: int
    last: int
    attributes: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpt:
    """A table that is good: its header, and all of its entries as they are.

    Places are in sectors. `at` is where the header is, `other` where it says that the other one is.
    """

    sector_size: int
    at: int
    other: int
    first_usable: int
    last_usable: int
    disk_guid: bytes
    revision: bytes
    entries_at: int
    count: int
    entries: bytes

    def partitions(self) -> Iterator[GptEntry]:
        """Yield the partitions, by number."""
        for index in range(self.count):
            kind, _, first, last, attributes, name = _ENTRY.unpack_from(
                self.entries, index * _ENTRY.size
            )
            if any(kind):
                text = name.decode("utf-16-le", "replace").partition("\0")[0]
                yield GptEntry(index + 1, _guid(kind), first, last, attributes, text)

    @property
    def table_sectors(self) -> int:
        """How many sectors the entries take."""
        return -(-len(self.entries) // self.sector_size)


def _guid(raw: bytes) -> str:
    return str(uuid.UUID(bytes_le=raw)).upper()


# --- reading --------------------------------------------------------------------------------------


def has_signature(disk: Disk, sector_size: int, at: int) -> bool:
    """Say whether a sector begins as a header does."""
    offset = at * sector_size
    if at < 1 or offset + sector_size > disk.size:
        return False
    return disk.read(offset, len(_SIGNATURE)) == _SIGNATURE


def read_gpt(disk: Disk, sector_size: int, at: int) -> Gpt:
    """Return the table of which the header is in sector `at`.

    Raises `FormatError` where Linux would not take it.
    """
    sectors = disk.size // sector_size
    if not 1 <= at < sectors:
        raise FormatError(f"is to be at sector {at:,}, and the disk has {sectors:,}")
    header = disk.read(at * sector_size, sector_size)
    _check_header(header, at)
    (
        _, revision, _, _, _, _, other, first, last, disk_guid, entries_at, count, entry_size, crc,
    ) = _HEADER.unpack_from(header)  # fmt: skip
    if entry_size != _ENTRY.size:
        raise FormatError(f"has entries of {entry_size:,} bytes: Linux takes {_ENTRY.size} only")
    if count * entry_size > _MAX_TABLE:
        raise FormatError(f"has room for {count:,} partitions: Linux takes 32,768 at most")
    if not 2 <= entries_at <= sectors - -(-count * entry_size // sector_size):
        raise FormatError(f"has its entries at sector {entries_at:,}: not on the disk")
    entries = disk.read(entries_at * sector_size, count * entry_size)
    if crc32(entries) != crc:
        raise FormatError("is damaged: its entries do not match their checksum")
    return Gpt(
        sector_size=sector_size,
        at=at,
        other=other,
        first_usable=first,
        last_usable=last,
        disk_guid=disk_guid,
        revision=revision,
        entries_at=entries_at,
        count=count,
        entries=entries,
    )


def _check_header(header: bytes, at: int) -> None:
    signature, _, size, crc, _, own, _, first, last, *_ = _HEADER.unpack_from(header)
    if signature != _SIGNATURE:
        raise FormatError("is not there")
    if not _HEADER.size <= size <= len(header):
        raise FormatError(f"is damaged: its header is of {size:,} bytes")
    if crc32(header[:16] + bytes(4) + header[20:size]) != crc:
        raise FormatError("is damaged: its header does not match its checksum")
    if own != at:
        raise FormatError(f"is in sector {at:,}, and says that it is in {own:,}")
    if last < first:
        raise FormatError("is damaged: it leaves no room for partitions")


# --- writing --------------------------------------------------------------------------------------


def shrunk(gpt: Gpt) -> int:
    """Return the bytes of the smallest disk that holds the partitions and both tables.

    It is a multiple of 1 MiB.
    """
    end = max((each.last + 1 for each in gpt.partitions()), default=0)
    end = max(end, gpt.first_usable, _primary_entries(gpt) + gpt.table_sectors)
    size = (end + gpt.table_sectors + 1) * gpt.sector_size
    return size + -size % MIB


def moved(gpt: Gpt, size: int, boot_sector: bytes) -> list[tuple[int, bytes]]:
    """Return what to write, as (offset, bytes), so that the table is right on a disk of `size`.

    Both headers, both lists of entries, and the protective MBR: the partitions stay as they are.
    `boot_sector` is the first 512 bytes of the disk as it is; its boot code is kept. `gpt` may be
    the backup: the primary is made of it. Raises `ValueError` for a size below `shrunk`, or that is
    no whole number of sectors; `FormatError` where an MBR of other partitions is in the way, or
    there is no room for what was lost.
    """
    sector = gpt.sector_size
    if size % sector or size < shrunk(gpt):
        raise ValueError(f"a disk of {size} bytes does not hold the partitions")
    end = size // sector - 1
    backup_entries = end - gpt.table_sectors
    primary_entries = _primary_entries(gpt)
    if gpt.at != 1 and primary_entries + gpt.table_sectors > gpt.first_usable:
        raise FormatError("leaves no room for the primary half of its GPT")
    usable = backup_entries - 1
    entries = gpt.entries + bytes(-len(gpt.entries) % sector)
    return [
        (0, _protective(boot_sector, end)),
        (sector, _header(gpt, 1, end, usable, primary_entries)),
        (primary_entries * sector, entries),
        (backup_entries * sector, entries),
        (end * sector, _header(gpt, end, 1, usable, backup_entries)),
    ]


def _primary_entries(gpt: Gpt) -> int:
    """Return the sector at which the entries of the primary table are, or are to be."""
    return gpt.entries_at if gpt.at == 1 else 2


def _header(gpt: Gpt, at: int, other: int, last_usable: int, entries_at: int) -> bytes:
    def packed(crc: int) -> bytes:
        return _HEADER.pack(
            _SIGNATURE, gpt.revision, _HEADER.size, crc, 0, at, other, gpt.first_usable,
            last_usable, gpt.disk_guid, entries_at, gpt.count, _ENTRY.size, crc32(gpt.entries),
        )  # fmt: skip

    return packed(crc32(packed(0))).ljust(gpt.sector_size, b"\0")


def _protective(boot_sector: bytes, sectors: int) -> bytes:
    """Return the boot sector with an entry that covers `sectors` after it; other entries stay."""
    size = min(sectors, 0xFFFFFFFF)
    fresh = bytearray(boot_sector[:510].ljust(510, b"\0") + b"\x55\xaa")
    places = range(446, 510, _MBR_ENTRY.size)
    entries = [_MBR_ENTRY.unpack_from(fresh, place) for place in places]
    if boot_sector[510:512] != b"\x55\xaa":
        entries = [(0,) * 6] * 4
    kinds = [entry[2] for entry in entries]
    for place, entry in zip(places, entries, strict=True):
        if entry[2] == _PROTECTIVE:
            status, first, kind, last, start, _ = entry
            # a hybrid's covers what is before its other partitions only
            if set(kinds) == {_PROTECTIVE, 0}:
                _MBR_ENTRY.pack_into(fresh, place, status, first, kind, last, start, size)
            return bytes(fresh)
    if any(kinds):
        raise FormatError("has an MBR of other partitions in front of its GPT")
    whole = (0, b"\0\2\0", _PROTECTIVE, b"\xff\xff\xff", 1, size)
    _MBR_ENTRY.pack_into(fresh, 446, *whole)
    fresh[462:510] = bytes(48)
    return bytes(fresh)
