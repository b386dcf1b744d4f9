"""What tests of partition tables share: a disk with three partitions, and how to change it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from zlib import crc32

from disk_builder import ESP, MIB, Slice
from file_disk import FileDisk
from mirror_custom_images.disks.partitions import PartitionTable, read_partitions

if TYPE_CHECKING:
    from pathlib import Path

    from mirror.api import Severity

THREE = [Slice(kind=ESP, size=4 * MIB, name="EFI"), Slice(size=6 * MIB), Slice(size=3 * MIB)]


def table_of(image: Path) -> PartitionTable:
    with FileDisk(image) as disk:
        return read_partitions(disk)


def codes(table: PartitionTable) -> list[str]:
    return [each.code.removeprefix("custom-images-") for each in table.problems]


def severities(table: PartitionTable) -> set[Severity]:
    return {each.severity for each in table.problems}


def write(image: Path, at: int, content: bytes) -> None:
    with image.open("r+b") as disk:
        disk.seek(at)
        disk.write(content)


def read(image: Path, at: int, size: int) -> bytes:
    with image.open("rb") as disk:
        disk.seek(at)
        return disk.read(size)


def seal(image: Path, header: int = 512) -> None:
    """Make the checksums of a GPT right again, after it was changed."""
    raw = bytearray(read(image, header, 512))
    entries_at, count, size = struct.unpack_from("<QII", raw, 72)
    if entries_at < MIB and count * size < 64 * MIB:
        struct.pack_into("<I", raw, 88, crc32(read(image, entries_at * 512, count * size)))
    struct.pack_into("<I", raw, 16, 0)
    struct.pack_into("<I", raw, 16, crc32(raw[:92]))
    write(image, header, bytes(raw))


def set_entry(image: Path, number: int, first: int, last: int) -> None:
    write(image, 1024 + 128 * (number - 1) + 32, struct.pack("<QQ", first, last))
    seal(image)
