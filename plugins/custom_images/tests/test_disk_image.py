"""Disk images with one fault each, and the finding that names it; a good one has notes only."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
from typing import TYPE_CHECKING

import pytest
import root_builder
from disk_bench import (
    ERROR,
    FALLBACK,
    HOOKS,
    ITEM,
    LOADER,
    NOTE,
    WARNING,
    Bench,
    codes,
    look_at,
    of,
    product,
)
from disk_builder import (
    BIOS_BOOT,
    ESP,
    LINUX,
    LVM,
    MIB,
    MICROSOFT_DATA,
    Slice,
    btrfs,
    ext4,
    fat,
    mbr,
    ntfs,
    plant,
    run,
    xfs,
)
from file_disk import FileDisk
from lvm_builder import EXTENT, Logical, physical
from mirror_custom_images.checks.disk_image import check, look
from mirror_custom_images.images import CustomImages

from mirror.api import Finding, Item, Severity, Version
from mirror.testing import artefacts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# --- one that is good -----------------------------------------------------------------------------


def test_a_good_disk_has_a_note_only(bench):
    disk = bench.disk(Slice(kind=BIOS_BOOT), bench.esp(), bench.root())
    found = look_at(disk)
    assert codes(found) == {(NOTE, "disk-size")}
    size = of(found, "disk-size")
    assert size.where == "root-dd.gz"
    assert "at least 56 MB" in size.message
    assert "partition 2 (vfat, 36 MB), partition 3 (ext4, 17 MB)" in size.message


@pytest.mark.parametrize("make", ["ext4", "xfs", "ntfs", "vfat", "ext2"])
def test_curtin_is_found_on_what_linux_mounts(bench, make):
    tree = bench.tree({"curtin/curtin-hooks": HOOKS}, ("curtin/curtin-hooks",))
    image = bench.file()
    if make == "ext2":
        ext4(image, tree, kind="ext2")
    else:
        {"ext4": ext4, "xfs": xfs, "ntfs": ntfs, "vfat": fat}[make](image, tree)
    kind = MICROSOFT_DATA if make in ("ntfs", "vfat") else LINUX
    found = look_at(bench.disk(bench.esp(), Slice(image, kind)))
    assert codes(found) == {(NOTE, "disk-size")}


def test_curtin_is_found_within_lvm(bench):
    content = bench.root().content
    volume = Logical("root", content, [(4, 2), (0, 2)])
    assert content.stat().st_size == 4 * EXTENT
    pv = physical(bench.file(), [volume])
    found = look_at(bench.disk(bench.esp(), Slice(pv, LVM)))
    assert codes(found) == {(NOTE, "disk-size")}
    assert "partition 2, volume vg0/root (ext4" in of(found, "disk-size").message


# --- curtin's directory ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "severity"),
    [("custom/ours", WARNING), ("windows/win2022", ERROR), ("ubuntu-core/20", WARNING)],
)
def test_no_directory_for_curtin(bench, name, severity):
    """As in packer-maas #271, #278: "Did not find any filesystem ... that contained one of"."""
    found = look_at(bench.disk(bench.esp(), bench.root({"etc/hosts": "x"})), name)
    assert (severity, "no-curtin") in codes(found)
    assert "Did not find any filesystem" in of(found, "no-curtin").message
    assert of(found, "no-curtin").where == "root-dd.gz"


def test_a_file_system_that_is_not_read_may_have_it(bench):
    tree = bench.tree({"curtin/curtin-hooks": HOOKS})
    disk = bench.disk(bench.esp(), Slice(btrfs(bench.file(), tree)))
    found = look_at(disk, "windows/win2022")
    assert (WARNING, "no-curtin") in codes(found)
    assert "partition 2 (btrfs) can't be" in of(found, "no-curtin").message


def test_the_marks_of_ubuntu_core_will_do(bench):
    disk = bench.disk(bench.esp(), bench.root({"system-data/var/lib/snapd/state.json": "{}"}))
    assert codes(look_at(disk, "ubuntu-core/20")) == {(NOTE, "disk-size")}


def test_two_directories_for_curtin(bench):
    found = look_at(bench.disk(bench.esp(), bench.root(), bench.root()))
    assert (WARNING, "several-curtin") in codes(found)
    assert "partition 2, partition 3" in of(found, "several-curtin").message


def test_a_file_of_that_name_is_no_directory(bench):
    found = look_at(bench.disk(bench.esp(), bench.root({"curtin": "x"})))
    assert (WARNING, "no-curtin") in codes(found)


@pytest.mark.parametrize(
    ("hooks", "severity", "words"),
    [
        ("#!/usr/bin/python3\nprint 'two'\n", ERROR, "no Python 3: line 2"),
        ("", ERROR, "is empty"),
        ("print('x')\n", ERROR, "does not begin with #!"),
        ("#!/usr/bin/ruby\n", WARNING, "/usr/bin/ruby"),
        ("#!/bin/bash\r\necho\r\n", ERROR, "as on Windows"),
    ],
)
def test_hooks_that_do_not_run(bench, hooks, severity, words):
    found = look_at(bench.disk(bench.esp(), bench.root({"curtin/curtin-hooks": hooks})))
    assert (severity, "curtin-hooks") in codes(found)
    hook = of(found, "curtin-hooks")
    assert hook.where == "root-dd.gz: partition 2: curtin/curtin-hooks"
    assert words in hook.message


def test_hooks_that_are_not_executable(bench):
    files = {"curtin/curtin-hooks": HOOKS}
    found = look_at(bench.disk(bench.esp(), bench.root(files, executable=())))
    assert (ERROR, "curtin-hooks") in codes(found)
    assert "not executable" in of(found, "curtin-hooks").message


def test_a_fat_has_no_modes(bench):
    esp = bench.esp({FALLBACK: LOADER, "curtin/curtin-hooks": HOOKS})
    assert codes(look_at(bench.disk(esp, Slice()))) == {(NOTE, "disk-size")}


@pytest.mark.parametrize(
    ("name", "severity"), [("custom/ours", WARNING), ("windows/win2022", ERROR)]
)
def test_a_directory_without_hooks(bench, name, severity):
    found = look_at(bench.disk(bench.esp(), bench.root({"curtin/finalize": HOOKS})), name)
    assert (severity, "curtin-hooks") in codes(found)


# --- what starts it -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "code", "severity"),
    [
        ({"EFI/almalinux/shimx64.efi": LOADER}, "efi-directory", ERROR),
        ({"EFI/VMware/x.efi": LOADER}, "efi-directory", ERROR),
        ({}, "efi-directory", ERROR),
        ({"EFI/BOOT/BOOTAA64.EFI": LOADER}, "efi-directory", ERROR),
        ({"EFI/rocky/shimx64.efi": LOADER}, "efi-directory", WARNING),
        ({"EFI/ubuntu/shimx64.efi": LOADER}, "no-fallback-loader", NOTE),
        ({FALLBACK: b"nothing"}, "boot-loader", ERROR),
        ({FALLBACK: LOADER[:2000]}, "boot-loader", ERROR),
        ({FALLBACK: artefacts.efi_binary("x", 4096)}, "boot-loader-unsigned", NOTE),
        (
            {FALLBACK: artefacts.efi_binary("x", 4096, arch="arm64", signed=True)},
            "boot-loader-arch",
            ERROR,
        ),
        ({FALLBACK: LOADER, "EFI/ubuntu/shimx64.efi": b"x"}, "boot-loader", WARNING),
    ],
)
def test_boot_loaders(bench, files, code, severity):
    found = look_at(bench.disk(bench.esp(files), bench.root(), boot_code=False))
    assert codes(found) == {(NOTE, "disk-size"), (NOTE, "no-bios-boot"), (severity, code)}
    assert of(found, code).where.startswith("root-dd.gz: partition 1: EFI")


def test_a_vendor_that_maas_does_not_know(bench):
    """As in packer-maas #108; a machine with BIOS starts it, so that it may be what is wanted."""
    found = look_at(bench.disk(bench.esp({"EFI/fedora/shimx64.efi": LOADER}), bench.root()))
    assert (WARNING, "efi-directory") in codes(found)
    message = of(found, "efi-directory").message
    assert "EFI/fedora" in message
    assert FALLBACK in message


def test_arm64_has_names_of_its_own(bench):
    loader = artefacts.efi_binary("arm", 4096, arch="arm64", signed=True)
    disk = bench.disk(bench.esp({"EFI/BOOT/BOOTAA64.EFI": loader}), bench.root())
    assert codes(look_at(disk, arch="arm64")) == {(NOTE, "disk-size")}
    assert (WARNING, "efi-directory") in codes(look_at(disk, arch="amd64"))


@pytest.mark.parametrize(
    ("boot_code", "arch", "code", "severity"),
    [
        (True, "amd64", "no-esp", WARNING),
        (False, "amd64", "no-boot-loader", ERROR),
        (False, "arm64", "no-esp", WARNING),
    ],
)
def test_no_efi_system_partition(bench, boot_code, arch, code, severity):
    found = look_at(bench.disk(bench.root(), boot_code=boot_code), arch=arch)
    assert codes(found) == {(NOTE, "disk-size"), (severity, code)}


def test_an_efi_system_partition_that_is_no_fat(bench):
    tree = bench.tree({FALLBACK: LOADER})
    found = look_at(bench.disk(Slice(ext4(bench.file(), tree), ESP), bench.root()))
    assert (ERROR, "esp-not-fat") in codes(found)
    assert of(found, "esp-not-fat").where == "root-dd.gz: partition 1"


def test_an_mbr_alone(bench):
    disk = mbr(bench.folder / "disk", [Slice(bench.root().content, "83", bootable=True)])
    bench.start(disk)
    assert codes(look_at(disk)) == {(NOTE, "disk-size"), (WARNING, "no-esp")}
    esp = Slice(bench.esp().content, "ef")
    disk = mbr(bench.folder / "disk", [esp, Slice(bench.root().content, "83")])
    bench.start(disk)
    assert codes(look_at(disk)) == {(NOTE, "disk-size"), (WARNING, "mbr")}


# --- the table and the file systems ---------------------------------------------------------------


def test_problems_of_the_table_say_where(bench):
    disk = bench.disk(bench.esp(), bench.root())
    os.truncate(disk, 45 * MIB)
    found = look_at(disk)
    assert {(ERROR, "partition-beyond-disk"), (WARNING, "gpt-backup-missing")} <= codes(found)
    assert of(found, "partition-beyond-disk").where == "root-dd.gz: partition 2"


def test_no_table_ends_it(bench):
    assert codes(look_at(bench.root().content)) == {(ERROR, "no-partition-table")}


def test_a_file_system_that_is_damaged_is_told(bench):
    disk = bench.disk(bench.esp(), bench.root())
    with disk.open("r+b") as opened:
        opened.seek(35 * MIB + 1024 + 24)
        opened.write(b"\xff" * 4)  # the size of a block
    found = look_at(disk)
    assert (WARNING, "filesystem-unread") in codes(found)
    assert of(found, "filesystem-unread").where == "root-dd.gz: partition 2"


def test_a_volume_that_is_not_read_is_told(bench):
    volume = Logical("root", bench.root().content, [(0, 4)], "thin", 'thin_pool = "x"')
    found = look_at(bench.disk(bench.esp(), Slice(physical(bench.file(), [volume]), LVM)))
    assert (WARNING, "filesystem-unread") in codes(found)
    told = of(found, "filesystem-unread")
    assert told.where == "root-dd.gz: partition 2, volume vg0/root"
    assert "only linear volumes" in told.message


# --- the Linux on it ------------------------------------------------------------------------------


def ubuntu(**change: root_builder.Node) -> root_builder.Tree:
    return root_builder.debian(os_id="ubuntu", codename="noble") | change


def test_a_linux_is_checked_and_listed(bench):
    tree = ubuntu() | {"etc/machine-id": root_builder.text("0123456789abcdef0123456789abcdef\n")}
    disk = bench.disk(bench.esp(), bench.linux(tree))
    kept = {}
    with FileDisk(disk) as opened:
        found = list(look(product(), ITEM, opened, kept.__setitem__))
    assert (WARNING, "machine-id") in codes(found)
    assert of(found, "machine-id").where == "root-dd.gz: partition 2: etc/machine-id"
    assert Severity.ERROR not in {each.severity for each in found}
    manifest = bench.file()
    kept[ITEM.sha256].write(manifest)
    assert "bash\t5.2-1" in manifest.read_text()


def test_what_a_disk_may_have_is_no_fault_of_a_disk(bench):
    tree = ubuntu() | {"etc/fstab": root_builder.text("UUID=ab12-cd34 / ext4 defaults 0 1\n")}
    found = look_at(bench.disk(bench.esp(), bench.linux(tree)))
    assert not {"fstab", "boot-parts", "efi-directory"} & {code for _, code in codes(found)}


def test_a_kernel_on_a_boot_partition_is_seen(bench):
    tree = ubuntu()
    boot = {
        path.removeprefix("boot/"): node.content
        for path, node in tree.items()
        if path.startswith("boot/") and node.kind == "file"
    }
    bare = {path: node for path, node in tree.items() if path.removeprefix("boot/") not in boot}
    root = bench.linux(bare)
    with_boot = look_at(bench.disk(bench.esp(), bench.root(boot), root))
    without = look_at(bench.disk(bench.esp(), root))
    assert "no-kernel" not in {code for _, code in codes(with_boot)}
    assert "no-kernel" in {code for _, code in codes(without)}


def test_a_kernel_of_another_architecture(bench):
    disk = bench.disk(bench.esp(), bench.linux(ubuntu()))
    found = look_at(disk, arch="arm64")
    assert (ERROR, "arch") in codes(found)


# --- the file, as it comes ------------------------------------------------------------------------


def version_of(file: Path, ftype: str) -> tuple[Version, Item]:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    item = Item(ftype, ftype, f"custom/x/{ftype}", digest, file.stat().st_size)
    return Version("20260101", (item,)), item


def check_file(file: Path, ftype: str, scratch: Path) -> list[Finding]:
    version, item = version_of(file, ftype)
    return list(check(product(), version, item, file, scratch))


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    bench = Bench(tmp_path_factory.mktemp("good"))
    return bench.disk(bench.esp(), bench.root())


def test_ddgz_that_is_said_to_be_ddtgz(good, tmp_path):
    """As in packer-maas #271, #278 and windows-imaging-tools #370; and the other way round."""
    as_gz, as_tgz = tmp_path / "a", tmp_path / "b"
    as_gz.write_bytes(gzip.compress(good.read_bytes(), 1))
    run("bsdtar", "-czf", as_tgz, "-C", good.parent, good.name)
    for file, right, wrong in ((as_gz, "root-dd.gz", "root-dd"), (as_tgz, "root-dd", "root-dd.gz")):
        assert codes(check_file(file, right, tmp_path)) == {(NOTE, "disk-size")}
        found = check_file(file, wrong, tmp_path)
        assert codes(found) == {(ERROR, "wrong-type")}
        assert right in found[0].message
        assert wrong in found[0].message


@pytest.mark.parametrize("ftype", ["root-dd.raw", "root-dd.gz", "root-dd.xz", "root-dd.bz2",
                                   "root-dd.tar", "root-dd", "root-dd.tar.xz"])  # fmt: skip
def test_each_type_through_the_plugin(good, tmp_path, ftype, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    image = tmp_path / "image"
    if ftype == "root-dd.raw":
        shutil.copy(good, image)
    elif "." in ftype and ftype.split(".")[1] != "tar":
        word = {"gz": "gzip", "xz": "xz", "bz2": "bzip2"}[ftype.split(".")[1]]
        image.write_bytes(packed(word, good))
    else:
        how = {"root-dd": "-czf", "root-dd.tar": "-cf", "root-dd.tar.xz": "-cJf"}[ftype]
        run("bsdtar", how, image, "-C", good.parent, good.name)
    version, item = version_of(image, ftype)
    found = list(CustomImages().validate(product(), version, {item.name: image}))
    assert codes(found) == {(NOTE, "disk-size")}
    assert found[0].where == ftype


def packed(word: str, file: Path) -> bytes:
    pack = {"gzip": gzip.compress, "xz": lambda data: lzma.compress(data, preset=0)}
    return pack.get(word, bz2.compress)(file.read_bytes())


def test_a_file_that_is_cut(good, tmp_path):
    image = tmp_path / "image"
    content = gzip.compress(good.read_bytes(), 1)
    image.write_bytes(content[:-20])
    found = check_file(image, "root-dd.gz", tmp_path)
    assert codes(found) == {(ERROR, "unreadable")}
    assert not [each for each in tmp_path.iterdir() if each != image]


def test_a_bare_file_system_is_no_disk(tmp_path):
    image = ext4(tmp_path / "image", plant(tmp_path / "tree", {"etc/hosts": "x"}))
    found = check_file(image, "root-dd.raw", tmp_path)
    assert codes(found) == {(ERROR, "wrong-type")}
    assert "mirror image build" in found[0].message


@pytest.mark.parametrize(
    ("name", "code"),
    [("windows/win2022", "windows-missing"), ("esxi/8.0", "esxi-partitions")],
)
def test_who_knows_the_system_is_asked(bench, name, code):
    found = look_at(bench.disk(bench.esp(), bench.root()), name)
    assert (ERROR, code) in codes(found)
    assert of(found, code).where == "root-dd.gz"


def test_what_is_encrypted_is_told(bench):
    locked = bench.file()
    locked.write_bytes(b"LUKS\xba\xbe\0\2".ljust(MIB, b"\0"))
    found = look_at(bench.disk(bench.esp(), bench.root(), Slice(locked)))
    assert codes(found) == {(NOTE, "disk-size"), (WARNING, "filesystem-unread")}
    assert of(found, "filesystem-unread").where == "root-dd.gz: partition 3"
