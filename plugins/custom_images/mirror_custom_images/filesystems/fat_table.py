"""The table of a FAT file system: which cluster comes after which."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mirror.formats import FormatError
from mirror_custom_images.filesystems.fat_geometry import FIRST_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.filesystems.fat_geometry import Geometry

FREE = 0
_PAGE = 48 * 1024
"""Bytes of the table that are read at once; a whole number of entries of 12, 16 and 32 bits."""
_PAGES = 64
"""How many of them are kept: 3 MiB."""


class Table:
    """The first FAT, read as it is needed."""

    def __init__(self, disk: Disk, geometry: Geometry) -> None:
        self._disk = disk
        self._geometry = geometry
        self._pages: dict[int, bytes] = {}
        self._last = (1 << min(geometry.bits, 28)) - 1
        self._ends = self._last - 7
        self._bad = self._last - 8

    def entry(self, cluster: int) -> int:
        """Return what the table has for a cluster, as it is; its upper 4 bits in FAT32 are left."""
        bits = self._geometry.bits
        if bits == 32:
            page, at = self._page(cluster * 4)
            return int(struct.unpack_from("<I", page, at)[0]) & 0x0FFFFFFF
        if bits == 16:
            page, at = self._page(cluster * 2)
            return int(struct.unpack_from("<H", page, at)[0])
        page, at = self._page(cluster * 3 // 2)
        pair = int.from_bytes(page[at : at + 2], "little")
        return pair >> 4 if cluster & 1 else pair & 0xFFF

    def after(self, cluster: int) -> int | None:
        """Return the cluster that follows one; None: it is the last."""
        found = self.entry(cluster)
        if found >= self._ends:
            return None
        if not FIRST_CLUSTER <= found <= self._geometry.last:
            kind = {FREE: "which is free", self._bad: "which is bad"}.get(found, "which is none")
            raise FormatError(f"is a damaged FAT: cluster {cluster} is followed by {found}, {kind}")
        return found

    def chain(self, first: int) -> Iterator[int]:
        """Yield the clusters of a chain. Raises `FormatError` where it is none, or has a loop."""
        if not FIRST_CLUSTER <= first <= self._geometry.last:
            raise FormatError(
                f"is a damaged FAT: something begins in cluster {first}, which is none"
            )
        seen = Clusters(self._geometry)
        cluster: int | None = first
        while cluster is not None:
            if not seen.add(cluster):
                raise FormatError(f"is a damaged FAT: the chain of cluster {first} has a loop")
            yield cluster
            cluster = self.after(cluster)

    def _page(self, offset: int) -> tuple[bytes, int]:
        number, at = divmod(offset, _PAGE)
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= _PAGES:
                self._pages.clear()
            start = number * _PAGE
            # FAT12 may have an entry across two pages only were a page no multiple of 3 bytes.
            size = min(_PAGE, self._geometry.fat_size - start)
            page = self._disk.read(self._geometry.fat_at + start, size)
            self._pages[number] = page
        return page, at


class Clusters:
    """A set of clusters, in a bit for each."""

    def __init__(self, geometry: Geometry) -> None:
        self._bits = bytearray(geometry.clusters // 8 + 1)

    def add(self, cluster: int) -> bool:
        """Put one in; False where it was there already."""
        at, bit = divmod(cluster - FIRST_CLUSTER, 8)
        if self._bits[at] & 1 << bit:
            return False
        self._bits[at] |= 1 << bit
        return True
