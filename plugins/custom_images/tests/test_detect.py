"""What is on a partition is told as the tools that made it name it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from disk_builder import ext4, fat, ntfs, plant, run, xfs
from file_disk import FileDisk
from mirror_custom_images.filesystems.detect import kind_of, open_filesystem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1024**2


def _swap(image: Path, tree: Path) -> Path:
    del tree
    image.touch()
    os.truncate(image, 4 * MIB)
    run("mkswap", image)
    return image


def _mke2fs(kind: str) -> Callable[[Path, Path], Path]:
    def made(image: Path, tree: Path) -> Path:
        image.touch()
        os.truncate(image, 16 * MIB)
        run("mke2fs", "-q", "-F", "-t", kind, "-d", tree, image)
        return image

    return made


MADE: dict[str, Callable[[Path, Path], Path]] = {
    "ext2": _mke2fs("ext2"),
    "ext3": _mke2fs("ext3"),
    "ext4": ext4,
    "xfs": xfs,
    "ntfs": ntfs,
    "vfat": fat,
    "swap": _swap,
}


@pytest.mark.parametrize("kind", MADE)
def test_each_is_named(kind: str, tmp_path: Path) -> None:
    image = MADE[kind](tmp_path / "image", plant(tmp_path / "tree", {"hello": "hello\n"}))
    with FileDisk(image) as disk:
        assert kind_of(disk) == kind


@pytest.mark.parametrize("kind", ["ext2", "ext4", "xfs", "ntfs", "vfat"])
def test_each_is_read(kind: str, tmp_path: Path) -> None:
    image = MADE[kind](tmp_path / "image", plant(tmp_path / "tree", {"etc/hello": "hello\n"}))
    with FileDisk(image) as disk:
        opened = open_filesystem(disk)
        assert opened is not None
        assert opened.kind == kind
        entry = opened.find("etc/hello")
        assert entry is not None
        assert entry.open().read() == b"hello\n"


@pytest.mark.parametrize(
    ("kind", "offset", "magic"),
    [
        ("luks", 0, b"LUKS\xba\xbe\x00\x02"),
        ("bitlocker", 3, b"-FVE-FS-"),
        ("lvm2", 512, b"LABELONE" + bytes(16) + b"LVM2 001"),
        ("btrfs", 0x10040, b"_BHRfS_M"),
        ("vmfs", MIB, b"\x0d\xd0\x01\xc0"),
        ("iso9660", 0x8001, b"CD001"),
        ("", 0, b""),
    ],
)
def test_what_can_not_be_made_here_is_known_by_its_magic(
    kind: str, offset: int, magic: bytes, tmp_path: Path
) -> None:
    image = tmp_path / "image"
    image.write_bytes((bytes(offset) + magic).ljust(2 * MIB, b"\0"))
    with FileDisk(image) as disk:
        assert kind_of(disk) == kind
        assert open_filesystem(disk) is None


@pytest.mark.parametrize("size", [0, 1, 511, 512, 1024, 4096, 70_000])
def test_a_disk_too_small_for_anything_is_nothing(size: int, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(size))
    with FileDisk(image) as disk:
        assert kind_of(disk) == ""
