"""Disks with a FAT file system for the tests of what writes to one."""

from __future__ import annotations

import io
import os
import subprocess
from typing import TYPE_CHECKING

from disk_builder import MIB, fat, plant
from disk_builder import put as copy_into
from file_disk import FileDisk
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.entries import Entry
from mirror_custom_images.filesystems.fat import Fat
from mirror_custom_images.filesystems.fat_check import check_fat
from mirror_custom_images.filesystems.fat_volume import Region
from mirror_custom_images.filesystems.fat_writer import put

from mirror.testing.tools import tool

if TYPE_CHECKING:
    from pathlib import Path


SIZES = {12: 2 * MIB, 16: 34 * MIB, 32: 40 * MIB}
AT = MIB
"""Where the file system begins in the disk that is written to."""

THERE = {"EFI/BOOT/BOOTX64.EFI": "loader" * 999, "README.TXT": "read me"}
HOOKS = {
    "curtin-hooks": "#!/usr/bin/env python3\n" * 500,
    "scripts.tar.xz": bytes(range(256)) * 900,
    "empty": "",
    "sub/a rather long name, with a comma": "x" * 4096,
    "sub/deeper/naïve 🦊 name": "fox",
    "sub/deeper/UPPER.TXT": "upper",
}


def file_entry(path: str, content: bytes | str, mtime: int = 0) -> Entry:
    data = content.encode() if isinstance(content, str) else content
    return Entry(path=path, kind="file", size=len(data), mtime=mtime, open=lambda: io.BytesIO(data))


def entries(files) -> list[Entry]:
    return [file_entry(path, content) for path, content in files.items()]


class Unhurried(Region):
    """Leaves it to the system when what was written gets to the disk: for hundreds of writes."""

    def flush(self) -> None:
        pass


class Image:
    """A disk of which a part has a FAT file system; `kind` is how it is written to."""

    kind: type[Region] = Region

    def __init__(self, file: Path) -> None:
        self.file = file
        self.size = file.stat().st_size - 2 * AT

    def put(self, at: str, files, *, replace: bool = False) -> None:
        self.put_entries(at, entries(files), replace=replace)

    def put_entries(self, at: str, new: list[Entry], *, replace: bool = False) -> None:
        with self.file.open("r+b") as file:
            put(self.kind(file.fileno(), AT, self.size), at, new, replace=replace)

    def files(self) -> dict[str, bytes]:
        with FileDisk(self.file) as disk:
            found = Fat(Part(disk, AT, self.size))
            check_fat(found)
            return {each.path: each.open().read() for each in found.walk() if each.kind == "file"}

    def free(self) -> int:
        with FileDisk(self.file) as disk:
            found = Fat(Part(disk, AT, self.size))
            return sum(not found.table.entry(each) for each in range(2, found.geometry.last + 1))

    def check(self) -> str:
        """Have fsck.vfat look at it; return what it says."""
        alone = self.file.with_suffix(".part")
        alone.write_bytes(self.file.read_bytes()[AT : AT + self.size])
        done = subprocess.run(
            [tool("fsck.vfat"), "-n", "-v", alone], capture_output=True, text=True, check=False
        )
        alone.unlink()
        assert done.returncode == 0, done.stdout
        return done.stdout

    def bytes(self) -> bytes:
        return self.file.read_bytes()


def wrapped(alone: Path) -> Image:
    file, size = alone.with_suffix(".disk"), alone.stat().st_size
    with file.open("wb") as disk:
        disk.write(b"\xaa" * AT)
        disk.seek(AT + size)
        disk.write(b"\xbb" * AT)
    copy_into(file, alone, AT)
    return Image(file)


def copied(image: Image, to: Path) -> Image:
    """Copy a disk with its holes: next to nothing is in it, and tests copy hundreds."""
    to.unlink(missing_ok=True)
    to.touch()
    os.truncate(to, image.file.stat().st_size)
    copy_into(to, image.file, 0)
    return Image(to)


def below(folder: str, files) -> dict[str, bytes]:
    return {
        f"{folder}/{path}": data if isinstance(data, bytes) else data.encode()
        for path, data in files.items()
    }


def as_bytes(files) -> dict[str, bytes]:
    return {
        path: data if isinstance(data, bytes) else data.encode() for path, data in files.items()
    }


def one_of_each_size(folder: Path) -> dict[int, Image]:
    """Make a disk with each width of a FAT, with `THERE` in it."""
    tree = plant(folder / "tree", THERE)
    return {
        bits: wrapped(fat(folder / f"{bits}.img", tree, size, bits=bits))
        for bits, size in SIZES.items()
    }
