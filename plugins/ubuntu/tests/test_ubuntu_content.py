"""What is found in the files of an image; each check has a sample that must fail it."""

from __future__ import annotations

import gzip
import struct

import pytest
from ubuntu_samples import ARCHES, GA, HWE, image, manifest, root_image, ubuntu

from mirror.testing import artefacts, kernels, spoil

WRONG = {
    "a web page": spoil.web_page(),
    "zeros": bytes(20_000),
    "nothing": b"",
    "noise": spoil.scrambled(20_000),
}
UNREADABLE = {
    "boot-initrd": "error ubuntu-boot-initrd",
    "boot-kernel": "error ubuntu-boot-kernel",
    "manifest": "error ubuntu-manifest",
    "squashfs": "error ubuntu-squashfs",
}


@pytest.mark.parametrize("arch", ARCHES)
def test_a_good_version_of_every_architecture(tmp_path, arch):
    assert ubuntu(tmp_path, arch).codes() == []


@pytest.mark.parametrize("compression", ["", "gzip", "xz", "lzma", "zstd", "lz4-legacy", "bzip2"])
def test_an_initrd_of_every_compression(tmp_path, compression):
    subject = ubuntu(tmp_path)
    subject.files["boot-initrd"] = artefacts.initrd("i", 9000, compression=compression)
    assert subject.codes() == []


@pytest.mark.parametrize("arch", ["arm64", "riscv64", "ppc64el"])
def test_a_kernel_that_is_packed_with_gzip(tmp_path, arch):
    subject = ubuntu(tmp_path, arch)
    subject.files["boot-kernel"] = gzip.compress(subject.files["boot-kernel"])
    assert subject.codes() == []
    subject.product = subject.product.__class__(
        subject.product.name, "c", {**subject.product.attributes, "arch": "amd64"}, ()
    )
    assert subject.codes() == ["error ubuntu-kernel-arch"]


@pytest.mark.parametrize("item", UNREADABLE)
@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_is_something_else(tmp_path, item, what):
    subject = ubuntu(tmp_path)
    subject.files[item] = WRONG[what]
    assert subject.codes() == [UNREADABLE[item]]
    assert subject.said.startswith(f"the {item} ")
    assert (what == "a web page") == ("is a web page" in subject.said)


@pytest.mark.parametrize("item", ["boot-initrd", "boot-kernel", "squashfs"])
@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.8])
def test_a_file_that_was_cut(tmp_path, arch, item, part):
    subject = ubuntu(tmp_path, arch)
    data = subject.files[item]
    subject.files[item] = data[: int(len(data) * part)]
    assert subject.codes() == [UNREADABLE[item]]


def test_each_file_in_place_of_each_other(tmp_path):
    good = ubuntu(tmp_path).files
    for item in good:
        for other in good:
            subject = ubuntu(tmp_path)
            subject.files[item] = good[other]
            assert subject.codes() == ([] if item == other else [UNREADABLE[item]])


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("other", ARCHES)
def test_a_kernel_of_another_architecture(tmp_path, arch, other):
    subject = ubuntu(tmp_path, arch)
    subject.files["boot-kernel"] = artefacts.kernel("k", 9000, arch=other, version=GA)
    fits = arch == other or (arch, other) == ("i386", "amd64")
    assert subject.codes() == ([] if fits else ["error ubuntu-kernel-arch"])


@pytest.mark.parametrize(
    ("kernel", "package", "expected"),
    [
        (GA, "linux-generic", []),
        (GA, "linux-generic-hwe-24.04", []),
        (GA, "linux-signed-generic-hwe-22.04-edge", []),
        (GA, "linux-image-unsigned-6.8.0-64-generic", []),
        (GA, "linux-virtual", []),
        (GA, "linux-lowlatency", []),
        (GA, "", []),
        (GA, "nothing that is known", []),
        ("6.1.0-50-cloud-amd64", "linux-image-cloud-amd64", []),
        ("6.8.0-1001-raspi", "linux-raspi", []),
        (GA, "linux-generic-64k", ["error ubuntu-kernel-flavour"]),
        # flavours that have ended, or may
        (GA, "linux-raspi", ["warning ubuntu-kernel-package"]),
        (GA, "linux-highbank", ["warning ubuntu-kernel-package"]),
        (GA, "linux-oem-24.04b", []),
        (GA, "linux-kvm", []),
        ("6.8.0-1013-nvidia", "linux-nvidia", []),
        ("6.8.0-1013-nvidia-64k", "linux-nvidia-64k-hwe-22.04", []),
        ("6.8.0-1013-nvidia", "linux-nvidia-64k-hwe-22.04", ["error ubuntu-kernel-flavour"]),
        ("6.8.0-64-lowlatency-64k", "linux-lowlatency-64k-hwe-22.04", []),
        ("6.11.0-8-generic-64k", "linux-lowlatency-64k-hwe-24.04-edge", []),
        ("6.8.0-1013-nvidia", "linux-generic", ["error ubuntu-kernel-flavour"]),
        ("4.4.0-210-generic", "linux-signed-image-4.4.0-210-generic", []),
        ("4.4.0-210-generic", "linux-image-extra-4.4.0-210-generic:amd64", []),
        ("5.10.0-8-amd64", "linux-image-5.10.0-8-amd64-unsigned", []),
        (GA, "linux-image-6.8.0-64-generic=6.8.0-64.67", []),
        (GA, "linux-signed-image-6.8.0-63-generic", ["error ubuntu-kernel-version"]),
        ("6.8.0-64-generic-64k", "linux-generic", ["error ubuntu-kernel-flavour"]),
        ("6.8.0-64-lowlatency", "linux-generic-hwe-24.04", ["error ubuntu-kernel-flavour"]),
        ("6.1.0-50-amd64", "linux-image-cloud-amd64", ["error ubuntu-kernel-flavour"]),
        ("6.1.0-50-cloud-amd64", "linux-image-amd64", ["error ubuntu-kernel-flavour"]),
        (GA, "linux-image-6.8.0-63-generic", ["error ubuntu-kernel-version"]),
        (GA, "linux-strange", ["warning ubuntu-kernel-package"]),
        ("6.8.0-64-strange", "linux-generic", ["warning ubuntu-kernel-package"]),
    ],
)
def test_the_package_of_a_kernel(tmp_path, kernel, package, expected):
    subject = ubuntu(tmp_path, version=kernel)
    subject.kpackage = package
    assert subject.codes() == expected


def test_a_package_that_is_no_text(tmp_path):
    subject = ubuntu(tmp_path)
    subject.kpackage = ["linux-generic"]
    assert subject.codes() == []


def test_the_ga_kernel_with_the_hwe_initrd(tmp_path):
    subject = ubuntu(tmp_path, version=GA)
    subject.files["boot-initrd"] = artefacts.initrd("i", 9000, version=HWE)
    assert subject.codes() == ["error ubuntu-initrd-kernel"]
    assert GA in subject.said
    assert HWE in subject.said


def test_an_initrd_for_two_kernels(tmp_path):
    subject = ubuntu(tmp_path)
    other = artefacts.initrd("o", 3000, version=HWE, compression="gzip")
    subject.files["boot-initrd"] = other + bytes(100) + subject.files["boot-initrd"]
    assert subject.codes() == []


def test_an_initrd_without_modules(tmp_path):
    subject = ubuntu(tmp_path)
    subject.files["boot-initrd"] = artefacts.cpio({"init": b"#!/bin/sh\n"})
    assert subject.codes() == ["warning ubuntu-initrd-modules"]


def test_the_initrd_of_a_kernel_that_does_not_say_which_it_is(tmp_path):
    subject = ubuntu(tmp_path, "ppc64el")
    subject.files["boot-kernel"] = kernels.elf("ppc64el", artefacts.noise("k", 9000))
    assert subject.codes() == []
    subject.files["boot-initrd"] = artefacts.initrd("i", 9000, version="6.8.0-64-lowlatency")
    assert subject.codes() == ["error ubuntu-initrd-kernel"]


def test_an_initrd_that_is_packed_with_lzo(tmp_path):
    subject = ubuntu(tmp_path)
    subject.files["boot-initrd"] = b"\x89LZO\0\r\n\x1a\n" + bytes(500)
    assert subject.codes() == ["warning ubuntu-initrd-modules"]
    assert "packed with lzo" in subject.said
    other = artefacts.initrd("o", 3000, version=HWE, compression="")
    subject.files["boot-initrd"] = other + subject.files["boot-initrd"]
    assert subject.codes() == []


def test_what_is_wrapped_around_a_kernel_of_power_is_older(tmp_path):
    subject = ubuntu(tmp_path, "ppc64el")
    wrapper = bytearray(kernels.elf("ppc64", artefacts.noise("k", 9000)))
    subject.files["boot-kernel"] = bytes(wrapper)
    assert subject.codes() == ["error ubuntu-kernel-arch"]
    head = struct.pack(">HHIIIIIHHHHHH", 2, 20, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    load = struct.pack(">8I", 1, 4096, 0, 0, 9000, 9000, 7, 4096)
    elf = b"\x7fELF\1\2\1".ljust(16, b"\0") + head + load
    subject.files["boot-kernel"] = elf.ljust(4096, b"\0") + artefacts.noise("k", 9000)
    assert subject.codes() == []


def test_an_architecture_of_which_we_know_nothing(tmp_path):
    subject = ubuntu(tmp_path, "ppc64el")
    subject.files["boot-kernel"] = bytes(bytearray(kernels.elf("riscv64", b"x" * 9000)))
    subject.product = image(arch="sparc64")
    assert subject.codes() == []


def test_names_in_an_initrd_are_shown_as_text(tmp_path):
    subject = ubuntu(tmp_path)
    subject.files["boot-initrd"] = artefacts.cpio({f"lib/modules/\x1b[2J{'x' * 300}/a.ko": b""})
    assert subject.codes() == ["error ubuntu-initrd-kernel"]
    assert len(subject.said) < 300


def test_a_manifest_of_other_kernels_is_a_note(tmp_path):
    subject = ubuntu(tmp_path)
    subject.files["manifest"] = manifest(HWE)
    assert subject.codes() == ["note ubuntu-kernel-unlisted"]
    subject.files["manifest"] = manifest(*(f"6.{number}-{'x' * 900}" for number in range(9)))
    assert subject.codes() == ["note ubuntu-kernel-unlisted"]
    assert len(subject.said) < 300
    subject.files["manifest"] = manifest()
    assert subject.codes() == []


@pytest.mark.parametrize(
    "data",
    [
        b'{"packages": [{"name": "bash"}]}',
        b"\n",
        b"bash\t\n",
        b"bash 5.2 amd64 installed here\n",
        b"x" * (4 << 20),
        b"a\t1\n" * (2 << 20),
        "é".encode() * (3 << 20),
    ],
)
def test_a_manifest_in_another_form_is_a_warning(tmp_path, data):
    subject = ubuntu(tmp_path)
    subject.files["manifest"] = data
    assert subject.codes() == ["warning ubuntu-manifest-unread"]
    assert len(subject.said) < 300


def test_a_manifest_in_another_encoding(tmp_path):
    subject = ubuntu(tmp_path)
    good = subject.files["manifest"].decode()
    for encoding in ("utf-16", "utf-16-le", "utf-32", "cp037"):
        subject.files["manifest"] = good.encode(encoding)
        assert subject.codes() == ["error ubuntu-manifest"], encoding


def test_a_squashfs_with_something_behind_it(tmp_path):
    subject = ubuntu(tmp_path)
    subject.files["squashfs"] += b"x" * 5000
    assert subject.codes() == ["warning ubuntu-squashfs-appended"]
    assert "5,000 bytes" in subject.said


@pytest.mark.parametrize(
    ("number", "kernel", "expected"),
    [
        (4, "4.4.0-210-generic", []),  # xz
        (6, "4.15.0-20-generic", []),  # zstd
        (6, "4.4.0-210-generic", ["warning ubuntu-squashfs-compression"]),
        (5, "3.13.0-24-generic", ["warning ubuntu-squashfs-compression"]),  # lz4
        (2, "6.8.0-64-generic", ["warning ubuntu-squashfs-compression"]),  # lzma
        (7, "6.8.0-64-generic", ["warning ubuntu-squashfs-compression"]),  # unheard of
    ],
)
def test_a_squashfs_that_its_kernel_can_not_read(tmp_path, number, kernel, expected):
    subject = ubuntu(tmp_path, version=kernel)
    # The tables of the kit's squashfs are stored: the superblock may name any compression.
    data = bytearray(subject.files["squashfs"])
    struct.pack_into("<H", data, 20, number)
    subject.files["squashfs"] = bytes(data)
    assert subject.codes() == expected


def with_root_image(folder, data):
    subject = ubuntu(folder)
    del subject.files["squashfs"]
    subject.files["root-image.gz"] = data
    return subject


def test_a_root_image(tmp_path):
    assert with_root_image(tmp_path, root_image()).codes() == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (root_image()[:-1], "cut"),
        (root_image()[:500], "cut"),
        (root_image() + b"x", "something else behind"),
        (root_image(blocks=5000), "is cut: its file system has 5,120,000 bytes"),
        (gzip.compress(bytes(100_000)), "holds no ext4"),
        (gzip.compress(artefacts.noise("n", 100_000)), "holds no ext4"),
        (gzip.compress(b"short", mtime=0), "holds no ext4"),
        (spoil.web_page(), "is a web page"),
        (bytes(100), "zeros"),
        (b"", "is empty"),
    ],
)
def test_a_root_image_that_is_none(tmp_path, data, said):
    subject = with_root_image(tmp_path, data)
    assert subject.codes() == ["error ubuntu-root-image"]
    assert said in subject.said


def test_a_bomb_in_place_of_a_root_image(tmp_path, monkeypatch):
    monkeypatch.setattr("mirror_ubuntu.root._LIMIT", 64 << 20)
    subject = with_root_image(tmp_path, spoil.gzip_bomb(128 << 20))
    assert subject.codes() == ["error ubuntu-root-image"]
    assert "expands to more than 64 MiB" in subject.said


def test_a_device_tree(tmp_path):
    subject = ubuntu(tmp_path, "armhf")
    good = struct.pack(">II", 0xD00DFEED, 500).ljust(500, b"x")
    subject.files["boot-dtb"] = good
    assert subject.codes() == []
    for bad in (good[:-1], good[:6], b"x" * 500, b"", bytes(500), spoil.web_page()):
        subject.files["boot-dtb"] = bad
        assert subject.codes() == ["error ubuntu-boot-dtb"]


def test_what_is_not_there_is_not_looked_at(tmp_path):
    subject = ubuntu(tmp_path)
    subject.files.clear()
    assert subject.codes() == []
