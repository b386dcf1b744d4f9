"""qcow2 images: what QEMU keeps disks in, versions 2 and 3.

Two levels of tables say where each cluster of the disk is: the first one is small and is read at
once, those of the second are read when they are needed. Reference counts are for writers only.
"""

from __future__ import annotations

import struct
import sys
from array import array
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from mirror.formats import FormatError
from mirror_custom_images.disks.bombs import check_ratio
from mirror_custom_images.disks.mapped import MappedDisk, Piece, check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirror_custom_images.disks.raw import RawDisk

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_MORE = struct.Struct(">QQQIIB")
_CLUSTER_BITS = range(9, 22)
_MAX_L1 = 32 * 1024**2
"""Bytes; QEMU has the same limit."""

_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED, _ZERO = 1 << 62, 1
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED = (1 << bit for bit in range(5))
_SECTOR = 512

_CACHED_ENTRIES = 1 << 20
"""Of tables of the second level, 8 bytes each."""
_CACHED_CLUSTERS = 16 * 1024**2
"""Bytes of clusters that were expanded: file systems read many small pieces of one."""


class _Header(NamedTuple):
    version: int
    bits: int
    size: int
    l1_entries: int
    l1_offset: int
    compression: int


def open_qcow2(file: RawDisk) -> MappedDisk:
    """Return the disk that a qcow2 file holds; snapshots within it are left aside.

    Raises `FormatError` where it is cut or damaged, or needs more than the file.
    """
    tables = _Tables(file, _read_header(file))
    tables.check()
    return MappedDisk(file, tables.size, tables.pieces)


# --- the header -----------------------------------------------------------------------------------


def _read_header(file: RawDisk) -> _Header:
    if file.size < _HEADER.size:
        raise FormatError(f"is cut: {file.size} bytes are no qcow2 image")
    (
        _, version, backing, backing_size, bits, size, encryption, l1_entries, l1_offset, *_,
    ) = _HEADER.unpack(file.read(0, _HEADER.size))  # fmt: skip
    if version not in {2, 3}:
        raise FormatError(f"is of version {version} of qcow: `qemu-img convert -O qcow2` renews it")
    if backing:
        name = _backing_name(file, backing, backing_size)
        raise FormatError(
            f"is a part of a chain: what it lacks is in {name}; `qemu-img convert -O qcow2` makes "
            "one image of them"
        )
    if encryption:
        raise FormatError("is encrypted: `qemu-img convert` makes a plain image of it")
    if bits not in _CLUSTER_BITS:
        raise FormatError(f"is damaged: it has clusters of 2^{bits} bytes")
    check_size(size)
    compression = _read_features(file) if version == 3 else 0
    return _Header(version, bits, size, l1_entries, l1_offset, compression)


def _backing_name(file: RawDisk, at: int, size: int) -> str:
    if size > 1023 or at + size > file.size:
        return "another file"
    return ascii(file.read(at, size).decode("utf-8", "replace"))


def _read_features(file: RawDisk) -> int:
    """Return which compression there is; raise `FormatError` for a feature that we can't do."""
    if file.size < _HEADER.size + _MORE.size:
        raise FormatError(f"is cut: {file.size} bytes are no qcow2 image")
    incompatible, _, _, _, length, compression = _MORE.unpack(file.read(_HEADER.size, _MORE.size))
    if incompatible & _CORRUPT:
        raise FormatError("is marked as corrupt: `qemu-img check -r all` may repair it")
    if incompatible & _DATA_FILE:
        raise FormatError(
            "has its data in another file: `qemu-img convert -O qcow2` makes one of them"
        )
    if incompatible & _EXTENDED:
        raise FormatError(
            "has extended tables, which are not read here: `qemu-img convert -O qcow2` makes an "
            "image without them"
        )
    # An image that was not closed (dirty) has wrong reference counts, and right tables.
    if unknown := incompatible & ~(_DIRTY | _COMPRESSION):
        raise FormatError(f"has features that are not known: {unknown:#x}")
    if not incompatible & _COMPRESSION:
        return 0
    if compression >= len(_EXPAND) or length < _HEADER.size + _MORE.size:
        raise FormatError(f"is compressed in a way that is not known: {compression}")
    return int(compression)


# --- the tables -----------------------------------------------------------------------------------


class _Tables:
    """Where the clusters are."""

    def __init__(self, file: RawDisk, header: _Header) -> None:
        self._file = file
        self._version = header.version
        self._bits = header.bits
        self._cluster = 1 << header.bits
        self._entries = self._cluster // 8
        self.size = header.size
        self._clusters = -(-self.size // self._cluster)
        self._l1 = self._read_l1(header)
        self._size_at = 62 - (self._bits - 8)
        self._expand = _EXPAND[header.compression]
        tables = max(2, _CACHED_ENTRIES // self._entries)
        self._table = lru_cache(tables)(self._read_table)
        expanded = max(4, _CACHED_CLUSTERS // self._cluster)
        self._expanded = lru_cache(expanded)(self._read_compressed)

    def _read_l1(self, header: _Header) -> array[int]:
        needed = -(-self._clusters // self._entries)
        if needed > header.l1_entries:
            raise FormatError("is damaged: its tables are too small for its disk")
        if needed * 8 > _MAX_L1:
            raise FormatError(f"has a table of {needed * 8:,} bytes: {_MAX_L1:,} are the most")
        if header.l1_offset % self._cluster:
            raise FormatError("is damaged: its tables are not where a cluster begins")
        if header.l1_offset + needed * 8 > self._file.size:
            raise FormatError(f"is cut: its tables go on after {self._file.size:,} bytes")
        offsets = _numbers(self._file.read(header.l1_offset, needed * 8))
        return array("Q", (each & _OFFSET for each in offsets))

    def check(self) -> None:
        """Go through all the tables: what can't be read is seen now, and not in the middle.

        A table that is used twice, or more clusters than there is room for in the file, make a
        large disk of a small file.
        """
        offsets = [each for each in self._l1 if each]
        if len(set(offsets)) < len(offsets):
            raise FormatError("is damaged: a table in it is used twice")
        most = self._file.size // self._cluster + 1
        plain = compressed = 0
        for number, offset in enumerate(self._l1):
            if offset:
                here = self._check_table(number)
                plain, compressed = plain + here[0], compressed + here[1]
                if plain > most:
                    raise FormatError("is damaged: clusters in it are used twice")
        check_ratio(compressed * self._cluster, self._file.size)

    def _check_table(self, number: int) -> tuple[int, int]:
        """Check a table of the second level; return how many plain and packed clusters it has."""
        plain = compressed = 0
        first = number * self._entries
        for index, entry in enumerate(self._read_table(number), first):
            if not entry or index >= self._clusters:
                continue
            if entry & _COMPRESSED:
                compressed += 1
                self._check_end(self._place(entry)[0] + 1)
                continue
            if entry & _ZERO:
                if self._version == 2:
                    raise FormatError("is damaged: it has zero clusters, and is of version 2")
                continue
            if offset := entry & _OFFSET:
                plain += 1
                if offset % self._cluster:
                    raise FormatError(f"is damaged: cluster {index:,} begins within another one")
                end = min(self.size - index * self._cluster, self._cluster)
                self._check_end(offset + end)
        return plain, compressed

    def _check_end(self, end: int) -> None:
        if end > self._file.size:
            raise FormatError(f"is cut: its data goes on after {self._file.size:,} bytes")

    def _read_table(self, number: int) -> array[int]:
        offset = self._l1[number]
        if offset % self._cluster:
            raise FormatError("is damaged: a table in it is not where a cluster begins")
        self._check_end(offset + self._cluster)
        return _numbers(self._file.read(offset, self._cluster))

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """Yield where the disk is from `start` to `end`."""
        bits, cluster = self._bits, self._cluster
        index, last = start >> bits, -(-end // cluster)
        while index < last:
            number, within = divmod(index, self._entries)
            count = min(self._entries - within, last - index)
            if self._l1[number]:
                entries = self._table(number)[within : within + count]
                for place, entry in enumerate(entries, index):
                    if not entry or (entry & _ZERO and not entry & _COMPRESSED):
                        continue
                    at = place << bits
                    first, finish = max(start, at), min(end, at + cluster)
                    if entry & _COMPRESSED:
                        yield first, finish, partial(self._compressed, entry, at)
                    elif offset := entry & _OFFSET:
                        yield first, finish, offset + first - at
            index += count

    # --- clusters that are compressed -------------------------------------------------------------

    def _compressed(self, entry: int, at: int, start: int, end: int) -> bytes:
        return self._expanded(entry)[start - at : end - at]

    def _place(self, entry: int) -> tuple[int, int]:
        """Return where a compressed cluster is, and how many bytes it may take at most."""
        offset = entry & ((1 << self._size_at) - 1)
        sectors = (entry & (_COMPRESSED - 1)) >> self._size_at
        return offset, (sectors + 1) * _SECTOR - offset % _SECTOR

    def _read_compressed(self, entry: int) -> bytes:
        offset, size = self._place(entry)
        # The last one need not fill its last sector.
        packed = self._file.read(offset, min(size, self._file.size - offset))
        try:
            data = self._expand(packed, self._cluster)
        except Exception as error:  # each library has its own classes
            raise _damaged(offset, error) from error
        if len(data) != self._cluster:
            raise _damaged(offset, f"{len(data):,} of {self._cluster:,} bytes")
        return data


def _numbers(data: bytes) -> array[int]:
    numbers = array("Q", data)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _damaged(offset: int, why: Exception | str) -> FormatError:
    return FormatError(f"is damaged: a cluster at byte {offset:,} can't be expanded ({why})")


def _inflate(packed: bytes, size: int) -> bytes:
    from isal import isal_zlib

    data: bytes = isal_zlib.decompressobj(-15).decompress(packed, size)
    return data


def _expand_zstd(packed: bytes, size: int) -> bytes:
    from zstandard import ZstdDecompressor

    with ZstdDecompressor(max_window_size=8 * 1024**2).stream_reader(packed) as stream:
        return stream.read(size)


_EXPAND: tuple[Callable[[bytes, int], bytes], ...] = (_inflate, _expand_zstd)
