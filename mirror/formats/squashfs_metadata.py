"""Blocks of metadata in a squashfs image: 8 KiB each, compressed or not, with a size in front."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, BinaryIO

from mirror.formats.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

METADATA = 8192
STORED = 0x8000
XZ_MEMORY = 128 * 1024**2


class MetadataReader:
    """Reads blocks anywhere in an image."""

    def __init__(self, stream: BinaryIO, compression: str, bytes_used: int) -> None:
        self._fd = stream.fileno()
        self._expand = EXPANDERS.get(compression)
        self._end = bytes_used

    def read(self, at: int, size: int) -> bytes:
        """Return the bytes at a place."""
        data = os.pread(self._fd, size, at) if at + size <= self._end else b""
        if len(data) < size:
            raise FormatError(f"is damaged: {size} bytes at {at} are behind its end")
        return data

    def block(self, table: str, at: int, end: int) -> bytes | None:
        """Return what the block at `at` holds; `end` is where its table ends.

        None where its compression can't be expanded here (lzma, lzo).
        """
        (head,) = struct.unpack("<H", self.read(at, 2))
        size = head & ~STORED & 0xFFFF or STORED
        if size > METADATA or at + 2 + size > end:
            raise FormatError(f"is damaged: its {table} table has a block of {size} bytes at {at}")
        data = self.read(at + 2, size)
        if not head & STORED:
            if self._expand is None:
                return None
            try:
                data = self._expand(data)
            except Exception as error:  # each library has its own classes
                raise FormatError(
                    f"is damaged: its {table} table can't be expanded at {at} ({error})"
                ) from error
        if not 0 < len(data) <= METADATA:
            raise FormatError(f"is damaged: its {table} table holds nothing at {at}")
        return data

    def indexed(self, table: str, at: int, count: int, entry: int) -> None:
        """Check a table of `count` entries, by way of the list at `at` of where its blocks are."""
        blocks = -(-count * entry // METADATA)
        if not blocks:
            return
        self._check_block(table, at, 0, count * entry)
        self._check_block(table, at, blocks - 1, count * entry)

    def _check_block(self, table: str, index: int, number: int, size: int) -> None:
        (start,) = struct.unpack("<Q", self.read(index + 8 * number, 8))
        if start >= index:
            raise FormatError(f"is damaged: its {table} table is at {start}, behind its index")
        data = self.block(table, start, index)
        expected = min(METADATA, size - number * METADATA)
        if data is not None and len(data) != expected:
            raise FormatError(
                f"is damaged: its {table} table has {len(data)} of {expected} bytes at {start}"
            )


def _gzip(data: bytes) -> bytes:
    import zlib

    return zlib.decompressobj().decompress(data, METADATA + 1)


def _xz(data: bytes) -> bytes:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY).decompress(data, METADATA + 1)


def _lz4(data: bytes) -> bytes:
    from lz4 import block

    expanded: bytes = block.decompress(data, uncompressed_size=METADATA)
    return expanded


def _zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(data).read(METADATA + 1)


EXPANDERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gzip,
    "xz": _xz,
    "lz4": _lz4,
    "zstd": _zstd,
}
