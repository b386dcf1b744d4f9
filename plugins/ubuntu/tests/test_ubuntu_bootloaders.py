"""What is found in the archives of bootloaders, and which of them MAAS uses."""

from __future__ import annotations

from datetime import date

import pytest
from mirror_ubuntu.bootloaders import Bootloaders
from ubuntu_samples import LOADERS, bootloader, loader, members, tar_xz, version_of

from mirror.api import Placement
from mirror.testing import artefacts, kernels, spoil

TODAY = date(2026, 11, 24)
BOOTLOADERS = Bootloaders()


@pytest.mark.parametrize("arch", LOADERS)
def test_a_good_version(tmp_path, arch):
    assert bootloader(tmp_path, arch).codes() == []


@pytest.mark.parametrize("arch", LOADERS)
def test_an_archive_that_is_something_else(tmp_path, arch):
    for item in bootloader(tmp_path, arch).files:
        good = bootloader(tmp_path, arch).files[item]
        for bad in (b"", bytes(5000), spoil.web_page(), good[:500], good[:-1], b"\xfd7zXZ\0" * 9):
            subject = bootloader(tmp_path, arch)
            subject.files[item] = bad
            *inside, last = subject.codes()
            assert last == "error bootloaders-archive"
            assert set(inside) <= {"error bootloaders-member-content"}
            assert subject.findings[-1].where == item


def test_a_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr("mirror_ubuntu.archives._LIMIT", 1 << 20)
    subject = bootloader(tmp_path, "amd64")
    subject.files["shim-signed"] = tar_xz({"bootx64.efi": bytes(2 << 20)})
    assert subject.codes() == ["error bootloaders-archive"]


def test_an_archive_of_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr("mirror_ubuntu.archives._MEMBERS", 3)
    subject = bootloader(tmp_path, "i386")
    assert subject.codes() == ["error bootloaders-archive"]


UNSAFE = {
    "climbs": ("../evil", "file", ""),
    "climbs on its way": ("a/../../evil", "file", ""),
    "is absolute": ("/etc/cron.d/evil", "file", ""),
    "is a folder outside": ("../folder", "dir", ""),
    "is a device": ("sda", "device", ""),
    "is a fifo": ("pipe", "fifo", ""),
    "links to an absolute path": ("link", "symlink", "/etc/shadow"),
    "links out": ("link", "symlink", "../../etc/shadow"),
    "is hard linked out": ("link", "hardlink", "../etc/shadow"),
    "is in it twice": ("bootx64.efi", "hardlink", "other"),
}


@pytest.mark.parametrize("how", UNSAFE)
def test_a_member_that_harms_who_unpacks_it(tmp_path, how):
    subject = bootloader(tmp_path, "amd64")
    name, kind, target = UNSAFE[how]
    good = members(subject.files["shim-signed"])
    subject.files["shim-signed"] = spoil.tar_with(good, name, kind, target=target)
    assert subject.codes() == ["error bootloaders-member-unsafe"]
    assert subject.findings[0].where == f"shim-signed: {name}"


def test_a_file_that_is_in_it_twice(tmp_path):
    subject = bootloader(tmp_path, "ppc64el")
    [(name, data)] = members(subject.files["grub2"]).items()
    one = artefacts.tar({name: data})
    subject.files["grub2"] = one.rstrip(b"\0") + bytes(-len(one.rstrip(b"\0")) % 512) + one
    assert subject.codes() == ["warning bootloaders-member-twice"]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("x86_64-efi/video.lst", b"", []),
        ("x86_64-efi/normal.mod", b"\x7fELF" + bytes(500), []),
        ("doc/index.html", spoil.web_page(), []),
        ("BOOTX64.CSV", "shimx64.efi,ubuntu\n".encode("utf-16"), []),
        ("mmx64.efi", artefacts.efi_binary("m", 9000, signed=True), []),
        ("mmx64.efi", artefacts.efi_binary("m", 9000), ["warning bootloaders-member-other"]),
        (
            "bootia32.efi",
            artefacts.efi_binary("m", 9000, arch="i386", signed=True),
            ["warning bootloaders-member-other"],
        ),
        ("fbx64.efi", b"MZ", ["warning bootloaders-member-other"]),
        ("notes", bytes(5000), ["warning bootloaders-member-other"]),
    ],
)
def test_a_file_that_no_machine_asks_for(tmp_path, name, data, expected):
    subject = bootloader(tmp_path, "amd64")
    good = members(subject.files["shim-signed"])
    subject.files["shim-signed"] = tar_xz({**good, name: data})
    assert subject.codes() == expected


def test_not_all_of_many_are_shown(tmp_path):
    subject = bootloader(tmp_path, "amd64")
    good = members(subject.files["shim-signed"])
    more = {f"{number}.efi": b"x" for number in range(3000)}
    subject.files["shim-signed"] = tar_xz({**good, **more})
    assert subject.codes() == ["warning bootloaders-member-other"] * 5


def test_a_name_that_can_not_be_printed(tmp_path):
    subject = bootloader(tmp_path, "amd64")
    good = members(subject.files["shim-signed"])
    subject.files["shim-signed"] = spoil.tar_with(good, "../\x1b[2J" + "x" * 500)
    assert subject.codes() == ["error bootloaders-member-unsafe"]
    assert subject.findings[0].where.isprintable()
    assert len(subject.said) < 300


def test_a_link_that_stays_inside(tmp_path):
    subject = bootloader(tmp_path, "i386")
    good = members(subject.files["syslinux"])
    subject.files["syslinux"] = spoil.tar_with(good, "pxelinux.0", "symlink", target="lpxelinux.0")
    assert subject.codes() == ["warning bootloaders-member-link"]


def test_a_folder_is_no_harm(tmp_path):
    subject = bootloader(tmp_path, "i386")
    good = members(subject.files["syslinux"])
    subject.files["syslinux"] = spoil.tar_with(good, "pxelinux.cfg", "dir")
    assert subject.codes() == []


@pytest.mark.parametrize(
    ("arch", "item", "lacking", "expected"),
    [
        ("amd64", "shim-signed", "bootx64.efi", "error bootloaders-member-lacking"),
        ("amd64", "grub2-signed", "grubx64.efi", "error bootloaders-member-lacking"),
        ("arm64", "shim-signed", "bootaa64.efi", "error bootloaders-member-lacking"),
        ("arm64", "grub2-signed", "grubaa64.efi", "error bootloaders-member-lacking"),
        ("ppc64el", "grub2", "bootppc64.bin", "error bootloaders-member-lacking"),
        ("i386", "syslinux", "lpxelinux.0", "error bootloaders-member-lacking"),
        ("i386", "syslinux", "ldlinux.c32", "error bootloaders-member-lacking"),
        ("i386", "syslinux", "chain.c32", "warning bootloaders-member-wanted"),
        ("i386", "syslinux", "libcom32.c32", "warning bootloaders-member-wanted"),
        ("i386", "syslinux", "libutil.c32", "warning bootloaders-member-wanted"),
    ],
)
def test_a_file_is_lacking(tmp_path, arch, item, lacking, expected):
    subject = bootloader(tmp_path, arch)
    files = members(subject.files[item])
    files["renamed"] = files.pop(lacking)
    subject.files[item] = tar_xz(files)
    assert expected in subject.codes()
    assert lacking in subject.said


def test_one_of_the_two_that_tell_processors_is_enough(tmp_path):
    subject = bootloader(tmp_path, "i386")
    files = members(subject.files["syslinux"])
    for name in ("ifcpu.c32", "ifcpu64.c32"):
        some = {key: data for key, data in files.items() if key != name}
        subject.files["syslinux"] = tar_xz(some)
        assert subject.codes() == []


def test_syslinux_4_has_no_library(tmp_path):
    subject = bootloader(tmp_path, "i386")
    files = members(subject.files["syslinux"])
    old = {name: files[name] for name in ("chain.c32", "ifcpu.c32")}
    subject.files["syslinux"] = tar_xz({**old, "pxelinux.0": files["lpxelinux.0"]})
    assert subject.codes() == ["warning bootloaders-member-wanted"]


def test_without_shim(tmp_path):
    subject = bootloader(tmp_path, "arm64")
    del subject.files["shim-signed"]
    assert subject.codes() == ["warning bootloaders-member-wanted"]
    assert subject.findings[0].where == ""


@pytest.mark.parametrize(
    ("arch", "item", "name", "data", "expected"),
    [
        ("amd64", "shim-signed", "bootx64.efi", spoil.web_page(), "error member-content"),
        ("amd64", "shim-signed", "bootx64.efi", bytes(9000), "error member-content"),
        ("amd64", "shim-signed", "bootx64.efi", b"", "error member-content"),
        ("amd64", "shim-signed", "bootx64.efi", b"MZ" + b"x" * 900, "error member-content"),
        ("i386", "syslinux", "lpxelinux.0", spoil.web_page(), "error member-content"),
        ("i386", "syslinux", "lpxelinux.0", bytes(9000), "error member-content"),
        ("ppc64el", "grub2", "bootppc64.bin", b"", "error member-content"),
        ("ppc64el", "grub2", "bootppc64.bin", b"x" * 9000, "warning member-kind"),
        ("i386", "syslinux", "chain.c32", b"x" * 9000, "warning member-kind"),
        ("ppc64el", "grub2", "bootppc64.bin", kernels.elf("amd64", b"x"), "error member-arch"),
        ("i386", "syslinux", "chain.c32", kernels.elf("amd64", b"x"), "error member-arch"),
        (
            "amd64",
            "grub2-signed",
            "grubx64.efi",
            artefacts.efi_binary("s", 9000, arch="arm64", signed=True),
            "error member-arch",
        ),
        (
            "arm64",
            "grub2-signed",
            "grubaa64.efi",
            artefacts.efi_binary("s", 9000, arch="arm64"),
            "error unsigned",
        ),
    ],
)
def test_a_file_that_is_something_else(tmp_path, arch, item, name, data, expected):
    subject = bootloader(tmp_path, arch)
    files = members(subject.files[item])
    subject.files[item] = tar_xz({**files, name: data})
    assert subject.codes() == [expected.replace(" ", " bootloaders-")]
    assert subject.findings[0].where == f"{item}: {name}"


def test_an_efi_binary_that_was_cut(tmp_path):
    subject = bootloader(tmp_path, "amd64")
    data = artefacts.efi_binary("s", 9000, signed=True)
    for length in (100, 500, 5000, len(data) - 1):
        subject.files["shim-signed"] = tar_xz({"bootx64.efi": data[:length]})
        assert subject.codes() == ["error bootloaders-member-content"]


def test_two_archives_with_one_name(tmp_path):
    subject = bootloader(tmp_path, "amd64")
    shim = members(subject.files["shim-signed"])
    grub = members(subject.files["grub2-signed"])
    subject.files["shim-signed"] = tar_xz({**shim, **grub})
    assert subject.codes() == ["warning bootloaders-clash"]


def test_each_archive_in_place_of_each_other(tmp_path):
    good = {k: v for arch in LOADERS for k, v in bootloader(tmp_path, arch).files.items()}
    for arch in LOADERS:
        for item in bootloader(tmp_path, arch).files:
            for other, data in good.items():
                subject = bootloader(tmp_path, arch)
                subject.files[item] = data
                if other != item:
                    assert any(each.startswith("error ") for each in subject.codes()), other


def test_those_that_maas_uses_come_along():
    for arch, (os, firmware, _) in LOADERS.items():
        product = loader(os, firmware, arch)
        assert BOOTLOADERS.claims(product)
        assert BOOTLOADERS.required(product)
        assert list(BOOTLOADERS.notices(product, TODAY)) == []


@pytest.mark.parametrize(
    "product",
    [
        loader("pxelinux", "pxe", "amd64"),
        loader("grub-efi", "uefi", "amd64"),
        loader("grub-efi-signed", "uefi", "arm64"),
        loader("ipxe", "ipxe", "amd64"),
        loader("pxelinux", "pxe", "i386", name="com.example:2:pxelinux:pxe:i386"),
    ],
)
def test_others_are_described_and_maas_ignores_them(product):
    assert BOOTLOADERS.claims(product)
    assert not BOOTLOADERS.required(product)
    [notice] = BOOTLOADERS.notices(product, TODAY)
    assert (notice.severity, notice.code) == ("note", "bootloaders-ignored")
    assert BOOTLOADERS.describe(product) in notice.message


def test_their_description():
    product = loader("grub-efi-signed", "uefi", "amd64")
    assert BOOTLOADERS.describe(product) == "bootloader grub-efi-signed for UEFI, amd64"
    product = loader("pxelinux", "pxe", "i386")
    assert BOOTLOADERS.describe(product) == "bootloader pxelinux for PXE (BIOS), i386"


def test_only_known_archives_are_taken():
    version = version_of("grub2-signed", "shim-signed", "sources", "manifest")
    chosen = BOOTLOADERS.choose_items(loader("grub-efi-signed", "uefi", "amd64"), version)
    assert [item.name for item in chosen] == ["grub2-signed", "shim-signed"]


def test_their_place_on_a_rack():
    version = version_of("grub2-signed", "shim-signed")
    assert list(BOOTLOADERS.lay_out(loader("grub-efi-signed", "uefi", "amd64"), version)) == [
        Placement("grub2-signed", "bootloader/uefi/amd64", unpack=True),
        Placement("shim-signed", "bootloader/uefi/amd64", unpack=True),
    ]
    assert list(BOOTLOADERS.lay_out(loader("x", "../..", "amd64"), version)) == []
