"""Whether a FAT file system adds up: each cluster belongs to one thing, each size to its chain.

Reading does not need this much; writing does, since a write into what is damaged spreads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.formats import FormatError
from mirror_custom_images.filesystems.fat_table import Clusters

if TYPE_CHECKING:
    from mirror_custom_images.filesystems.fat import Fat
    from mirror_custom_images.filesystems.fat_names import Slot

MAX_CLUSTERS = 4 * 1024**2
"""With 4 KiB each they are 16 GiB; an ESP has some 100 MiB."""
_COMPARED = 1024**2
"""Bytes of the tables that are compared at once."""


def check_fat(fat: Fat) -> None:
    """Follow every chain, in a file system of up to `MAX_CLUSTERS`.

    Raises `FormatError` for the first damage.
    """
    geometry = fat.geometry
    if geometry.clusters > MAX_CLUSTERS:
        return
    used = Clusters(geometry)
    if geometry.root_cluster:
        for cluster in fat.table.chain(geometry.root_cluster):
            used.add(cluster)
    for slot, path in fat.tree():
        if slot is not None:
            _take(fat, slot, path, used)


def compare_tables(fat: Fat) -> None:
    """Raise `FormatError` where the tables are not the same, or need not be."""
    geometry = fat.geometry
    if not geometry.mirrored:
        raise FormatError(
            "is a FAT that keeps one table only up to date, which Linux does not know"
        )
    if geometry.fats == 1:
        return
    for at in range(0, geometry.fat_size, _COMPARED):
        size = min(_COMPARED, geometry.fat_size - at)
        first = fat.disk.read(geometry.fat_at + at, size)
        if first != fat.disk.read(geometry.fat_at + geometry.fat_size + at, size):
            raise FormatError("is a damaged FAT: its two tables differ")


def clusters_of(fat: Fat, slot: Slot) -> list[int]:
    """Return the clusters of a file, or of a directory and all below it, in a FAT that is sound."""
    found: list[int] = []
    waiting = [slot]
    while waiting:
        each = waiting.pop()
        if each.cluster:
            found += fat.table.chain(each.cluster)
        if each.is_dir:
            waiting += fat.slots(each)
    return found


def _take(fat: Fat, slot: Slot, path: str, used: Clusters) -> None:
    if not slot.cluster and not slot.size and not slot.is_dir:
        return
    count = 0
    for cluster in fat.table.chain(slot.cluster):
        count += 1
        if not used.add(cluster):
            raise FormatError(
                f"is a damaged FAT: {path} shares cluster {cluster} with something else"
            )
    if not slot.is_dir and count * fat.geometry.cluster < slot.size:
        raise FormatError(
            f"is a damaged FAT: {path} is cut, {count * fat.geometry.cluster:,} bytes of "
            f"{slot.size:,}"
        )
