"""Images of ESXi with one fault each, and the finding that names it."""

from __future__ import annotations

import os
import struct

import pytest
from disk_builder import ESP, LINUX, MIB, Slice, gpt
from esxi_builder import (
    DUMPS,
    GIB,
    VMFS_L,
    Esxi,
    bank,
    scripts,
    settings,
    tar,
    text,
    tgz,
)
from file_disk import FileDisk
from mirror_custom_images.checks.disk_image import look
from mirror_custom_images.checks.esxi import check_esxi
from mirror_custom_images.disks.partitions import read_partitions

from mirror.api import Finding, Item, Product, Severity
from mirror.images.declaration import Declaration, product_of
from mirror.testing import artefacts

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
ALWAYS = {(NOTE, "same-uuid"), (WARNING, "root-password")}
"""What is said of any image that packer-maas has made of 8.0."""


def product(release: str = "8.0", arch: str = "amd64") -> Product:
    return product_of(Declaration(os="esxi", release=release, arch=arch, ftype="root-dd.gz"))


def found_in(disk, release: str = "8.0", arch: str = "amd64") -> list[Finding]:
    with FileDisk(disk) as opened:
        return list(check_esxi(read_partitions(opened), opened, product(release, arch)))


def codes(findings) -> set[tuple[Severity, str]]:
    return {(each.severity, each.code.removeprefix("custom-images-esxi-")) for each in findings}


def of(findings, code: str) -> Finding:
    (found,) = (each for each in findings if each.code == f"custom-images-esxi-{code}")
    return found


@pytest.fixture
def esxi() -> Esxi:
    return Esxi()


def config(esxi: Esxi, number: int = 5, **changes: str | None) -> None:
    """Change settings in the boot.cfg of a bank; None: leave one out."""
    changed = settings() | changes
    esxi.files[number]["boot.cfg"] = text(
        {key: value for key, value in changed.items() if value is not None}
    )


def only(esxi: Esxi, tmp_path, severity: Severity, code: str, release: str = "8.0") -> Finding:
    """Return the one finding beside those that there are always."""
    found = found_in(esxi.write(tmp_path), release)
    assert codes(found) == ALWAYS | {(severity, code)}
    return of(found, code)


# --- a good one -----------------------------------------------------------------------------------


def test_a_good_one_has_nothing_but_what_is_said_of_all(esxi, tmp_path):
    found = found_in(esxi.write(tmp_path))
    assert codes(found) == ALWAYS
    assert of(found, "same-uuid").where == ""


def test_the_disk_as_a_whole_is_good_as_well(esxi, tmp_path):
    item = Item("root-dd.gz", "root-dd.gz", "x/root-dd.gz", "0" * 64, 1)
    with FileDisk(esxi.write(tmp_path)) as disk:
        found = list(look(product(), item, disk))
    assert {each.severity for each in found} == {NOTE, WARNING}
    password = of(found, "root-password")
    assert password.where == "root-dd.gz: partition 1"
    assert "password123" not in password.message


@pytest.mark.parametrize("release", ["8", "8.0", "8.0.3", "8.0-custom", "8.0u3", "8.0.24022510"])
def test_names_of_its_version_are_right(esxi, tmp_path, release):
    assert codes(found_in(esxi.write(tmp_path), release)) == ALWAYS


def test_one_of_6_7_has_other_partitions(esxi, tmp_path):
    esxi.files[5]["boot.cfg"] = text(settings("6.7.0-3.73.14320388"))
    esxi.kinds[7] = DUMPS
    assert codes(found_in(esxi.write(tmp_path), "6.7")) == {(WARNING, "root-password")}


def test_a_second_bank_without_boot_cfg_is_blank(esxi, tmp_path):
    esxi.files[6] = {}
    assert codes(found_in(esxi.write(tmp_path))) == ALWAYS


def test_two_banks_of_one_build_are_good(esxi, tmp_path):
    esxi.files[6] = bank(settings() | {"updated": "0"})
    assert codes(found_in(esxi.write(tmp_path))) == ALWAYS


def test_hooks_that_need_no_scripts_are_good(esxi, tmp_path):
    esxi.files[1]["curtin/curtin-hooks"] = b"#!/usr/bin/env python3\n"
    del esxi.files[1]["curtin/scripts.tar.xz"]
    assert codes(found_in(esxi.write(tmp_path))) == {(NOTE, "same-uuid")}


def test_names_in_capitals_and_a_prefix_are_understood(esxi, tmp_path):
    files = {f"sub/{name.upper()}": data for name, data in esxi.files[5].items()}
    files["boot.cfg"] = text(settings() | {"prefix": "/sub/"})
    files["state.tgz"] = esxi.files[5]["state.tgz"]
    esxi.files[5] = files
    assert codes(found_in(esxi.write(tmp_path))) == ALWAYS


# --- the name -------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", ["7.0", "9", "8.1", "8.0.2", "6.7-custom"])
def test_a_version_that_is_not_the_names_is_told(esxi, tmp_path, release):
    found = only(esxi, tmp_path, ERROR, "version", release)
    assert f"it is ESXi 8.0.3, and its name says {release}" in found.message


def test_a_name_without_a_version_is_not_compared(esxi, tmp_path):
    assert codes(found_in(esxi.write(tmp_path), "ours")) == ALWAYS


# --- the boot banks -------------------------------------------------------------------------------


def test_a_module_that_is_missing_is_told(esxi, tmp_path):
    del esxi.files[5]["vim.v00"]
    found = only(esxi, tmp_path, ERROR, "module-missing")
    assert found.where == "partition 5: vim.v00"


def test_many_missing_modules_are_one_finding(esxi, tmp_path):
    esxi.files[5] = {"boot.cfg": esxi.files[5]["boot.cfg"]}
    found = only(esxi, tmp_path, ERROR, "module-missing")
    assert "b.b00, jumpstrt.gz, useropts.gz, k.b00, vmx.v00 and 3 more" in found.message


def test_a_module_that_is_empty_is_told(esxi, tmp_path):
    esxi.files[5]["k.b00"] = b""
    assert only(esxi, tmp_path, ERROR, "module-empty").where == "partition 5: k.b00"


def test_a_missing_kernel_is_told(esxi, tmp_path):
    del esxi.files[5]["b.b00"]
    assert only(esxi, tmp_path, ERROR, "module-missing").where == "partition 5: b.b00"


def test_a_bank_that_is_not_started_may_only_be_warned_of(esxi, tmp_path):
    esxi.files[6] = bank(settings() | {"updated": "0"})
    del esxi.files[6]["vim.v00"]
    assert only(esxi, tmp_path, WARNING, "module-missing").where == "partition 6: vim.v00"


def test_two_blank_banks_are_told(esxi, tmp_path):
    esxi.files[5] = bank()
    found = found_in(esxi.write(tmp_path))
    assert codes(found) == {(ERROR, "no-bank"), (WARNING, "root-password")}


def test_no_boot_cfg_at_all_is_told(esxi, tmp_path):
    del esxi.files[5]["boot.cfg"]
    esxi.files[6] = {}
    assert (ERROR, "no-bank") in codes(found_in(esxi.write(tmp_path)))


def test_no_modules_are_told(esxi, tmp_path):
    config(esxi, modules="")
    assert only(esxi, tmp_path, ERROR, "boot-config").where == "partition 5: boot.cfg"


def test_lacking_settings_are_told(esxi, tmp_path):
    config(esxi, kernelopt=None, updated=None)
    assert "no kernelopt, no updated" in only(esxi, tmp_path, WARNING, "boot-config").message


@pytest.mark.parametrize("build", [None, "", "unknown"])
def test_a_build_that_is_not_said_is_told(esxi, tmp_path, build):
    config(esxi, build=build)
    found = found_in(esxi.write(tmp_path), "7.0")
    assert codes(found) == {(WARNING, "no-build"), (WARNING, "root-password")}


def test_banks_of_different_builds_are_told(esxi, tmp_path):
    esxi.files[6] = bank(settings("8.0.2-0.0.22380479") | {"updated": "0"})
    found = only(esxi, tmp_path, WARNING, "banks-differ")
    assert "8.0.2-0.0.22380479 and 8.0.3-0.24.24022510" in found.message


def test_one_that_is_started_from_the_second_bank_is_told(esxi, tmp_path):
    esxi.files[6] = bank(settings() | {"updated": "2"})
    assert only(esxi, tmp_path, WARNING, "bank-order").where == "partition 6"


def test_one_that_was_being_started_is_told(esxi, tmp_path):
    config(esxi, bootstate="2")
    assert only(esxi, tmp_path, WARNING, "boot-state").where == "partition 5: boot.cfg"


@pytest.mark.parametrize("options", ["runweasel", "com1_Port=0x3f8 ks=usb://ks.cfg x=1"])
def test_an_installer_is_told(esxi, tmp_path, options):
    config(esxi, kernelopt=options)
    only(esxi, tmp_path, WARNING, "installer")


def test_no_state_is_told(esxi, tmp_path):
    config(esxi, modules="k.b00 --- vmx.v00")
    del esxi.files[5]["state.tgz"]
    assert only(esxi, tmp_path, WARNING, "no-state").where == "partition 5: state.tgz"


@pytest.mark.parametrize(
    "state", [b"noise" * 999, tgz({"local.tgz": os.urandom(9000)})[:5000], b"\x1f\x8b\x08"]
)
def test_a_damaged_state_is_told(esxi, tmp_path, state):
    esxi.files[5]["state.tgz"] = state
    assert only(esxi, tmp_path, ERROR, "state-damaged").where == "partition 5: state.tgz"


# --- the ESP --------------------------------------------------------------------------------------


def test_no_loader_is_told(esxi, tmp_path):
    del esxi.files[1]["EFI/BOOT/BOOTX64.EFI"]
    assert only(esxi, tmp_path, WARNING, "no-loader").where == "partition 1: EFI/BOOT/BOOTX64.EFI"


def test_no_loader_and_no_code_for_a_bios_is_an_error(esxi, tmp_path):
    del esxi.files[1]["EFI/BOOT/BOOTX64.EFI"]
    esxi.boot_code = False
    only(esxi, tmp_path, ERROR, "no-loader")


@pytest.mark.parametrize(
    ("loader", "severity", "code"),
    [
        (b"no program" * 99, ERROR, "loader-damaged"),
        (b"", ERROR, "loader-damaged"),
        (artefacts.efi_binary("x", 9000, arch="arm64"), ERROR, "loader-arch"),
        (artefacts.efi_binary("x", 9000), NOTE, "loader-unsigned"),
    ],
)
def test_a_bad_loader_is_told(esxi, tmp_path, loader, severity, code):
    esxi.files[1]["EFI/BOOT/BOOTX64.EFI"] = loader
    only(esxi, tmp_path, severity, code)


def test_another_architecture_is_told(esxi, tmp_path):
    found = found_in(esxi.write(tmp_path), arch="arm64")
    assert codes(found) == ALWAYS | {(WARNING, "arch")}


def esp_only(esxi, tmp_path, code: str) -> Finding:
    found = found_in(esxi.write(tmp_path))
    assert codes(found) == {(NOTE, "same-uuid"), (ERROR, code)}
    return of(found, code)


def test_scripts_that_are_missing_are_told(esxi, tmp_path):
    del esxi.files[1]["curtin/scripts.tar.xz"]
    assert esp_only(esxi, tmp_path, "no-scripts").where == "partition 1: curtin/scripts.tar.xz"


@pytest.mark.parametrize(
    "data",
    [
        b"noise" * 999,
        b"",
        scripts()[:-20],
        tgz({"./maas/netplan-esxi": b""}),
        tar({"./maas/netplan-esxi": b""}),
    ],
)
def test_scripts_that_are_damaged_are_told(esxi, tmp_path, data):
    esxi.files[1]["curtin/scripts.tar.xz"] = data
    esp_only(esxi, tmp_path, "scripts-damaged")


def test_scripts_with_nothing_to_run_are_told(esxi, tmp_path):
    esxi.files[1]["curtin/scripts.tar.xz"] = scripts(())
    esp_only(esxi, tmp_path, "scripts-empty")


def test_scripts_of_another_builder_are_not_packer_maas(esxi, tmp_path):
    esxi.files[1]["curtin/scripts.tar.xz"] = scripts(("agent",))
    assert codes(found_in(esxi.write(tmp_path))) == {(NOTE, "same-uuid")}


def test_no_hooks_at_all_are_told_of_the_disk(esxi, tmp_path):
    for name in ("curtin/curtin-hooks", "curtin/scripts.tar.xz"):
        del esxi.files[1][name]
    item = Item("root-dd.gz", "root-dd.gz", "x/root-dd.gz", "0" * 64, 1)
    with FileDisk(esxi.write(tmp_path)) as disk:
        found = list(look(product(), item, disk))
    assert [each.code for each in found if each.severity is ERROR] == ["custom-images-no-curtin"]


# --- the disk -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 5, 6])
def test_a_missing_partition_is_told(esxi, tmp_path, number):
    del esxi.kinds[number]
    found = found_in(esxi.write(tmp_path))
    assert f"there is no partition {number} on the disk" in of(found, "partitions").message
    assert of(found, "partitions").severity is ERROR


def test_a_missing_partition_for_data_is_told(esxi, tmp_path):
    del esxi.kinds[7]
    assert "no partition 7" in only(esxi, tmp_path, WARNING, "partitions").message


@pytest.mark.parametrize(("number", "kind"), [(1, LINUX), (5, LINUX), (6, ESP), (7, DUMPS)])
def test_a_partition_of_another_kind_is_told(esxi, tmp_path, number, kind):
    esxi.kinds[number] = kind
    assert only(esxi, tmp_path, WARNING, "partition-kind").where == f"partition {number}"


def test_vmfs_l_on_an_old_one_is_told(esxi, tmp_path):
    esxi.files[5]["boot.cfg"] = text(settings("6.7.0-3.73.14320388"))
    assert esxi.kinds[7] == VMFS_L
    found = found_in(esxi.write(tmp_path), "6.7")
    assert codes(found) == {(WARNING, "partition-kind"), (WARNING, "root-password")}


def test_a_version_that_keeps_the_builders_mac_is_told(esxi, tmp_path):
    esxi.files[5]["boot.cfg"] = text(settings("6.5.0-0.0.4564106"))
    esxi.kinds[7] = DUMPS
    found = found_in(esxi.write(tmp_path), "6.5")
    assert codes(found) == {(WARNING, "same-mac"), (WARNING, "root-password")}


def test_7_0_before_its_second_update_can_be_copied(esxi, tmp_path):
    esxi.files[5]["boot.cfg"] = text(settings("7.0.1-0.0.16850804"))
    assert codes(found_in(esxi.write(tmp_path), "7.0")) == {(WARNING, "root-password")}


def test_a_small_disk_is_noted(esxi, tmp_path):
    esxi.size = 10 * GIB
    assert "10.0 GiB" in only(esxi, tmp_path, NOTE, "small").message


def damaged(disk, number: int, at: int, data: bytes) -> None:
    with FileDisk(disk) as opened:
        table = read_partitions(opened)
    start = next(each.start for each in table.partitions if each.number == number)
    with disk.open("r+b") as file:
        file.seek(start + at)
        file.write(data)


@pytest.mark.parametrize("number", [1, 5, 6])
def test_a_damaged_file_system_is_told(esxi, tmp_path, number):
    disk = esxi.write(tmp_path)
    damaged(disk, number, 13, b"\3")
    found = found_in(disk)
    assert of(found, "filesystem").severity is ERROR
    assert of(found, "filesystem").where == f"partition {number}"


def test_a_module_with_a_chain_that_is_damaged_is_told(esxi, tmp_path):
    disk = esxi.write(tmp_path)
    # The first cluster that a file has: its chain leads to one that is free.
    damaged(disk, 5, 4 * 512 + 2 * 2, struct.pack("<H", 4000))
    assert "is a damaged FAT" in of(found_in(disk), "filesystem").message


def test_a_disk_of_something_else_is_told(tmp_path):
    disk = gpt(tmp_path / "disk", [Slice(size=MIB), Slice(size=MIB)])
    found = found_in(disk)
    assert codes(found) == {
        (ERROR, "partitions"),
        (ERROR, "filesystem"),
        (WARNING, "partition-kind"),
    }
