"""A GPT for a disk of another size: right for sgdisk and sfdisk, its partitions where they were."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from disk_builder import MIB, gpt, gpt_4096, run
from mirror_custom_images.disks.gpt import moved, shrunk
from table_bench import THREE, codes, read, table_of, write

if TYPE_CHECKING:
    from mirror_custom_images.disks.partitions import PartitionTable


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gpt(tmp_path_factory.mktemp("three") / "disk", THREE)


@pytest.fixture
def disk(three: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(three, tmp_path / "disk"))


def resized(image: Path, size: int) -> PartitionTable:
    """Give a disk another size, and write the patches."""
    table = table_of(image)
    assert table.gpt is not None
    patches = moved(table.gpt, size, read(image, 0, 512))
    os.truncate(image, size)
    for offset, content in patches:
        write(image, offset, content)
    return table


@pytest.mark.parametrize("size", [16 * MIB, 15 * MIB, 100 * MIB, 3000 * MIB + 4096])
def test_a_gpt_that_is_moved_is_right_for_other_tools(disk, size):
    before = resized(disk, size)
    assert table_of(disk).partitions == before.partitions
    assert not table_of(disk).problems
    assert "No problems found" in run("sgdisk", "-v", disk)
    assert "No errors detected" in run("sfdisk", "--verify", disk)
    (whole,) = struct.unpack("<I", read(disk, 446 + 12, 4))
    assert whole == size // 512 - 1


def test_the_smallest_disk(disk):
    os.truncate(disk, 1000 * MIB)
    table = table_of(disk)
    assert table.gpt is not None
    assert shrunk(table.gpt) == 15 * MIB
    resized(disk, 15 * MIB)
    assert "No problems found" in run("sgdisk", "-v", disk)
    with pytest.raises(ValueError, match="does not hold"):
        moved(table.gpt, 14 * MIB, bytes(512))
    with pytest.raises(ValueError, match="does not hold"):
        moved(table.gpt, 15 * MIB + 100, bytes(512))


def test_a_primary_is_made_of_the_backup(disk):
    before = read(disk, 512, 33 * 512)
    write(disk, 512, bytes(33 * 512))
    resized(disk, disk.stat().st_size)
    assert read(disk, 512, 33 * 512) == before
    assert "No problems found" in run("sgdisk", "-v", disk)


def test_a_lost_protective_mbr_is_made_and_boot_code_kept(disk):
    write(disk, 0, b"\xeb\x63\x90".ljust(512, b"\0"))
    resized(disk, disk.stat().st_size)
    assert not table_of(disk).problems
    assert read(disk, 0, 3) == b"\xeb\x63\x90"
    assert "No problems found" in run("sgdisk", "-v", disk)


def test_a_hybrid_keeps_its_partitions(disk):
    run("sgdisk", "-h", "1:2", disk)
    before = read(disk, 446, 66)
    resized(disk, 40 * MIB)
    assert read(disk, 446, 66) == before
    assert codes(table_of(disk)) == ["hybrid-mbr"]


def test_large_sectors_are_moved_too(tmp_path):
    image = gpt_4096(tmp_path / "disk", THREE)
    table = table_of(image)
    assert table.gpt is not None
    size = shrunk(table.gpt)
    resized(image, size)
    assert codes(table_of(image)) == ["sectors-of-4096"]
    shown = run("fdisk", "-b", "4096", "-l", image)
    assert "Disklabel type: gpt" in shown
    assert shown.count("Linux filesystem") == 2
