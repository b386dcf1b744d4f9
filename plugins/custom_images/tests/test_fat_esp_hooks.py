"""Hooks and loaders that are put into the ESP of a disk, in place; mtools reads them back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from disk_builder import ESP, LINUX, MIB, Slice, ext4, fat, gpt, mbr, plant, run
from file_disk import FileDisk
from mirror_custom_images.building.esp_hooks import (
    find_esp,
    hook_patches,
    loader_patches,
    put_hooks,
    put_loader,
)
from mirror_custom_images.building.hooks import read_hooks
from mirror_custom_images.building.overlay import Overlay
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.filesystems.fat import Fat

from mirror.api import BuildRefused
from mirror.formats import FormatError
from mirror.testing import artefacts

if TYPE_CHECKING:
    from pathlib import Path

SHIM = artefacts.efi_binary("shim", 40_000, signed=True)
GRUB = artefacts.efi_binary("grub", 90_000, signed=True)
HOOK = "#!/usr/bin/env python3\nprint('deployed')\n"


@pytest.fixture
def hooks(tmp_path):
    files = {"curtin-hooks": HOOK, "lib/a helper.py": "x = 1\n" * 999, "scripts.tar.xz": b"\xfd7z"}
    return plant(tmp_path / "hooks", files, executable=["curtin-hooks"])


def disk_of(tmp_path: Path, esp: dict, root: dict | None = None, make=gpt, kind=ESP) -> Path:
    image = fat(tmp_path / "esp.img", plant(tmp_path / "esp", esp), 34 * MIB)
    other = ext4(tmp_path / "root.img", plant(tmp_path / "root", root or {"etc/hostname": "x"}))
    linux = LINUX if make is gpt else "83"
    return make(tmp_path / "disk", [Slice(other, linux), Slice(image, kind)])


def esp_at(disk: Path) -> str:
    with FileDisk(disk) as opened:
        return f"{disk}@@{find_esp(opened).start}"


def esp_files(disk: Path) -> dict[str, bytes]:
    with FileDisk(disk) as opened:
        esp = find_esp(opened)
        found = Fat(Part(opened, esp.start, esp.size))
        return {each.path: each.open().read() for each in found.walk() if each.kind == "file"}


@pytest.mark.parametrize(("make", "kind"), [(gpt, ESP), (mbr, "ef")])
def test_hooks_are_in_the_esp_afterwards(tmp_path, hooks, make, kind):
    disk = disk_of(tmp_path, {"EFI/BOOT/BOOTX64.EFI": SHIM}, make=make, kind=kind)
    before = disk.read_bytes()
    put_hooks(disk, hooks)
    assert run("mtype", "-i", esp_at(disk), "::/curtin/curtin-hooks") == HOOK
    listed = run("mdir", "-b", "-/", "-i", esp_at(disk), "::/curtin").split("\n")
    assert "::/curtin/lib/a helper.py" in listed
    assert esp_files(disk)["EFI/BOOT/BOOTX64.EFI"] == SHIM
    with FileDisk(disk) as opened:
        start = find_esp(opened).start
    assert disk.read_bytes()[:start] == before[:start]


def test_patches_make_the_same_disk(tmp_path, hooks):
    disk = disk_of(tmp_path, {"EFI/vendor/shimx64.efi": SHIM, "EFI/vendor/grubx64.efi": GRUB})
    before = disk.read_bytes()
    with FileDisk(disk) as opened:
        patches = hook_patches(opened, read_hooks(hooks))
        hooked = Overlay(opened, opened.size, patches)
        more, written = loader_patches(hooked, "amd64")
        whole = Overlay(hooked, opened.size, more)
        found = whole.read(0, whole.size)
    assert disk.read_bytes() == before
    put_hooks(disk, hooks)
    assert put_loader(disk, "amd64") == written
    assert disk.read_bytes() == found


def test_a_curtin_on_another_partition_is_refused(tmp_path, hooks):
    disk = disk_of(tmp_path, {"a": "b"}, {"curtin/curtin-hooks": HOOK})
    before = disk.read_bytes()
    for replace in (False, True):
        with pytest.raises(BuildRefused, match=r"a directory curtin on partition 1 already"):
            put_hooks(disk, hooks, replace=replace)
    assert disk.read_bytes() == before


def test_a_curtin_in_the_esp_is_replaced_only_when_asked(tmp_path, hooks):
    disk = disk_of(tmp_path, {"curtin/curtin-hooks": "old", "curtin/old": "old"})
    with pytest.raises(BuildRefused, match=r"there is a curtin already"):
        put_hooks(disk, hooks)
    put_hooks(disk, hooks, replace=True)
    assert set(esp_files(disk)) == {
        "curtin/curtin-hooks",
        "curtin/lib/a helper.py",
        "curtin/scripts.tar.xz",
    }


def test_a_disk_without_an_esp_is_refused(tmp_path, hooks):
    disk = disk_of(tmp_path, {"a": "b"}, kind=LINUX)
    with pytest.raises(BuildRefused, match=r"no EFI System Partition"):
        put_hooks(disk, hooks)


def test_hooks_that_do_not_fit_are_refused(tmp_path, hooks):
    (hooks / "big").write_bytes(os.urandom(40 * MIB))
    disk = disk_of(tmp_path, {"a": "b"})
    before = disk.read_bytes()
    with pytest.raises(BuildRefused, match=r"has no room"):
        put_hooks(disk, hooks)
    assert disk.read_bytes() == before


def test_a_damaged_esp_is_told(tmp_path, hooks):
    disk = disk_of(tmp_path, {"a": "b"})
    with FileDisk(disk) as opened:
        start = find_esp(opened).start
    with disk.open("r+b") as opened:
        opened.seek(start + 13)
        opened.write(b"\3")
    with pytest.raises(FormatError, match=r"EFI System Partition that is no FAT"):
        put_hooks(disk, hooks)


# --- the loader -----------------------------------------------------------------------------------


def test_a_vendors_loader_becomes_the_fallback(tmp_path):
    disk = disk_of(
        tmp_path,
        {
            "EFI/almalinux/shimx64.efi": SHIM,
            "EFI/almalinux/grubx64.efi": GRUB,
            "EFI/almalinux/grub.cfg": "set x=1",
        },
    )
    assert put_loader(disk, "amd64") == ("EFI/BOOT/grubx64.efi", "EFI/BOOT/BOOTX64.EFI")
    found = esp_files(disk)
    assert found["EFI/BOOT/BOOTX64.EFI"] == SHIM
    assert found["EFI/BOOT/grubx64.efi"] == GRUB
    out = tmp_path / "out"
    run("mcopy", "-n", "-i", esp_at(disk), "::/EFI/BOOT/BOOTX64.EFI", out)
    assert out.read_bytes() == SHIM
    assert put_loader(disk, "amd64") == ()


def test_a_loader_that_is_there_stays(tmp_path):
    disk = disk_of(tmp_path, {"EFI/BOOT/BOOTX64.EFI": GRUB, "EFI/fedora/shimx64.efi": SHIM})
    before = disk.read_bytes()
    assert put_loader(disk, "amd64") == ()
    assert disk.read_bytes() == before


@pytest.mark.parametrize(
    "files",
    [
        {"EFI/vendor/readme.txt": "none"},
        {"EFI/vendor/shimx64.efi": "no program"},
        {"EFI/vendor/shimx64.efi": artefacts.efi_binary("arm", 40_000, arch="arm64")},
    ],
)
def test_nothing_to_copy_is_refused(tmp_path, files):
    disk = disk_of(tmp_path, files)
    with pytest.raises(BuildRefused, match=r"no loader for amd64"):
        put_loader(disk, "amd64")


def test_a_loader_of_arm_has_a_name_of_its_own(tmp_path):
    loader = artefacts.efi_binary("arm", 40_000, arch="arm64")
    disk = disk_of(tmp_path, {"EFI/openEuler/grubaa64.efi": loader})
    assert put_loader(disk, "arm64") == ("EFI/BOOT/BOOTAA64.EFI",)
    assert esp_files(disk)["EFI/BOOT/BOOTAA64.EFI"] == loader


def test_an_architecture_without_efi_is_refused(tmp_path):
    disk = disk_of(tmp_path, {"a": "b"})
    with pytest.raises(BuildRefused, match=r"machines of s390x"):
        put_loader(disk, "s390x")
