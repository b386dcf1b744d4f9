"""Images as an attacker would make them: small files, that ask for much."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from typing import TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MIB = 1024**2
BLOCK = 512

PACK = {
    "gzip": lambda data: gzip.compress(data, 9, mtime=0),
    "bzip2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zstd": zstandard.ZstdCompressor().compress,
}


# --- tar ------------------------------------------------------------------------------------------


def header(name: bytes, size: int = 0, kind: bytes = b"0", target: bytes = b"") -> bytes:
    """Return a header as GNU tar writes it, whatever it says."""
    block = bytearray(BLOCK)
    number = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    for at, value in (
        (0, name),
        (100, b"0000644\0" + b"0000000\0" * 2 + number + b"00000000000\0" + b" " * 8 + kind),
        (157, target),
        (257, b"ustar  \0"),
    ):
        block[at : at + len(value)] = value
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: bytes, content: bytes = b"", **more: bytes) -> bytes:
    """Return a whole member of an archive."""
    return header(name, len(content), **more) + content + bytes(-len(content) % BLOCK)


def pax(*records: tuple[bytes, bytes]) -> bytes:
    """Return a pax header with such records."""
    return member(b"pax", b"".join(_record(*each) for each in records), kind=b"x")


def _record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    length += len(str(length + len(str(length))))
    return b"%d %s=%s\n" % (length, key, value)


ROOT = b"".join(
    [
        member(b"etc/", kind=b"5"),
        member(b"usr/", kind=b"5"),
        member(b"usr/lib/os-release", b"ID=debian\n"),
    ]
)
"""The start of an archive that is a root file system, so far."""
END = bytes(2 * BLOCK)


def sparse(name: bytes, size: int, holes: bytes) -> bytes:
    """Return a file with holes, by a map as GNU tar 1.14 wrote it."""
    return pax(
        (b"GNU.sparse.name", name),
        (b"GNU.sparse.size", b"%d" % size),
        (b"GNU.sparse.numblocks", b"%d" % (holes.count(b",") // 2 + 1)),
        (b"GNU.sparse.map", holes),
    ) + member(b"holes")


# --- streams that expand to much ------------------------------------------------------------------


def repeated(file: Path, form: str, start: bytes, piece: bytes, count: int) -> Path:
    """Write the start, and `count` times the same piece, packed once."""
    packed = PACK[form](piece)
    with file.open("wb") as out:
        out.write(PACK[form](start))
        for _ in range(count):
            out.write(packed)
    return file


def layers(data: bytes, count: int) -> bytes:
    """Compress again and again."""
    for _ in range(count):
        data = gzip.compress(data, 9, mtime=0)
    return data


# --- disks ----------------------------------------------------------------------------------------


def mbr(*entries: tuple[int, int, int]) -> bytes:
    """Return a sector with partitions: (type, first sector, sectors)."""
    rows = b"".join(struct.pack("<4xB3xII", *each) for each in entries)
    return bytes(446) + rows.ljust(64, b"\0") + b"\x55\xaa"


def gpt(*partitions: tuple[int, int], sectors: int = 8192, count: int = 128) -> bytes:
    """Return a disk with a GPT: (first sector, last sector); `count` is what the header says."""
    kind = bytes.fromhex("af3dc60f838472478e793d69d8477de4")
    rows = b"".join(
        struct.pack("<16s16sQQQ72s", kind, bytes([index + 1] * 16), first, last, 0, b"")
        for index, (first, last) in enumerate(partitions)
    ).ljust(128 * 128, b"\0")
    fields = (1, sectors - 1, 34, sectors - 34, b"d" * 16, 2, count, 128, zlib.crc32(rows))
    raw = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, *fields)
    head = raw[:16] + struct.pack("<I", zlib.crc32(raw)) + raw[20:]
    disk = bytearray(mbr((0xEE, 1, sectors - 1)).ljust(sectors * BLOCK, b"\0"))
    disk[BLOCK : BLOCK + len(head)] = head
    disk[2 * BLOCK : 2 * BLOCK + len(rows)] = rows
    return bytes(disk)


def qcow2(size: int, *, bits: int = 16, l1: int = 1, backing: bytes = b"") -> bytes:
    """Return a qcow2 image of `size` bytes that are all holes; `l1` is what its table has."""
    at = 112 if backing else 0
    head = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        *(b"QFI\xfb", 3, at, len(backing), bits, size, 0, l1, 1 << bits, 0, 0, 0),
        *(0, 0, 0, 0, 4, 104),
    )
    return (head.ljust(112, b"\0") + backing).ljust(2 << bits, b"\0")


def flipped(data: bytes, places: Iterable[int]) -> bytes:
    """Return the data with the bytes at some places turned round."""
    damaged = bytearray(data)
    for at in places:
        damaged[at] ^= 0xFF
    return bytes(damaged)
