"""Where everything is in a FAT file system: what its boot sector says, once that adds up.

The rules are those of Linux, which is what mounts an ESP at deployment: FAT12 or FAT16 is told by
the number of clusters, FAT32 by having no size of a FAT in the old field.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.formats import FormatError

if TYPE_CHECKING:
    from mirror_custom_images.disks.disk import Disk

SLOT = 32
"""Bytes of an entry in a directory."""
FIRST_CLUSTER = 2
"""The number that the first cluster of the data has."""

_BOOT_SECTOR = 512
_COMMON = struct.Struct("<HBHBHHBHHHII")
_FAT32 = struct.Struct("<IHHIHH")
_MOST_FAT12, _MOST_FAT16, _MOST_FAT32 = 0xFF4, 0xFFF4, 0x0FFFFFF6


@dataclass(frozen=True, slots=True)
class Geometry:
    """The layout. Offsets and sizes are in bytes, from the start of the file system.

    `bits` is 12, 16 or 32. `root_at` and `root_size` are the fixed root directory of FAT12 and
    FAT16; `root_cluster` is where FAT32's begins (0: it has none such). `fsinfo_at` is 0 where
    there is none. `clusters` counts those of the data: the last one is `clusters + 1`.
    """

    bits: int
    sector: int
    cluster: int
    size: int
    fat_at: int
    fat_size: int
    fats: int
    root_at: int
    root_size: int
    root_cluster: int
    data_at: int
    clusters: int
    fsinfo_at: int
    mirrored: bool
    label: bytes

    @property
    def last(self) -> int:
        """The number of the last cluster."""
        return self.clusters + FIRST_CLUSTER - 1

    def at(self, cluster: int) -> int:
        """Where a cluster is."""
        return self.data_at + (cluster - FIRST_CLUSTER) * self.cluster


def read_geometry(disk: Disk) -> Geometry:
    """Read the boot sector. Raises `FormatError` where it describes no FAT that can be there."""
    if disk.size < _BOOT_SECTOR:
        raise FormatError(f"is no FAT file system: it has {disk.size:,} bytes")
    head = disk.read(0, _BOOT_SECTOR)
    sector, per_cluster, reserved, fats, roots, few, media, fat16, _, _, _, many = (
        _COMMON.unpack_from(head, 11)
    )
    fat32, flags, _, root_cluster, fsinfo, _ = _FAT32.unpack_from(head, 36)
    if sector not in (512, 1024, 2048, 4096) or not _power_of_two(per_cluster):
        raise FormatError(
            f"is no FAT file system: sectors of {sector} bytes, {per_cluster} to a cluster"
        )
    if not reserved or fats not in (1, 2) or not (media == 0xF0 or media >= 0xF8):
        raise FormatError(
            f"is no FAT file system: {reserved} reserved sectors, {fats} FATs, medium {media:#04x}"
        )
    is_32 = not fat16
    fat_size = (fat16 or fat32) * sector
    total = (few or many) * sector
    root_at = reserved * sector + fats * fat_size
    root_size = -(-roots * SLOT // sector) * sector
    data_at = root_at + root_size
    if not fat_size or data_at >= total:
        raise FormatError(
            f"is a damaged FAT: its data would begin at byte {data_at:,} of {total:,}"
        )
    if total > disk.size:
        raise FormatError(
            f"is cut: its FAT file system has {total:,} bytes, here are {disk.size:,}"
        )
    clusters = (total - data_at) // (per_cluster * sector)
    bits = 32 if is_32 else 12 if clusters <= _MOST_FAT12 else 16
    # A table for fewer clusters than there is room for leaves the rest unused.
    clusters = min(clusters, fat_size * 8 // bits - FIRST_CLUSTER)
    _check_counts(bits, clusters, roots, root_cluster)
    label_at = 71 if is_32 else 43
    signed = head[label_at - 5] == 0x29
    return Geometry(
        bits=bits,
        sector=sector,
        cluster=per_cluster * sector,
        size=total,
        fat_at=reserved * sector,
        fat_size=fat_size,
        fats=fats,
        root_at=root_at,
        root_size=root_size,
        root_cluster=root_cluster if is_32 else 0,
        data_at=data_at,
        clusters=clusters,
        fsinfo_at=fsinfo * sector if is_32 and 0 < fsinfo < reserved else 0,
        mirrored=not (is_32 and flags & 0x80),
        label=head[label_at : label_at + 11] if signed else b"",
    )


def _check_counts(bits: int, clusters: int, roots: int, root_cluster: int) -> None:
    most = {12: _MOST_FAT12, 16: _MOST_FAT16, 32: _MOST_FAT32}[bits]
    if not 0 < clusters <= most:
        raise FormatError(f"is a damaged FAT: {clusters:,} clusters in a FAT{bits}")
    if bits == 32 and not FIRST_CLUSTER <= root_cluster < clusters + FIRST_CLUSTER:
        raise FormatError(f"is a damaged FAT: its root is in cluster {root_cluster}, which is none")
    if bits != 32 and not roots:
        raise FormatError("is a damaged FAT: it has no root directory")


def _power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0
