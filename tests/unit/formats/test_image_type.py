from __future__ import annotations

import io
import os
import struct
import subprocess
import tarfile
import zipfile

import pytest
from format_damage import damaged, only_refused
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.formats import (
    FTYPES,
    UPLOAD_TYPES,
    FormatError,
    ImageType,
    identify,
    stored_type,
    upload_type,
    way_out,
)
from mirror.testing.artefacts import noise
from mirror.testing.kernels import packed
from mirror.testing.tools import tool

MIB = 1024**2


def mbr(size: int = 4 * MIB) -> bytes:
    """A disk with one partition, and noise in it."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\0\3\0", 2048, 2048)
    head = bytes(446) + entry + bytes(48) + b"\x55\xaa"
    return (head.ljust(MIB, b"\0") + noise("partition", 70_000)).ljust(size, b"\0")


def tar(*members: tuple[str, bytes | None], form: int = tarfile.GNU_FORMAT) -> bytes:
    """An archive; a member without content is a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            archive.addfile(info, io.BytesIO(content or b""))
    return out.getvalue()


ROOT = tar(("./", None), ("./bin/", None), ("./etc/", None), ("./etc/os-release", b"ID=debian\n"))
DISK_TAR = tar(("disk.raw", mbr()))


@pytest.fixture
def found(tmp_path):
    def find(content: bytes) -> ImageType:
        file = tmp_path / "image.bin"
        file.write_bytes(content)
        return identify(file)

    return find


COMPRESSED = {
    "root-tgz": (ROOT, "gzip", "tar of a root file system"),
    "root-tbz": (ROOT, "bzip2", "tar of a root file system"),
    "root-txz": (ROOT, "xz", "tar of a root file system"),
    "root-dd": (DISK_TAR, "gzip", "tar of one disk image"),
    "root-dd.tar.bz2": (DISK_TAR, "bzip2", "tar of one disk image"),
    "root-dd.tar.xz": (DISK_TAR, "xz", "tar of one disk image"),
    "root-dd.gz": (mbr(), "gzip", "disk image"),
    "root-dd.bz2": (mbr(), "bzip2", "disk image"),
    "root-dd.xz": (mbr(), "xz", "disk image"),
}


@pytest.mark.parametrize("ftype", COMPRESSED)
def test_what_is_compressed_is_told_by_what_is_in_it(found, ftype):
    content, form, inside = COMPRESSED[ftype]
    type_ = found(packed(content, form))
    assert type_ == ImageType(ftype, form, inside)
    assert way_out(type_) == ""
    assert str(type_) == f"a {inside}, compressed with {form}"


def test_what_is_not_compressed(found):
    assert found(mbr()) == ImageType("root-dd.raw", "raw", "disk image")
    assert found(DISK_TAR) == ImageType("root-dd.tar", "tar", "tar of one disk image")
    assert str(found(mbr())) == "a disk image"
    plain = found(ROOT)
    assert plain == ImageType("", "tar", "tar of a root file system")
    assert "gzip, bzip2 or xz" in way_out(plain)


@pytest.mark.parametrize("form", ["zstd", "lz4", "lzma"])
def test_what_maas_cannot_expand_is_of_no_type(found, form):
    disk = found(packed(mbr(), form))
    assert disk == ImageType("", form, "disk image")
    assert way_out(disk) == f"MAAS knows no {form}: make an image of it with `mirror image build`"
    assert found(packed(ROOT, form)) == ImageType("", form, "tar of a root file system")


def test_a_root_is_told_from_other_archives(found):
    def inside(*members):
        return found(packed(tar(*members), "gzip")).inside

    file = ("a.txt", b"text")
    assert inside(("rootfs/", None), ("rootfs/etc/", None)) == "tar of files"
    assert inside(("curtin/curtin-hooks", b"#!/bin/sh\n")) == "tar of a root file system"
    assert inside(file, ("b", b"")) == "tar of files"
    assert inside(file, ("disk.img", mbr())) == "tar of a disk image and other files"
    assert inside(("./", None), ("./disk.img", mbr())) == "tar of one disk image"
    assert inside(("x.ovf", b"<Envelope/>"), ("x.vmdk", b"KDMV" + bytes(70_000))) == (
        "tar of a virtual appliance (OVA)"
    )
    assert inside(("boot/boot.img", mbr()[:512]), file) == "tar of a root file system"
    digest = "ab" * 32
    for name in ("oci-layout", "manifest.json", f"blobs/sha256/{digest}", f"{digest}/layer.tar"):
        assert inside((name, b"{}"), file) == "tar of a container image"


@pytest.mark.parametrize("holes", [[], ["-S", "--format=oldgnu"], ["-S", "--format=posix"]])
def test_a_disk_that_tar_packed_with_its_holes(tmp_path, holes):
    disk = tmp_path / "disk.raw"
    disk.write_bytes(mbr())
    os.truncate(disk, 100 * MIB)
    made = tmp_path / "made"
    subprocess.run(["tar", *holes, "-C", tmp_path, "-czf", made, "disk.raw"], check=True)
    assert identify(made) == ImageType("root-dd", "gzip", "tar of one disk image")


def test_an_archive_in_an_archive(found):
    assert found(packed(packed(mbr(), "xz"), "gzip")) == ImageType("", "gzip", "xz")
    nested = found(packed(tar(("root.tar.gz", packed(ROOT, "gzip"))), "gzip"))
    assert nested == ImageType("", "gzip", "tar of one gzip file")
    assert way_out(nested) == "take out what is in it, and use that"
    assert str(found(packed(packed(mbr(), "xz"), "gzip"))) == "an xz file, compressed with gzip"


@pytest.mark.parametrize(
    ("form", "options", "name"),
    [
        ("qcow2", [], "qcow2"),
        ("vpc", [], "vhd"),
        ("vpc", ["-o", "subformat=fixed"], "vhd"),
        ("vhdx", [], "vhdx"),
        ("vmdk", [], "vmdk"),
        ("vdi", [], "vdi"),
        ("qed", [], "qed"),
        ("parallels", [], "parallels"),
    ],
)
def test_disks_of_virtual_machines(tmp_path, form, options, name):
    raw, made = tmp_path / "raw", tmp_path / "made"
    raw.write_bytes(mbr())
    subprocess.run([tool("qemu-img"), "convert", "-O", form, *options, raw, made], check=True)
    type_ = identify(made)
    assert type_ == ImageType("", name, name)
    expected = "mirror image build" if name in {"qcow2", "vhd", "vhdx"} else "qemu-img convert"
    assert expected in way_out(type_)
    packed_one = tmp_path / "packed"
    packed_one.write_bytes(packed(made.read_bytes(), "gzip"))
    # a fixed VHD is a disk as it is, and its footer is too far away to be seen
    inside = "disk image" if "subformat=fixed" in options else name
    assert identify(packed_one).inside == inside


@pytest.mark.parametrize(
    "command",
    [
        ["mke2fs", "-q", "-F", "-t", "ext4"],
        ["mkfs.xfs", "-q", "-f"],
        ["mkntfs", "-q", "-F", "-Q"],
        ["mkfs.vfat"],
        ["mkfs.btrfs", "-q"],
    ],
    ids=lambda command: command[0],
)
def test_a_file_system_is_no_disk(tmp_path, command):
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, 320 * MIB)
    done = subprocess.run([tool(command[0]), *command[1:], image], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    found = identify(image)
    assert found == ImageType("", "file system", "file system without a partition table")
    assert "partition table" in way_out(found)


def test_a_gpt_is_a_disk_with_sectors_of_either_size(tmp_path):
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 8 * MIB)
    subprocess.run([tool("sgdisk"), "-n", "1:2048:4096", disk], check=True, capture_output=True)
    assert identify(disk).ftype == "root-dd.raw"
    with disk.open("r+b") as stream:
        stream.write(bytes(512))  # no protective MBR
    assert identify(disk).ftype == "root-dd.raw"
    disk.write_bytes(bytes(4096) + b"EFI PART" + bytes(8 * MIB))
    assert identify(disk).ftype == "root-dd.raw"


def test_squashfs(tmp_path):
    (tmp_path / "tree").mkdir()
    image = tmp_path / "image"
    subprocess.run(
        [tool("mksquashfs"), tmp_path / "tree", image, "-quiet", "-no-progress"], check=True
    )
    assert identify(image) == ImageType("squashfs", "squashfs", "root file system")
    assert str(identify(image)) == "a squashfs of a root file system"


def test_a_disc_is_no_disk_even_where_it_has_a_partition_table(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("content")
    image = tmp_path / "image"
    subprocess.run(
        [tool("xorriso"), "-as", "mkisofs", "-quiet", "-o", image, tmp_path / "tree"],
        check=True,
        capture_output=True,
    )
    found = identify(image)
    assert found == ImageType("", "iso9660", "iso9660")
    with image.open("r+b") as stream:
        stream.write(mbr()[:512])
    assert identify(image) == found
    assert "Packer" in way_out(found)


def test_other_things_that_people_take_for_an_image(found):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("disk.img", mbr())
    cases = {
        "zip": archive.getvalue(),
        "wim": b"MSWIM\0\0\0" + bytes(200),
        "rpm": b"\xed\xab\xee\xdb\3\0" + bytes(200),
        "deb": b"!<arch>\ndebian-binary   1" + bytes(200),
        "elf": b"\x7fELF\2\1\1" + bytes(200),
        "cpio": b"070701" + b"0" * 104,
    }
    for form, content in cases.items():
        assert found(content) == ImageType("", form, form)
        assert way_out(found(content))


@pytest.mark.parametrize(
    ("content", "clause"),
    [
        (b"", r"^is empty$"),
        (bytes(MIB), r"^begins with zeros and nothing else$"),
        (b"<!DOCTYPE html><html>login</html>", r"^is a web page$"),
        (noise("junk", 5000), r"^is no image: neither a disk, .* it begins with [0-9a-f ]{47}$"),
        (packed(noise("junk", 5000), "gzip"), r"^is no image"),
        (packed(b"", "gzip"), r"^is compressed, and there is nothing in it$"),
        (packed(ROOT, "xz")[:60], r"^is cut: its xz data does not end$"),
        (ROOT[:1300], r"^is cut"),
        (packed(tar(), "gzip"), r"^begins with zeros and nothing else$"),
    ],
)
def test_what_is_no_image(found, content, clause):
    with pytest.raises(FormatError, match=clause):
        found(content)


def test_the_rest_is_not_looked_at(tmp_path):
    file = tmp_path / "file"
    whole = packed(mbr(64 * MIB) + noise("much", 2 * MIB), "gzip")
    file.write_bytes(whole[:-MIB])
    assert identify(file).ftype == "root-dd.gz"
    bomb = packed(mbr() + bytes(100 * MIB), "gzip")
    file.write_bytes(bomb)
    assert identify(file).ftype == "root-dd.gz"


def test_both_names_of_a_type():
    assert stored_type("ddgz") == "root-dd.gz" == stored_type("root-dd.gz")
    assert upload_type("root-dd") == "ddtgz"
    assert upload_type("squashfs") == ""
    assert stored_type("squashfs") == "squashfs"
    assert stored_type("ddzst") == stored_type("") == upload_type("") == ""
    assert set(UPLOAD_TYPES.values()) < set(FTYPES)


@pytest.mark.parametrize(
    "content",
    [ROOT, mbr()[:70_000], DISK_TAR[:70_000], packed(ROOT, "gzip"), packed(DISK_TAR, "xz")],
    ids=["tar", "disk", "tar of a disk", "gzip", "xz"],
)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_the_bytes_are_it_is_told_or_refused(tmp_path_factory, content, data):
    file = tmp_path_factory.getbasetemp() / "fuzzed"

    def tell(content: bytes) -> None:
        file.write_bytes(content)
        found = identify(file)
        assert str(found)
        assert bool(found.ftype) != bool(way_out(found))

    assert only_refused(tell, data.draw(damaged(content)))
