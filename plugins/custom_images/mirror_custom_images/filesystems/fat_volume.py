"""A FAT file system that is written to: the place in the file, and its table in memory."""

from __future__ import annotations

import os
import struct
from array import array
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from mirror.formats import FormatError
from mirror_custom_images.disks.disk import Disk
from mirror_custom_images.filesystems.fat_geometry import FIRST_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mirror_custom_images.filesystems.fat_geometry import Geometry

_SECTOR = 512
_LEAD, _BODY, _COUNT = b"RRaA", b"rrAa", 488
"""What an FSInfo begins with, what it has before its numbers, and where those are."""
_END = 0x0FFFFFFF


class Writable(Disk, Protocol):
    """A `Disk` that is written to."""

    def write(self, offset: int, data: bytes) -> None:
        """Write all of it."""
        ...

    def flush(self) -> None:
        """Have what was written so far stay, before anything that comes after."""
        ...


class Region:
    """A part of a file that is read, and written in place."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        """See `Disk.read`."""
        self._check(offset, size)
        data = os.pread(self._descriptor, size, self._start + offset)
        if len(data) != size:
            raise FormatError(f"is cut: {len(data):,} bytes of {size:,}")
        return data

    def write(self, offset: int, data: bytes) -> None:
        """See `Writable.write`."""
        self._check(offset, len(data))
        left = memoryview(data)
        while left:
            done = os.pwrite(self._descriptor, left, self._start + offset)
            offset, left = offset + done, left[done:]

    def flush(self) -> None:
        """See `Writable.flush`."""
        os.fsync(self._descriptor)

    def extents(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """See `Disk.extents`."""
        yield start, min(end, self.size)

    def _check(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError(f"is read beyond its end: {offset + size:,} of {self.size:,} bytes")


class Patches:
    """A disk that stays as it is: what is written is kept beside it, in sectors of 512 bytes."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._sectors: dict[int, bytes] = {}
        self.size = disk.size

    def read(self, offset: int, size: int) -> bytes:
        """See `Disk.read`."""
        data = bytearray(self._disk.read(offset, size))
        end = offset + size
        for number in range(offset // _SECTOR, -(-end // _SECTOR)):
            sector = self._sectors.get(number)
            if sector is not None:
                at = number * _SECTOR
                first, last = max(at, offset), min(at + _SECTOR, end)
                data[first - offset : last - offset] = sector[first - at : last - at]
        return bytes(data)

    def write(self, offset: int, data: bytes) -> None:
        """See `Writable.write`: whole sectors."""
        if offset % _SECTOR or len(data) % _SECTOR or offset + len(data) > self.size:
            raise FormatError(f"can't be written at byte {offset:,}: {len(data):,} bytes")
        for at in range(0, len(data), _SECTOR):
            self._sectors[(offset + at) // _SECTOR] = data[at : at + _SECTOR]

    def flush(self) -> None:
        """See `Writable.flush`."""

    def extents(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """See `Disk.extents`."""
        yield start, min(end, self.size)

    def written(self, start: int) -> list[tuple[int, bytes]]:
        """Return what was written, as (offset from `start` bytes before, bytes), in order."""
        found: list[tuple[int, bytearray]] = []
        for number, sector in sorted(self._sectors.items()):
            at = start + number * _SECTOR
            if found and found[-1][0] + len(found[-1][1]) == at:
                found[-1][1].extend(sector)
            else:
                found.append((at, bytearray(sector)))
        return [(at, bytes(data)) for at, data in found]


class Volume:
    """The table, of which all copies are written; what is allocated is ours until it is linked."""

    def __init__(self, region: Writable, geometry: Geometry) -> None:
        self.region = region
        self.geometry = geometry
        self._table = bytearray(region.read(geometry.fat_at, geometry.fat_size))
        self._dirty: set[int] = set()
        every = range(geometry.last, FIRST_CLUSTER - 1, -1)
        self._free = array("I", (cluster for cluster in every if not self._value(cluster)))
        self._last = FIRST_CLUSTER

    @property
    def free(self) -> int:
        """How many clusters are."""
        return len(self._free)

    def allocate(self, count: int) -> list[int]:
        """Take so many clusters, of which there are enough, as a chain of their own."""
        taken = [self._free.pop() for _ in range(count)]
        self._chain(taken)
        return taken

    def append(self, last: int, more: Sequence[int]) -> None:
        """Have a chain go on in another, from its last cluster."""
        self._set(last, more[0])

    def release(self, clusters: Iterable[int]) -> None:
        """Give clusters back."""
        for cluster in clusters:
            self._set(cluster, 0)
            self._free.append(cluster)

    def write_clusters(self, clusters: Sequence[int], pieces: Iterator[bytes]) -> None:
        """Write pieces of one cluster each, in their order, neighbours at once; all are filled."""
        size = self.geometry.cluster
        for start, count in _runs(clusters, max(1, 1024**2 // size)):
            data = b"".join(next(pieces, b"").ljust(size, b"\0") for _ in range(count))
            self.region.write(self.geometry.at(start), data)

    def write_table(self) -> None:
        """Write what has changed into each copy, the first of them last: it is the one in use."""
        sector, geometry = self.geometry.sector, self.geometry
        for copy in reversed(range(geometry.fats)):
            base = geometry.fat_at + copy * geometry.fat_size
            for number in sorted(self._dirty):
                at = number * sector
                self.region.write(base + at, bytes(self._table[at : at + sector]))
        self._dirty.clear()

    def write_fsinfo(self) -> None:
        """Write how many clusters are free, where FAT32 keeps that."""
        if not self.geometry.fsinfo_at:
            return
        raw = bytearray(self.region.read(self.geometry.fsinfo_at, _SECTOR))
        if raw.startswith(_LEAD) and raw[_COUNT - 4 : _COUNT] == _BODY:
            struct.pack_into("<II", raw, _COUNT, self.free, self._last)
            self.region.write(self.geometry.fsinfo_at, bytes(raw))

    def _chain(self, clusters: Sequence[int]) -> None:
        for cluster, following in pairwise([*clusters, _END]):
            self._set(cluster, following)
            self._last = cluster

    def _value(self, cluster: int) -> int:
        bits = self.geometry.bits
        if bits == 12:
            at = cluster * 3 // 2
            pair = self._table[at] | self._table[at + 1] << 8
            return pair >> 4 if cluster & 1 else pair & 0xFFF
        if bits == 16:
            return int(struct.unpack_from("<H", self._table, cluster * 2)[0])
        return int(struct.unpack_from("<I", self._table, cluster * 4)[0]) & 0x0FFFFFFF

    def _set(self, cluster: int, value: int) -> None:
        bits = self.geometry.bits
        if bits == 12:
            at, size = cluster * 3 // 2, 2
            pair = self._table[at] | self._table[at + 1] << 8
            kept = pair & 0xF if cluster & 1 else pair & 0xF000
            pair = kept | ((value & 0xFFF) << 4 if cluster & 1 else value & 0xFFF)
            struct.pack_into("<H", self._table, at, pair)
        elif bits == 16:
            at, size = cluster * 2, 2
            struct.pack_into("<H", self._table, at, value & 0xFFFF)
        else:
            at, size = cluster * 4, 4
            # The upper 4 bits are not the format's to change.
            kept = int(struct.unpack_from("<I", self._table, at)[0]) & 0xF0000000
            struct.pack_into("<I", self._table, at, kept | value)
        self._dirty.update((at // self.geometry.sector, (at + size - 1) // self.geometry.sector))


def _runs(clusters: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Yield the (first, count) of neighbours, at most so many at once."""
    start, count = 0, 0
    for cluster in clusters:
        if count and (cluster != start + count or count == most):
            yield start, count
            count = 0
        if not count:
            start = cluster
        count += 1
    if count:
        yield start, count
