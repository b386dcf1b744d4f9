"""A vendor's disk becomes a root-tgz: what a person asks for, from the file to the archive."""

from __future__ import annotations

import os
import tarfile

import pytest
from build_helpers import HOOKS, build
from disk_builder import ESP, LINUX, MIB, Slice, ext4, fat, gpt, plant, run
from disk_samples import compress

from mirror.api import BuildRefused
from mirror.formats import identify

FILES = {
    "etc/os-release": "ID=rocky\nVERSION_ID=9.4\n",
    "etc/fstab": "LABEL=root / ext4 defaults 0 1\nLABEL=ESP /boot/efi vfat defaults 0 2\n",
    "usr/bin/bash": "#!",
}


@pytest.fixture
def hooks(tmp_path):
    return plant(tmp_path / "hooks", HOOKS, executable=["curtin-hooks"])


@pytest.fixture
def vendors(tmp_path):
    """Return a function that makes a qcow2 with an ESP and a root that has such files."""

    def _make(more=()):
        root = plant(tmp_path / "root", {**FILES, **dict(more)})
        (root / "boot/efi").mkdir(parents=True)
        efi = plant(tmp_path / "efi", {"EFI/rocky/shimx64.efi": "MZ"})
        slices = [
            Slice(fat(tmp_path / "esp.img", efi, label="ESP"), ESP),
            Slice(ext4(tmp_path / "root.img", root, label="root"), LINUX),
        ]
        disk = gpt(tmp_path / "disk.raw", slices)
        run("qemu-img", "convert", "-c", "-O", "qcow2", disk, tmp_path / "rocky.qcow2")
        return tmp_path / "rocky.qcow2"

    return _make


def members(built):
    with tarfile.open(built.file) as archive:
        return {
            each.name.removeprefix("./"): archive.extractfile(each).read()
            for each in archive
            if each.isfile()
        }


@pytest.mark.parametrize("name", ["rhel/9", "custom/rocky", "suse/sles15"])
def test_a_qcow2_becomes_a_root_tgz(name, vendors):
    said = []
    built = build(vendors(), name, report=lambda *at: said.append(at))
    assert identify(built.file).ftype == built.ftype == "root-tgz"
    found = members(built)
    assert found == {
        **{path: content.encode() for path, content in FILES.items()},
        "boot/efi/EFI/rocky/shimx64.efi": b"MZ",
    }
    assert "custom-images-made-of-disk" in [each.code for each in built.findings]
    assert said[-1][0] == said[-1][1] > 0


def test_the_same_disk_is_the_same_archive(vendors, tmp_path):
    file = vendors()
    first = build(file, "rhel/9").file.read_bytes()
    raw = tmp_path / "again.raw"
    run("qemu-img", "convert", "-O", "raw", file, raw)
    assert build(raw, "rhel/9").file.read_bytes() == first
    packed = compress(raw, tmp_path / "again.xz", "xz")
    assert build(packed, "rhel/9").file.read_bytes() == first


def test_with_hooks(vendors, hooks):
    found = members(build(vendors(), "rhel/9", hooks=hooks))
    assert {f"curtin/{name}": content.encode() for name, content in HOOKS.items()}.items() <= (
        found.items()
    )
    assert found["etc/os-release"] == FILES["etc/os-release"].encode()


def test_hooks_that_are_there_already(vendors, hooks):
    file = vendors({"curtin/curtin-hooks": "#!/bin/sh\n"})
    with pytest.raises(BuildRefused, match="hooks of its own already") as refused:
        build(file, "rhel/9", hooks=hooks)
    assert "hooks=replace" in refused.value.remedy
    own = build(file, "rhel/9")
    assert members(own)["curtin/curtin-hooks"] == b"#!/bin/sh\n"
    replaced = build(own.file, "rhel/9", hooks=hooks, options={"hooks": "replace"})
    assert members(replaced)["curtin/curtin-hooks"] == HOOKS["curtin-hooks"].encode()


def test_the_whole_disk_where_that_is_asked_for(vendors):
    file = vendors()
    assert build(file, "custom/rocky", "root-dd.gz").ftype == "root-dd.gz"
    shrunk = build(file, "custom/rocky", shrink="yes")
    assert shrunk.ftype == "root-dd.gz"
    assert [each.code for each in shrunk.findings] == ["custom-images-disk-shrunk"]


def test_a_file_system_without_a_table(tmp_path):
    image = ext4(tmp_path / "root.img", plant(tmp_path / "root", FILES))
    assert members(build(image))["etc/os-release"] == FILES["etc/os-release"].encode()
    with pytest.raises(BuildRefused, match="no disk that a machine boots from"):
        build(image, ftype="root-dd.gz")


def test_two_roots(tmp_path):
    root = plant(tmp_path / "root", FILES)
    image = ext4(tmp_path / "root.img", root)
    disk = gpt(tmp_path / "disk.raw", [Slice(image, LINUX), Slice(image, LINUX)])
    with pytest.raises(BuildRefused) as refused:
        build(disk, "rhel/9")
    assert "root=1, root=2" in refused.value.remedy
    assert members(build(disk, "rhel/9", root="2"))["etc/os-release"]


def test_a_root_that_was_refused_leaves_nothing(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    disk = gpt(tmp_path / "disk.raw", [Slice(ext4(tmp_path / "e.img", empty), LINUX)], tail=MIB)
    os.sync()
    with pytest.raises(BuildRefused, match="no root file system"):
        build(disk, "rhel/9")
    assert list((tmp_path / "scratch-0").iterdir()) == []
