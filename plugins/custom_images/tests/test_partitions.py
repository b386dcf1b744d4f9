"""Partition tables, made by sfdisk, fdisk and sgdisk: read, damaged in each way, and told so."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest
from disk_builder import ESP, LINUX, MIB, Slice, gpt, gpt_4096, mbr, run
from file_disk import FileDisk
from mirror_custom_images.disks.partitions import read_partitions
from table_bench import THREE, codes, read, seal, set_entry, severities, table_of, write

from mirror.api import Severity


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gpt(tmp_path_factory.mktemp("three") / "disk", THREE)


@pytest.fixture
def disk(three: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(three, tmp_path / "disk"))


# --- what is right --------------------------------------------------------------------------------


def test_a_gpt_by_sfdisk(disk):
    table = table_of(disk)
    assert (table.scheme, table.sector_size, table.problems) == ("gpt", 512, ())
    assert [(each.number, each.start, each.size) for each in table.partitions] == [
        (1, MIB, 4 * MIB),
        (2, 5 * MIB, 6 * MIB),
        (3, 11 * MIB, 3 * MIB),
    ]
    assert [each.kind for each in table.partitions] == [ESP, LINUX, LINUX]
    assert table.partitions[0].name == "EFI"
    assert not table.boot_code


def test_a_gpt_with_large_sectors_is_read_and_told(tmp_path):
    table = table_of(gpt_4096(tmp_path / "disk", THREE))
    assert (table.scheme, table.sector_size) == ("gpt", 4096)
    assert [each.start for each in table.partitions] == [MIB, 5 * MIB, 11 * MIB]
    assert codes(table) == ["sectors-of-4096"]


def test_an_mbr_with_logical_partitions_by_sfdisk(tmp_path):
    slices = [
        Slice(kind="0c", size=4 * MIB, bootable=True),
        Slice(kind="83", size=2 * MIB, extended=True),
        Slice(kind="07", size=3 * MIB, extended=True),
        Slice(kind="82", size=MIB, extended=True),
    ]
    table = table_of(mbr(tmp_path / "disk", slices))
    assert (table.scheme, table.problems) == ("mbr", ())
    assert [(each.number, each.kind, each.size // MIB) for each in table.partitions] == [
        (1, "0x0C", 4),
        (5, "0x83", 2),
        (6, "0x07", 3),
        (7, "0x82", 1),
    ]
    assert table.partitions[0].attributes == 0x80


def test_gaps_in_the_numbers_and_any_order_are_right(tmp_path):
    image = tmp_path / "disk"
    image.touch()
    os.truncate(image, 32 * MIB)
    run("sgdisk", "-n", "5:2048:+1M", "-n", "2:10240:+1M", "-n", "9:8192:+1M", image)
    table = table_of(image)
    assert [each.number for each in table.partitions] == [2, 5, 9]
    assert not table.problems


def test_boot_code_is_seen(disk):
    write(disk, 0, b"\xeb\x63\x90")
    assert table_of(disk).boot_code


@pytest.mark.parametrize("make", ["ext4", "vfat", "ntfs"])
def test_a_bare_file_system_has_no_table(tmp_path, make):
    image = tmp_path / "disk"
    image.touch()
    os.truncate(image, 40 * MIB)
    command = {
        "ext4": ["mke2fs", "-q", "-F", image],
        "vfat": ["mkfs.vfat", image],
        "ntfs": ["mkntfs", "-q", "-F", "-Q", image],
    }[make]
    run(*command)
    table = table_of(image)
    assert (table.scheme, table.partitions) == ("none", ())
    assert codes(table) == ["no-partition-table"]
    assert severities(table) == {Severity.ERROR}


@pytest.mark.parametrize("size", [0, 1, 511, 512, 1024, 4096, MIB])
def test_a_disk_of_zeros_has_no_table(size):
    with FileDisk(bytes(size)) as disk:
        assert codes(read_partitions(disk)) == ["no-partition-table"]


# --- the two halves of a GPT ----------------------------------------------------------------------


def test_a_disk_that_grew_has_its_backup_within(disk):
    os.truncate(disk, 64 * MIB)
    table = table_of(disk)
    assert codes(table) == ["gpt-backup-not-at-end"]
    assert severities(table) == {Severity.WARNING}
    assert "`mirror image build` mends it" in table.problems[0].message


def test_a_disk_that_was_cut_behind_its_partitions_has_no_backup(disk):
    os.truncate(disk, 14 * MIB)
    table = table_of(disk)
    assert codes(table) == ["gpt-backup-missing"]
    assert severities(table) == {Severity.WARNING}
    assert len(table.partitions) == 3


def test_a_disk_that_was_cut_within_a_partition(disk):
    os.truncate(disk, 12 * MIB)
    table = table_of(disk)
    assert codes(table) == ["gpt-backup-missing", "partition-beyond-disk"]
    assert table.problems[1].where == "partition 3"
    assert table.problems[1].severity is Severity.ERROR


@pytest.mark.parametrize("at", [-512, -512 + 16, -512 - 16384 + 40])
def test_a_damaged_backup(disk, at):
    write(disk, disk.stat().st_size + at, b"\xff\xff")
    assert codes(table_of(disk)) == ["gpt-backup-missing"]


def test_a_backup_of_other_partitions(disk):
    other = disk.with_name("other")
    gpt(other, [Slice(size=13 * MIB)])
    size = disk.stat().st_size
    assert size == other.stat().st_size
    write(disk, size - 33 * 512, read(other, size - 33 * 512, 33 * 512))
    assert codes(table_of(disk)) == ["gpt-backup-differs"]


@pytest.mark.parametrize("at", [512, 512 + 16, 1024 + 32])
def test_a_damaged_primary_is_an_error_and_the_backup_is_read(disk, at):
    write(disk, at, b"\xff\xff")
    table = table_of(disk)
    assert codes(table) == ["gpt-damaged"]
    assert severities(table) == {Severity.ERROR}
    assert len(table.partitions) == 3
    assert table.gpt is not None
    assert table.gpt.at == disk.stat().st_size // 512 - 1


def test_both_halves_damaged(disk):
    write(disk, 512, b"\xff")
    write(disk, disk.stat().st_size - 512, b"\xff")
    table = table_of(disk)
    assert codes(table) == ["gpt-damaged"]
    assert "no good backup" in table.problems[0].message
    assert (table.scheme, table.partitions, table.gpt) == ("gpt", (), None)


def test_without_a_protective_mbr_linux_sees_nothing(disk):
    write(disk, 0, bytes(512))
    table = table_of(disk)
    assert codes(table) == ["gpt-not-protected"]
    assert severities(table) == {Severity.ERROR}
    assert len(table.partitions) == 3


def test_a_protective_mbr_that_begins_elsewhere(disk):
    write(disk, 446 + 8, struct.pack("<I", 2))
    assert codes(table_of(disk)) == ["gpt-not-protected"]


def test_a_hybrid_is_noted(disk):
    run("sgdisk", "-h", "1:2", disk)
    table = table_of(disk)
    assert codes(table) == ["hybrid-mbr"]
    assert severities(table) == {Severity.NOTE}
    assert len(table.partitions) == 3


def test_a_gpt_left_behind_an_mbr_is_told(tmp_path):
    image = mbr(tmp_path / "disk", [Slice(kind="83", size=13 * MIB)], tail=MIB)
    old = gpt(tmp_path / "old", THREE)
    write(image, 512, read(old, 512, 33 * 512))
    table = table_of(image)
    assert (table.scheme, codes(table)) == ("mbr", ["stale-gpt"])
    assert len(table.partitions) == 1


# --- where partitions are -------------------------------------------------------------------------


def test_partitions_that_overlap(disk):
    set_entry(disk, 3, 20000, 24000)
    table = table_of(disk)
    assert "partitions-overlap" in codes(table)
    (found,) = [each for each in table.problems if "overlap" in each.code]
    assert (found.where, found.severity) == ("partition 3", Severity.ERROR)
    assert "partition 2" in found.message


def test_a_partition_within_another_is_an_overlap(disk):
    set_entry(disk, 1, 2048, 28671)
    assert codes(table_of(disk)).count("partitions-overlap") == 2


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        (22528, 2**40, "partition-beyond-disk"),
        (2**63, 2**64 - 1, "partition-beyond-disk"),
        (22528, 22527, "partition-empty"),
        (22528, 100, "partition-empty"),
        (1, 100, "partition-over-table"),
        (33, 100, "partition-over-table"),
    ],
)
def test_a_partition_out_of_place(disk, first, last, code):
    set_entry(disk, 3, first, last)
    table = table_of(disk)
    assert code in codes(table)
    assert Severity.ERROR in severities(table)


def test_a_partition_outside_of_what_the_gpt_allows(disk):
    write(disk, 512 + 40, struct.pack("<Q", 4096))
    seal(disk)
    found = codes(table_of(disk))
    assert found == ["partition-not-usable"]


# --- headers that lie -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (12, struct.pack("<I", 40), "header is of 40 bytes"),
        (12, struct.pack("<I", 2**31), "header is of"),
        (24, struct.pack("<Q", 7), "says that it is in 7"),
        (40, struct.pack("<QQ", 99, 34), "no room"),
        (72, struct.pack("<Q", 0), "not on the disk"),
        (72, struct.pack("<Q", 2**63), "not on the disk"),
        (80, struct.pack("<I", 2**32 - 1), "room for 4,294,967,295 partitions"),
        (84, struct.pack("<I", 256), "entries of 256 bytes"),
        (84, struct.pack("<I", 0), "entries of 0 bytes"),
        (84, struct.pack("<I", 2**32 - 1), "entries of 4,294,967,295 bytes"),
    ],
)
def test_a_header_that_lies(disk, field, value, words):
    write(disk, 512 + field, value)
    seal(disk)
    table = table_of(disk)
    assert codes(table) == ["gpt-damaged"]
    assert words in table.problems[0].message
    assert len(table.partitions) == 3  # out of the backup


def test_more_partitions_than_any_image_has(tmp_path):
    image = tmp_path / "disk"
    image.touch()
    os.truncate(image, 64 * MIB)
    run("sgdisk", "-o", "-S", "512", image)
    for number in range(300):
        entry = struct.pack("<16s16sQQQ72s", b"\1" * 16, b"", 2048 + number, 2048 + number, 0, b"")
        write(image, 1024 + 128 * number, entry)
    seal(image)
    table = table_of(image)
    assert len(table.partitions) == 128
    assert "too-many-partitions" in codes(table)


# --- chains of an extended partition --------------------------------------------------------------


@pytest.fixture
def chained(tmp_path: Path) -> Path:
    slices = [Slice(kind="83", size=2 * MIB)]
    slices += [Slice(kind="83", size=MIB, extended=True)] * 3
    return mbr(tmp_path / "disk", slices)


def second_link(image: Path) -> int:
    """Return where the second table of the chain is, in bytes."""
    (extended,) = struct.unpack("<I", read(image, 446 + 3 * 16 + 8, 4))
    (step,) = struct.unpack("<I", read(image, extended * 512 + 446 + 16 + 8, 4))
    return (extended + step) * 512


@pytest.mark.parametrize(
    ("at", "content", "words", "left"),
    [
        (446 + 16 + 8, struct.pack("<I", 0), "leads back", [1, 5, 6]),
        (446 + 16 + 8, struct.pack("<I", 2**32 - 1), "beyond the end", [1, 5, 6]),
        (446 + 16 + 8, struct.pack("<I", 3), "holds no table", [1, 5, 6]),
        (510, b"\0\0", "holds no table", [1, 5]),
    ],
)
def test_a_chain_that_is_broken(chained, at, content, words, left):
    write(chained, second_link(chained) + at, content)
    table = table_of(chained)
    assert codes(table) == ["extended-partition-broken"]
    assert table.problems[0].where == "partition 4"
    assert words in table.problems[0].message
    assert [each.number for each in table.partitions] == left


def test_a_chain_without_end(tmp_path):
    image = tmp_path / "disk"
    image.touch()
    os.truncate(image, 64 * MIB)

    def table(*entries: tuple[int, int, int]) -> bytes:
        rows = b"".join(struct.pack("<B3sB3sII", 0, b"", k, b"", f, n) for k, f, n in entries)
        return bytes(446) + rows.ljust(64, b"\0") + b"\x55\xaa"

    write(image, 0, table((5, 2048, 100_000)))
    for number in range(500):
        link = table((0x83, 1, 1), (5, 2 * (number + 1), 2))
        write(image, (2048 + 2 * number) * 512, link)
    read_back = table_of(image)
    assert codes(read_back) == ["extended-partition-broken"]
    assert len(read_back.partitions) == 100


def test_an_extended_partition_at_sector_0(chained):
    write(chained, 446 + 3 * 16 + 8, struct.pack("<I", 0))
    assert "extended-partition-broken" in codes(table_of(chained))
