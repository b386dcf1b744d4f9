"""Files that are put into the EFI System Partition of a disk: curtin's hooks, a fallback loader.

That is the one file system of most disks that is a FAT, which we can write; curtin takes hooks from
any partition. What is done to a file is done in place, and seen at once or not at all; a disk that
is only read gets patches in its stead.
"""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

from mirror.api import BuildRefused
from mirror.formats import FormatError, read_efi
from mirror_custom_images.building.disk_volumes import read_disk
from mirror_custom_images.building.hooks import MTIME, ROOT, read_hooks
from mirror_custom_images.checks.bootloaders import SUFFIXES
from mirror_custom_images.checks.efi import ESP_KINDS
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.disks.partitions import read_partitions
from mirror_custom_images.disks.raw import RawDisk
from mirror_custom_images.entries import Entry
from mirror_custom_images.filesystems.fat import Fat
from mirror_custom_images.filesystems.fat_volume import Patches, Region
from mirror_custom_images.filesystems.fat_writer import put

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mirror_custom_images.building.hooks import Hook
    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.partitions import Partition
    from mirror_custom_images.filesystems.fat_volume import Writable

_FALLBACK = "EFI/BOOT"
_LOADERS = ("shim{0}.efi", "shim.efi", "grub{0}.efi", "systemd-boot{0}.efi", "bootmgfw.efi")
"""What a vendor's loader is called, the one first that secure boot starts."""
_NEXT = "grub{0}.efi"
"""What shim starts, from the directory that it is in itself."""
_MOST_LOADER = 16 * 1024**2
_MOST_VENDORS = 50


def put_hooks(file: Path, hooks: Path, *, replace: bool = False) -> None:
    """Write a directory with curtin hooks into the ESP of a raw disk, as `curtin`, in place.

    Raises `BuildRefused`, with nothing written, where there is no ESP or no room, where another
    partition has a `curtin`, or the ESP has one that is not to be replaced; `FormatError` where the
    ESP is damaged.
    """
    found = read_hooks(hooks)
    with file.open("r+b", buffering=0) as opened:
        disk = RawDisk(opened.fileno())
        esp = find_esp(disk)
        _check_no_other(disk, esp)
        _put_hooks(Region(opened.fileno(), esp.start, esp.size), found, replace=replace)


def hook_patches(
    disk: Disk, hooks: Sequence[Hook], *, replace: bool = False
) -> list[tuple[int, bytes]]:
    """Do what `put_hooks` does, to a disk that stays as it is: return (offset, bytes) to write."""
    esp = find_esp(disk)
    _check_no_other(disk, esp)
    target = Patches(Part(disk, esp.start, esp.size))
    _put_hooks(target, hooks, replace=replace)
    return target.written(esp.start)


def put_loader(file: Path, arch: str) -> tuple[str, ...]:
    """Copy a vendor's loader in the ESP of a raw disk to where any firmware looks, in place.

    Where EFI/BOOT has a loader already, nothing is done. Returns the paths that were written: the
    loader's, and that of GRUB, which shim needs beside it. Raises as `put_hooks` does.
    """
    with file.open("r+b", buffering=0) as opened:
        esp = find_esp(RawDisk(opened.fileno()))
        return _put_loader(Region(opened.fileno(), esp.start, esp.size), arch)


def loader_patches(disk: Disk, arch: str) -> tuple[list[tuple[int, bytes]], tuple[str, ...]]:
    """Do what `put_loader` does, to a disk that stays as it is: return what to write as well."""
    esp = find_esp(disk)
    target = Patches(Part(disk, esp.start, esp.size))
    written = _put_loader(target, arch)
    return target.written(esp.start), written


def find_esp(disk: Disk) -> Partition:
    """Return the EFI System Partition: the first, where there are several.

    Raises `BuildRefused` where there is none.
    """
    for each in read_partitions(disk).partitions:
        if each.kind in ESP_KINDS and each.size > 0 and each.end <= disk.size:
            return each
    raise BuildRefused(
        "the disk has no EFI System Partition, and no other file system is written to",
        "Put the files into the image where it is built.",
    )


# --- hooks ----------------------------------------------------------------------------------------


def _put_hooks(target: Writable, hooks: Sequence[Hook], *, replace: bool) -> None:
    entries = [_entry(each.path.removeprefix(f"{ROOT}/"), each.content) for each in hooks[1:]]
    try:
        put(target, ROOT, entries, replace=replace)
    except FormatError as error:
        raise FormatError(f"has an EFI System Partition that {error}") from error


def _entry(path: str, content: bytes | None) -> Entry:
    mtime = MTIME * 1_000_000_000
    if content is None:
        return Entry(path=path, kind="dir", mtime=mtime)
    return Entry(
        path=path, kind="file", size=len(content), mtime=mtime, open=partial(io.BytesIO, content)
    )


def _check_no_other(disk: Disk, esp: Partition) -> None:
    """Refuse hooks where curtin would find others: it takes those that it finds last."""
    for volume in read_disk(disk):
        if volume.system is None or volume.name == f"partition {esp.number}":
            continue
        try:
            found = volume.system.find(ROOT)
        except FormatError as error:
            raise FormatError(f"has a {volume.name} of which the file system {error}") from error
        if found is not None and found.kind == "dir":
            raise BuildRefused(
                f"there is a directory {ROOT} on {volume.name} already: curtin would take either",
                "Remove it where the image is built.",
            )


# --- the loader -----------------------------------------------------------------------------------


def _put_loader(target: Writable, arch: str) -> tuple[str, ...]:
    suffix = SUFFIXES.get(arch)
    if suffix is None:
        raise BuildRefused(f"machines of {arch} start no EFI loader", "Leave the loader out.")
    name = f"BOOT{suffix.upper()}.EFI"
    fallback = f"{_FALLBACK}/{name}"
    try:
        fat = Fat(target)
        if fat.find(fallback) is not None:
            return ()
        vendor, loader = _vendors_loader(fat, arch, suffix)
        wanted = [(fallback, loader)]
        after = fat.find(f"{vendor}/{_NEXT.format(suffix)}")
        beside = f"{_FALLBACK}/{_NEXT.format(suffix)}"
        if "shim" in loader.path.lower() and after is not None and fat.find(beside) is None:
            # First, so that no shim is ever without it.
            wanted.insert(0, (beside, after))
        for path, entry in wanted:
            put(target, path, [_entry(".", _content(entry))])
    except FormatError as error:
        raise FormatError(f"has an EFI System Partition that {error}") from error
    return tuple(path for path, _ in wanted)


def _vendors_loader(fat: Fat, arch: str, suffix: str) -> tuple[str, Entry]:
    """Return the directory and the loader of the first vendor that has one for an architecture."""
    vendors = [each.path for each in fat.list("EFI") if each.kind == "dir"][:_MOST_VENDORS]
    folders = [*vendors, *(f"{each}/Boot" for each in vendors)]
    for name in _LOADERS:
        for folder in folders:
            entry = fat.find(f"{folder}/{name.format(suffix)}")
            if entry is not None and entry.kind == "file" and _is_for(entry, arch):
                return folder, entry
    raise BuildRefused(
        f"there is no loader for {arch} in its EFI System Partition that could be copied",
        "Install shim and GRUB, or another loader, where the image is built.",
    )


def _is_for(entry: Entry, arch: str) -> bool:
    try:
        with entry.open() as stream:
            return read_efi(stream, entry.size).arch == arch
    except FormatError:
        return False


def _content(entry: Entry) -> bytes:
    if entry.size > _MOST_LOADER:
        raise BuildRefused(
            f"{entry.path} has {entry.size:,} bytes: that is no loader", "Remove it."
        )
    with entry.open() as stream:
        return stream.read()
