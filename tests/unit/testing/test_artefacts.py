from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import struct
import tarfile

import pytest
import zstandard

from mirror.testing import artefacts
from mirror.testing.squashfs import squashfs_image


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    makers = (artefacts.squashfs, artefacts.kernel, artefacts.initrd, artefacts.root_tgz)
    for make in makers:
        assert make("a", 30_000) == make("a", 30_000)
        assert make("a", 30_000) != make("b", 30_000)


@pytest.mark.parametrize("size", [20_000, 200_000])
def test_size_is_roughly_what_comes_out(size):
    made = [
        artefacts.squashfs("s", size),
        artefacts.kernel("s", size),
        artefacts.kernel("s", size, arch="arm64"),
        artefacts.initrd("s", size),
        artefacts.root_tgz("s", size),
        artefacts.bootloader("s", size, arch="amd64", package="shim-signed"),
    ]
    for data in made:
        assert 0.75 * size < len(data) < 1.25 * size + 4096


def test_a_squashfs_is_the_one_that_linux_mounted():
    # Linux 6.1 mounted these very bytes, and unsquashfs 4.5.1 read them (tests/e2e does it again).
    image = squashfs_image({"etc/os-release": b"ID=x\n", "a/b/empty": b"", "big": bytes(300_000)})
    digest = hashlib.sha256(image).hexdigest()
    assert digest == "6342fadc2460719bc4be9a331aeb6c6dba4613b0c459394aa59c3f972b06a1bf"


def test_a_squashfs_says_how_long_it_is():
    image = artefacts.squashfs("s", 10_000)
    magic, inodes = struct.unpack_from("<4sI", image)
    (used,) = struct.unpack_from("<Q", image, 40)
    assert (magic, inodes) == (b"hsqs", 7)
    assert len(image) - 4096 < used <= len(image)
    assert len(image) % 4096 == 0


def test_a_squashfs_can_not_hold_a_file_below_a_file():
    with pytest.raises(TypeError, match="'a/b'"):
        squashfs_image({"a": b"", "a/b": b""})


def test_a_kernel_for_amd64_is_a_bzimage_that_names_its_version():
    data = artefacts.kernel("s", 20_000, version="6.8.0-64-generic")
    assert data[0x1FE:0x200] == b"\x55\xaa"
    assert data[0x202:0x206] == b"HdrS"
    (pointer,) = struct.unpack_from("<H", data, 0x20E)
    assert data[pointer + 0x200 :].startswith(b"6.8.0-64-generic ")
    assert pe_machine(data) == 0x8664


def test_a_kernel_for_arm64_is_an_image():
    data = artefacts.kernel("s", 20_000, arch="arm64")
    assert data[56:60] == b"ARM\x64"
    assert struct.unpack_from("<Q", data, 16) == (20_000,)
    assert pe_machine(data) == 0xAA64


@pytest.mark.parametrize(
    ("compression", "decompress"),
    [
        ("zstd", lambda data: zstandard.ZstdDecompressor().decompress(data)),
        ("gzip", gzip.decompress),
    ],
)
def test_an_initrd_is_a_cpio_with_an_init(compression, decompress):
    archive = decompress(artefacts.initrd("s", 9_000, version="6.1.0", compression=compression))
    members = dict(cpio_members(archive))
    assert members["init"].startswith(b"#!/bin/sh\n")
    assert len(members["usr/lib/modules/6.1.0/filler"]) == 9_000
    assert members["usr/lib/modules"] == b""
    assert list(members)[-1] == "TRAILER!!!"


def test_a_root_tgz_is_a_tar_with_a_kernel_in_it():
    data = artefacts.root_tgz("s", 40_000, os_id="centos", version="8")
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        names = archive.getnames()
        release = archive.extractfile("etc/os-release").read()
    assert b'ID="centos"' in release
    assert [name for name in names if name.startswith("boot/vmlinuz-")]
    assert [name for name in names if name.startswith("boot/initramfs-")]


@pytest.mark.parametrize(
    ("arch", "package", "expected"),
    [
        ("amd64", "shim-signed", ["bootx64.efi"]),
        ("amd64", "grub2-signed", ["grubx64.efi"]),
        ("arm64", "shim-signed", ["bootaa64.efi"]),
        ("arm64", "grub2-signed", ["grubaa64.efi"]),
        ("ppc64el", "grub2", ["bootppc64.bin"]),
        (
            "i386",
            "syslinux",
            [
                *(f"{name}.c32" for name in ("chain", "ifcpu", "ifcpu64", "ldlinux")),
                *("libcom32.c32", "libutil.c32", "lpxelinux.0"),
            ],
        ),
    ],
)
def test_a_bootloader_holds_what_machines_ask_for(arch, package, expected):
    data = lzma.decompress(artefacts.bootloader("s", 20_000, arch=arch, package=package))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == expected
        for name in expected:
            if name.endswith(".efi"):
                machine = {"amd64": 0x8664, "arm64": 0xAA64}[arch]
                assert pe_machine(archive.extractfile(name).read()) == machine


def test_no_bootloader_of_an_unknown_package():
    with pytest.raises(ValueError, match="'lilo'"):
        artefacts.bootloader("s", 20_000, arch="amd64", package="lilo")


def test_manifests_have_a_package_a_line():
    assert artefacts.dpkg_manifest({"zsh": "5", "bash": "5.2"}) == b"bash\t5.2\nzsh\t5\n"
    assert artefacts.rpm_manifest({"kernel": "4.18-1.x86_64"}) == b"kernel-4.18-1.x86_64\n"


def pe_machine(data: bytes) -> int:
    assert data.startswith(b"MZ")
    (at,) = struct.unpack_from("<I", data, 0x3C)
    assert data[at : at + 4] == b"PE\0\0"
    return struct.unpack_from("<H", data, at + 4)[0]


def cpio_members(archive: bytes):
    at = 0
    while at < len(archive):
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        size, name_size = fields[6], fields[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        body = (at + 110 + name_size + 3) // 4 * 4
        yield name, archive[body : body + size]
        at = (body + size + 3) // 4 * 4
