"""Disks in any form become images of disks: with every byte as it was, or the table mended."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zlib

import pytest
from build_helpers import HOOKS, build
from disk_builder import ESP, LINUX, MIB, Slice, ext4, fat, gpt, gpt_4096, mbr, plant, run
from disk_samples import FORMS, compress, convert, raw_disk, tar_of
from zstandard import ZstdCompressor

from mirror.api import BuildRefused, Severity
from mirror.formats import FormatError, identify
from mirror.testing.artefacts import efi_binary, noise, squashfs


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    return raw_disk(tmp_path_factory.mktemp("disk") / "disk.raw")


def raw_by_qemu(file, form):
    made = file.with_suffix(".qemu")
    run("qemu-img", "convert", "-f", form, "-O", "raw", file, made)
    return made.read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_it_is_what_qemu_makes_of_it(form, disk, tmp_path):
    file = convert(disk, tmp_path / "disk", form)
    built = build(file, ftype="root-dd.gz")
    content = gzip.decompress(built.file.read_bytes())
    assert content == raw_by_qemu(file, FORMS[form][0])
    assert built.attributes == {
        "raw_size": len(content),
        "raw_sha256": hashlib.sha256(content).hexdigest(),
    }
    assert built.findings == ()
    assert identify(built.file).ftype == built.ftype == "root-dd.gz"


def test_the_form_does_not_show(disk, tmp_path):
    forms = ("qcow2", "qcow2-zlib", "vhdx", "vhd-fixed")
    files = [disk, *(convert(disk, tmp_path / form, form) for form in forms)]
    made = {build(file, ftype="root-dd.gz").file.read_bytes() for file in files}
    assert len(made) == 1


@pytest.mark.parametrize("ftype", ["root-dd", "root-dd.tar", "root-dd.raw"])
def test_other_types_of_disks(ftype, disk, tmp_path):
    file = convert(disk, tmp_path / "disk", "qcow2")
    built = build(file, ftype=ftype)
    assert built.ftype == ftype
    assert identify(built.file).ftype == ftype
    if ftype == "root-dd.raw":
        assert built.file.read_bytes() == disk.read_bytes()
        assert built.file.stat().st_blocks * 512 < disk.stat().st_size / 4
    else:
        with tarfile.open(built.file) as archive:
            [member] = archive.getmembers()
            assert archive.extractfile(member).read() == disk.read_bytes()
        out = tmp_path / "out"
        out.mkdir()
        run("tar", "-xf", built.file, "-C", out)
        assert (out / member.name).read_bytes() == disk.read_bytes()


def test_how_far_it_is(disk):
    said = []
    build(disk, ftype="root-dd.gz", report=lambda *at: said.append(at))
    size = disk.stat().st_size
    assert said[-1] == (size, size)
    assert [done for done, _ in said] == sorted(done for done, _ in said)


# --- partition tables -----------------------------------------------------------------------------


@pytest.fixture
def with_gpt(tmp_path):
    """Return a disk with a GPT, two partitions with noise in them, and 9 MiB of nothing behind."""
    parts = []
    for number in (1, 2):
        part = tmp_path / f"part{number}"
        part.write_bytes(noise(f"part{number}", 2 * MIB))
        parts.append(Slice(part, LINUX, name=f"part {number}"))
    return gpt(tmp_path / "disk.raw", parts, tail=9 * MIB)


def unpacked(built):
    made = built.file.with_suffix(".raw")
    made.write_bytes(gzip.decompress(built.file.read_bytes()))
    return made


def partitions_of(file):
    lines = run("sgdisk", "-p", file).splitlines()
    return lines[[line.startswith("Number") for line in lines].index(True) + 1 :]


def check_table(file, like):
    """Let sgdisk say that the table is right, and has the partitions of another disk."""
    assert "No problems found" in run("sgdisk", "-v", file)
    assert partitions_of(file) == partitions_of(like)
    assert file.read_bytes()[MIB : 5 * MIB] == like.read_bytes()[MIB : 5 * MIB]


def test_a_good_table_stays_as_it_is(with_gpt):
    built = build(with_gpt, ftype="root-dd.gz")
    assert gzip.decompress(built.file.read_bytes()) == with_gpt.read_bytes()
    assert built.findings == ()


def test_a_disk_that_was_made_larger(with_gpt, tmp_path):
    file = tmp_path / "disk.qcow2"
    run("qemu-img", "convert", "-O", "qcow2", with_gpt, file)
    run("qemu-img", "resize", file, "64M")
    built = build(file, ftype="root-dd.gz")
    [finding] = built.findings
    assert (finding.severity, finding.code) == (Severity.NOTE, "custom-images-gpt-mended")
    assert finding.where == "root-dd.gz"
    made = unpacked(built)
    assert made.stat().st_size == 64 * MIB
    check_table(made, with_gpt)
    kept = build(file, ftype="root-dd.gz", gpt="keep")
    assert gzip.decompress(kept.file.read_bytes()) == raw_by_qemu(file, "qcow2")
    assert kept.findings == ()


@pytest.mark.parametrize(
    ("at", "size"),
    [(512, 92), (1024, 128), (-512, 92), (-33 * 512, 128), (446, 66)],
    ids=["header", "entries", "backup", "its entries", "protective MBR"],
)
def test_a_table_that_is_damaged(with_gpt, tmp_path, at, size):
    file = tmp_path / "damaged.raw"
    content = bytearray(with_gpt.read_bytes())
    place = at % len(content)
    content[place : place + size] = bytes(size)
    file.write_bytes(content)
    built = build(file, ftype="root-dd.gz")
    assert [each.code for each in built.findings] == ["custom-images-gpt-mended"]
    check_table(unpacked(built), with_gpt)


def test_a_disk_without_room_for_the_backup(with_gpt, tmp_path):
    file = tmp_path / "cut.raw"
    file.write_bytes(with_gpt.read_bytes()[: 5 * MIB])  # where the last partition ends
    made = unpacked(build(file, ftype="root-dd.gz"))
    assert made.stat().st_size == 6 * MIB
    check_table(made, with_gpt)


def test_a_disk_that_was_cut(with_gpt, tmp_path):
    file = tmp_path / "cut.raw"
    file.write_bytes(with_gpt.read_bytes()[: 5 * MIB - 512])
    with pytest.raises(FormatError, match="is cut: partition 2 ends at byte 5,242,880"):
        build(file, ftype="root-dd.gz")


def test_shrinking(with_gpt):
    built = build(with_gpt, ftype="root-dd.gz", shrink="yes")
    [finding] = built.findings
    assert finding.code == "custom-images-disk-shrunk"
    assert "shrunk from 14 MiB to 6" in finding.message
    made = unpacked(built)
    assert made.stat().st_size == 6 * MIB == built.attributes["raw_size"]
    check_table(made, with_gpt)


def test_shrinking_sectors_of_4096(tmp_path):
    part = tmp_path / "part"
    part.write_bytes(noise("part", 2 * MIB))
    file = gpt_4096(tmp_path / "disk.raw", [Slice(part)], tail=9 * MIB)
    made = unpacked(build(file, ftype="root-dd.gz", shrink="yes"))
    assert made.stat().st_size == 4 * MIB
    told = run("fdisk", "-b", "4096", "-l", made)
    assert "256" in told.splitlines()[-1]
    assert "error" not in told.lower()
    assert made.read_bytes()[MIB : 3 * MIB] == part.read_bytes()


def test_shrinking_a_disk_with_an_mbr(tmp_path):
    part = tmp_path / "part"
    part.write_bytes(noise("part", 2 * MIB))
    file = mbr(tmp_path / "disk.raw", [Slice(part, "83"), Slice(part, "83", extended=True)])
    whole = file.stat().st_size
    os.truncate(file, whole + 20 * MIB)
    made = unpacked(build(file, ftype="root-dd.gz", shrink="yes"))
    assert made.read_bytes() == file.read_bytes()[:whole]


def test_what_can_not_be_shrunk(tmp_path):
    file = tmp_path / "disk.raw"
    file.write_bytes(b"\xeb\x3c\x90" + bytes(507) + b"\x55\xaa" + bytes(2 * MIB))
    with pytest.raises(BuildRefused, match="no partition on it"):
        build(file, ftype="root-dd.gz", shrink="yes")


def test_a_table_that_asks_for_an_endless_disk(with_gpt, tmp_path):
    file = tmp_path / "endless.raw"
    content = bytearray(with_gpt.read_bytes())
    content[512 + 40 : 512 + 48] = (1 << 50).to_bytes(8, "little")  # the first usable sector ...
    content[512 + 48 : 512 + 56] = (1 << 51).to_bytes(8, "little")  # ... and the last one
    content[512 + 16 : 512 + 20] = bytes(4)
    content[512 + 16 : 512 + 20] = zlib.crc32(content[512 : 512 + 92]).to_bytes(4, "little")
    file.write_bytes(content[:-512])
    with pytest.raises(FormatError, match="has a GPT that is damaged: it asks for a disk of"):
        build(file, ftype="root-dd.gz")


def test_a_disk_of_nothing_but_holes(tmp_path):
    file = tmp_path / "holes.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", file, "2T")
    with pytest.raises(FormatError, match="expands to far more than an image does"):
        build(file, ftype="root-dd.gz")


# --- other wrappings ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["xz", "bzip2", "zstd"])
def test_a_disk_that_is_compressed_otherwise(form, disk, tmp_path):
    file = compress(disk, tmp_path / "disk", form)
    built = build(file, ftype="root-dd.gz")
    assert gzip.decompress(built.file.read_bytes()) == disk.read_bytes()
    assert built.attributes["raw_sha256"] == hashlib.sha256(disk.read_bytes()).hexdigest()


@pytest.mark.parametrize("form", ["", "gzip", "xz", "bzip2", "zstd"])
def test_a_disk_in_a_tar(form, disk, tmp_path):
    file = tar_of(tmp_path / "disk.tar", disk, holes=form == "gzip")
    file = compress(file, tmp_path / "disk.packed", form) if form else file
    said = []
    built = build(file, ftype="root-dd.gz", report=lambda *at: said.append(at))
    assert gzip.decompress(built.file.read_bytes()) == disk.read_bytes()
    total = file.stat().st_size
    assert said[-1][0] > total * 0.9
    assert all(0 <= done <= size == total for done, size in said)


def test_a_dd_gz_as_a_tar(disk, tmp_path):
    """What MAAS calls ddgz, as ddtgz, and back."""
    packed = build(disk, ftype="root-dd.gz").file.rename(tmp_path / "disk.gz")
    tar = build(packed, ftype="root-dd").file.rename(tmp_path / "disk.tgz")
    with tarfile.open(tar) as archive:
        assert archive.extractfile("disk.img").read() == disk.read_bytes()
    again = build(tar, ftype="root-dd.gz")
    assert again.file.read_bytes() == packed.read_bytes()


def test_packed_anew_and_mended(with_gpt, tmp_path):
    os.truncate(with_gpt, 20 * MIB)
    file = compress(with_gpt, tmp_path / "disk.xz", "xz")
    kept = build(file, ftype="root-dd.gz")
    assert gzip.decompress(kept.file.read_bytes()) == with_gpt.read_bytes()
    mended = build(file, ftype="root-dd.gz", gpt="mend")
    assert "No problems found" in run("sgdisk", "-v", unpacked(mended))


def test_a_tar_of_two_disks(disk, tmp_path):
    other = tmp_path / "other.raw"
    other.write_bytes(b"more")
    file = tar_of(tmp_path / "disk.tar", disk, other)
    with pytest.raises(FormatError, match=r"other\.raw"):
        build(file, ftype="root-dd.gz")


@pytest.mark.parametrize("form", ["gzip", "xz", "bzip2", "zstd"])
def test_a_wrapping_that_was_cut(form, disk, tmp_path):
    file = compress(tar_of(tmp_path / "disk.tar", disk), tmp_path / "disk.packed", form)
    os.truncate(file, file.stat().st_size - 20)
    with pytest.raises(FormatError):
        build(file, ftype="root-dd.gz")


def test_a_bomb(disk, tmp_path):
    file = tmp_path / "bomb.zst"
    with file.open("wb") as raw, ZstdCompressor().stream_writer(raw) as out:
        out.write(disk.read_bytes()[:MIB])
        for _ in range(1500):
            out.write(b"x" * MIB)
    with pytest.raises(FormatError, match="expands to far more than an image does"):
        build(file, ftype="root-dd.gz")


# --- what is put into the EFI System Partition ----------------------------------------------------


@pytest.fixture
def with_esp(tmp_path):
    """Return a qcow2 with an ESP that has a vendor's loader in it, and a file system beside it."""
    loader = efi_binary("shim", 9000, signed=True)
    tree = plant(tmp_path / "esp", {"EFI/vendor/shimx64.efi": loader, "EFI/vendor/grub.cfg": "x"})
    root = plant(tmp_path / "root", {"etc/os-release": "ID=vendor\n"})
    slices = [
        Slice(fat(tmp_path / "esp.img", tree), ESP),
        Slice(ext4(tmp_path / "root.img", root), LINUX),
    ]
    disk = gpt(tmp_path / "disk.raw", slices, tail=3 * MIB)
    run("qemu-img", "convert", "-O", "qcow2", disk, tmp_path / "disk.qcow2")
    return tmp_path / "disk.qcow2"


@pytest.fixture
def hooks(tmp_path):
    return plant(tmp_path / "hooks", HOOKS, executable=["curtin-hooks"])


def in_esp(made, path):
    return run("mtype", "-i", f"{made}@@{MIB}", f"::/{path}")


def test_hooks_in_a_disk(with_esp, hooks):
    built = build(with_esp, "esxi/8.0", hooks=hooks, shrink="yes")
    codes = [each.code for each in built.findings]
    assert codes == ["custom-images-disk-shrunk", "custom-images-hooks-added"]
    assert {each.where for each in built.findings} == {"root-dd.gz"}
    made = unpacked(built)
    for name, content in HOOKS.items():
        assert in_esp(made, f"curtin/{name}") == content
    assert "No problems found" in run("sgdisk", "-v", made)
    esp = made.with_suffix(".esp")
    esp.write_bytes(made.read_bytes()[MIB : 35 * MIB])
    run("fsck.vfat", "-n", esp)
    with pytest.raises(BuildRefused):
        build(built.file, "esxi/8.0", hooks=hooks)
    again = build(built.file, "esxi/8.0", hooks=hooks, options={"hooks": "replace"})
    assert in_esp(unpacked(again), "curtin/curtin-hooks") == HOOKS["curtin-hooks"]


def test_a_loader_where_any_firmware_looks(with_esp):
    built = build(with_esp, ftype="root-dd.gz", loader="add")
    [finding] = built.findings
    assert finding.code == "custom-images-loader-added"
    assert finding.message.endswith("EFI/BOOT/BOOTX64.EFI")
    made = unpacked(built)
    assert "BOOTX64" in run("mdir", "-b", "-i", f"{made}@@{MIB}", "::/EFI/BOOT")
    again = build(built.file, ftype="root-dd.gz", loader="add")
    assert again.findings == ()


def test_hooks_for_windows_need_another_tool(with_esp, hooks):
    with pytest.raises(BuildRefused, match="NTFS can't be written to without root") as refused:
        build(with_esp, "windows/win2022", hooks=hooks)
    assert "packer-maas" in refused.value.remedy


def test_hooks_in_a_disk_without_an_esp(disk, hooks):
    with pytest.raises(BuildRefused, match="no EFI System Partition"):
        build(disk, "esxi/8.0", hooks=hooks)


# --- what is chosen, and refused ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["windows/win2022", "esxi/8.0", "custom/thing"])
def test_a_disk_without_a_root_is_a_disk(name, disk):
    built = build(disk, name)
    assert built.ftype == "root-dd.gz"
    codes = [each.code for each in built.findings]
    assert codes == (["custom-images-built-as-disk"] if name == "custom/thing" else [])


def test_a_disk_without_a_root_is_no_rhel(disk):
    with pytest.raises(BuildRefused, match="no root file system"):
        build(disk, "rhel/9")


def test_types_that_are_not_made(disk):
    with pytest.raises(BuildRefused, match=r"no root-dd\.xz is made") as refused:
        build(disk, ftype="root-dd.xz")
    assert "Take root-dd.gz" in refused.value.remedy


@pytest.mark.parametrize(
    ("ftype", "options", "said", "remedy"),
    [
        ("root-dd.gz", {"shrik": "yes"}, "no option 'shrik'", "shrink=no|yes"),
        ("root-dd.gz", {"shrink": "1"}, "shrink can't be '1'", "Say shrink=no or yes"),
        ("root-dd.gz", {"level": "9"}, "level can't be '9'", "level=0 or 1 or 2 or 3"),
        (
            "root-dd.gz",
            {"clean": "yes"},
            "clean means nothing where a root-dd.gz",
            "gpt=mend|keep, hooks=",
        ),
        ("root-tgz", {"shrink": "yes"}, "shrink means nothing where a root-tgz", "root=NAME"),
    ],
)
def test_options_that_are_not_known(ftype, options, said, remedy, disk):
    with pytest.raises(BuildRefused) as refused:
        build(disk, ftype=ftype, **options)
    assert said in refused.value.what
    assert remedy in refused.value.remedy


def test_an_installer_is_no_image(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "setup.exe").write_bytes(b"MZ")
    file = tmp_path / "windows.iso"
    run("xorriso", "-as", "mkisofs", "-quiet", "-o", file, tree)
    with pytest.raises(BuildRefused, match="iso9660") as refused:
        build(file, "windows/win2022")
    assert "Packer" in refused.value.remedy


def test_a_vmdk_is_for_another_tool(disk, tmp_path):
    file = tmp_path / "disk.vmdk"
    run("qemu-img", "convert", "-O", "vmdk", disk, file)
    with pytest.raises(BuildRefused, match="vmdk") as refused:
        build(file)
    assert "qemu-img convert" in refused.value.remedy


def test_a_squashfs_is_good_as_it_is(tmp_path):
    file = tmp_path / "squashfs"
    file.write_bytes(squashfs("root", 64 << 10))
    with pytest.raises(BuildRefused, match="nothing to build") as refused:
        build(file)
    assert refused.value.remedy == "Add it as it is."


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"<html>log in</html>" * 99])
def test_what_is_no_image(content, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(FormatError):
        build(file)
