"""Partition tables of the PC: the master boot record, and the chain of an extended partition."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.formats import FormatError

if TYPE_CHECKING:
    from mirror_custom_images.disks.disk import Disk

SECTOR = 512
PROTECTIVE = 0xEE
EXTENDED = frozenset({0x05, 0x0F, 0x85})
"""Types of a partition that holds others."""
ACTIVE = 0x80

_ENTRY = struct.Struct("<B3sB3sII")
_FIRST = 446
_BOOT_CODE = 440
_MAX_LOGICAL = 100
"""How far Linux follows a chain."""


@dataclass(frozen=True, slots=True)
class MbrEntry:
    """A partition: `first` is a sector of the disk, `sectors` how many; of 512 bytes each."""

    number: int
    status: int
    kind: int
    first: int
    sectors: int


@dataclass(frozen=True, slots=True)
class Mbr:
    """What the first sector says: its four entries, the empty ones left out.

    `boot_code`: there is something that a BIOS can run.
    """

    entries: tuple[MbrEntry, ...]
    boot_code: bool


NO_MBR = Mbr((), boot_code=False)


def read_mbr(sector: bytes) -> Mbr | None:
    """Read the first 512 bytes of a disk; None where they are no MBR, but a file system's, say."""
    if sector[510:512] != b"\x55\xaa":
        return None
    entries = _entries(sector)
    protective = any(each.kind == PROTECTIVE and each.first == 1 for each in entries)
    if not protective and any(each.status not in {0, ACTIVE} for each in entries):
        return None
    used = tuple(each for each in entries if each.kind and each.sectors)
    return Mbr(used, any(sector[:_BOOT_CODE]))


def _entries(sector: bytes, offset: int = 0) -> list[MbrEntry]:
    found = []
    for index in range(4):
        status, _, kind, _, first, sectors = _ENTRY.unpack_from(
            sector, _FIRST + index * _ENTRY.size
        )
        found.append(MbrEntry(index + 1, status, kind, offset + first, sectors))
    return found


def read_chain(disk: Disk, extended: MbrEntry, number: int) -> tuple[list[MbrEntry], str]:
    """Return the logical partitions in an extended one, the first of them with `number`.

    With them goes a clause about what is wrong with the chain, '' for nothing: those before the
    fault are returned. Linux does not see what comes after it either.
    """
    found: list[MbrEntry] = []
    at, seen = extended.first, {0}
    while at not in seen:
        seen.add(at)
        if len(seen) > _MAX_LOGICAL + 1:
            return found, f"goes on beyond {_MAX_LOGICAL} partitions"
        try:
            sector = disk.read(at * SECTOR, SECTOR)
        except FormatError:
            return found, f"leads to sector {at:,}, beyond the end of the disk"
        if sector[510:512] != b"\x55\xaa":
            return found, f"is broken at sector {at:,}, which holds no table"
        links = [each for each in _entries(sector) if each.kind in EXTENDED and each.sectors]
        found += [
            MbrEntry(number + len(found), each.status, each.kind, at + each.first, each.sectors)
            for each in _entries(sector)[:2]
            if each.kind and each.kind not in EXTENDED and each.sectors
        ][:1]
        if not links:
            return found, ""
        at = extended.first + links[0].first
    return found, f"leads back to sector {at:,}"
