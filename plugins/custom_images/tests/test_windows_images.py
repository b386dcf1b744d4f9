"""A Windows image is looked at to the bottom: what is wrong with it is found, and that alone."""

from __future__ import annotations

import io
import re
import subprocess
import time
from types import SimpleNamespace

import pytest
from disk_builder import MIB, MICROSOFT_DATA, Slice, gpt
from file_disk import FileDisk
from hypothesis import given
from hypothesis import strategies as st
from mirror_custom_images.checks.windows import Volume, check_windows
from mirror_custom_images.checks.windows_config import secret_findings
from mirror_custom_images.checks.windows_registry import read_registry
from mirror_custom_images.checks.windows_releases import release_of
from mirror_custom_images.disks.partitions import read_partitions
from mirror_custom_images.entries import Entry
from mirror_custom_images.images import CustomImages
from reader_fuzz import EXAMPLES
from windows_builder import CONFIG, executable, files, hive, software, system, windows_disk

from mirror.api import CUSTOM_CONTENT_ID, Item, Product, Severity, Version
from mirror.testing.tools import tool

SOFTWARE = "Windows/System32/config/SOFTWARE"
SYSTEM = "Windows/System32/config/SYSTEM"
ANSWERS = "Windows/Panther/Unattend.xml"


def product(release="win2022", arch="amd64"):
    attributes = {"os": "windows", "release": release, "arch": arch, "subarch": "generic"}
    name = f"custom:v1:windows:{release}:{arch}:generic"
    return Product(name, CUSTOM_CONTENT_ID, attributes, ())


def look(disk, what=None):
    with FileDisk(disk) as opened:
        found = list(check_windows(read_partitions(opened), opened, what or product()))
    return {each.code.removeprefix("custom-images-windows-"): each for each in found}


def look_at(folder, content, what=None):
    return look(windows_disk(folder, content), what)


def test_a_good_image_has_nothing_to_be_said_of_but_what_it_is(tmp_path):
    found = look_at(tmp_path, files())
    assert list(found) == ["release"]
    assert found["release"].message == "it is Windows Server 2022 Standard 21H2, build 20348"
    assert found["release"].where == f"partition 3: {SOFTWARE}"
    assert found["release"].severity is Severity.NOTE


def test_the_whole_disk_is_good(tmp_path):
    """Ask as the mirror does, for all checks of a disk."""
    disk = windows_disk(tmp_path, files())
    item = Item("root-dd.raw", "root-dd.raw", "x/root-dd.raw", "0" * 64, disk.stat().st_size)
    version = Version("20261124", (item,))
    found = list(CustomImages().validate(product(), version, {item.name: disk}))
    assert [each for each in found if each.severity is Severity.ERROR] == []
    assert any(each.where == f"root-dd.raw: partition 3: {SOFTWARE}" for each in found)
    codes = {each.code for each in found if each.severity is Severity.WARNING}
    assert codes == set()


FAULTS = {
    "no-kernel": ({"Windows/System32/ntoskrnl.exe": None}, Severity.ERROR),
    "no-efi-loader": ({"Windows/System32/Boot/winload.efi": None}, Severity.WARNING),
    "wrong-architecture": ({"Windows/System32/ntoskrnl.exe": executable(0xAA64)}, Severity.ERROR),
    "wrong-release": (
        {SOFTWARE: hive(software(CurrentBuildNumber="17763", ProductName="Windows Server 2019"))},
        Severity.ERROR,
    ),
    "evaluation": ({SOFTWARE: hive(software(EditionID="ServerStandardEval"))}, Severity.WARNING),
    "not-generalised": (
        {SOFTWARE: hive(software(ImageState="IMAGE_STATE_COMPLETE"))},
        Severity.WARNING,
    ),
    "state-unknown": ({SOFTWARE: hive(software(ImageState=""))}, Severity.WARNING),
    "no-cloudbase-init": ({CONFIG: None}, Severity.WARNING),
    "no-cloudbase-conf": (
        {CONFIG: None, f"{CONFIG}.bak": "metadata_services=..."},
        Severity.WARNING,
    ),
    "no-maas-service": ({CONFIG: "[DEFAULT]\nusername=Admin\n"}, Severity.WARNING),
    "cloudbase-init-disabled": ({SYSTEM: hive(system(start=4))}, Severity.WARNING),
    "no-finalize": ({"curtin/finalize": None}, Severity.WARNING),
    "hibernated": ({"hiberfil.sys": b"hibr" + bytes(5000)}, Severity.ERROR),
    "password": (
        {
            ANSWERS: "<AdministratorPassword><Value>hunter2</Value>"
            "<PlainText>true</PlainText></AdministratorPassword>"
        },
        Severity.WARNING,
    ),
    "product-key": (
        {ANSWERS: "<ProductKey><Key>VDYBN-27WPP-V4HQT-9VMD4-VMK7H</Key></ProductKey>"},
        Severity.WARNING,
    ),
    "registry-unreadable": ({SYSTEM: b"regf" + bytes(5000)}, Severity.WARNING),
}


@pytest.mark.parametrize("code", FAULTS)
def test_each_fault_is_found_and_it_alone(tmp_path, code):
    changes, severity = FAULTS[code]
    found = look_at(tmp_path, files(**changes))
    assert set(found) == {"release", code}
    assert found[code].severity is severity
    assert found[code].where.startswith("partition 3")
    assert "hunter2" not in found[code].message
    assert "VDYBN" not in found[code].message


@pytest.mark.parametrize(
    "answers",
    [
        '<a:LocalAccount><Password a="b"><Value>cABhAHMAcwA=</Value></Password></a:LocalAccount>',
        "<PASSWORD>plain</PASSWORD>".encode("utf-16"),
        b"\xef\xbb\xbf<AutoLogon><Password><Value>x</Value></Password></AutoLogon>",
    ],
)
def test_passwords_however_they_are_written(tmp_path, answers):
    assert "password" in look_at(tmp_path, files(**{"Autounattend.xml": answers}))


@pytest.mark.parametrize(
    "answers",
    [
        "<Password>*SENSITIVE*DATA*DELETED*</Password>",
        "<Password><Value></Value></Password>",
        "<Password />",
        "<ProductKey>W269N</ProductKey>",
        "",
    ],
)
def test_what_is_no_secret(tmp_path, answers):
    assert set(look_at(tmp_path, files(**{ANSWERS: answers}))) == {"release"}


def test_an_answer_file_that_is_made_to_take_long(tmp_path):
    text = b"<password" * 110_000 + b"<Key " * 1000
    entry = Entry(path="Unattend.xml", kind="file", size=len(text), open=lambda: io.BytesIO(text))
    volume = Volume(SimpleNamespace(find={"Unattend.xml": entry}.get), "partition 3")
    begun = time.monotonic()
    assert list(secret_findings(volume)) == []
    assert time.monotonic() - begun < 5


def test_a_volume_that_was_not_shut_down(tmp_path):
    disk = windows_disk(tmp_path, files())
    with FileDisk(disk) as opened:
        start = read_partitions(opened).partitions[2].start
    data = bytearray(disk.read_bytes())
    # $Volume is the fourth record of the MFT; its $VOLUME_INFORMATION is 12 bytes, the last of
    # which are the flags
    cluster = data[start + 11] + data[start + 12] * 256
    cluster *= data[start + 13]
    mft = start + int.from_bytes(data[start + 48 : start + 56], "little") * cluster
    record = data.index(b"FILE", mft + 3 * 1024)
    here = record + 56
    while data[here : here + 4] != b"\x70\0\0\0":
        here += int.from_bytes(data[here + 4 : here + 8], "little")
    content = here + int.from_bytes(data[here + 20 : here + 22], "little")
    data[content + 10] |= 1
    disk.write_bytes(data)
    assert set(look(disk)) == {"release", "dirty"}


@pytest.mark.parametrize(("kind", "magic"), [("bitlocker", b"-FVE-FS-"), ("refs", b"ReFS\0\0\0\0")])
def test_a_volume_that_nobody_can_write(tmp_path, kind, magic):
    volume = tmp_path / "volume"
    volume.write_bytes(b"\xeb\x58\x90" + magic + bytes(MIB))
    found = look(gpt(tmp_path / "disk", [Slice(volume, MICROSOFT_DATA)]))
    assert list(found) == [kind]
    assert found[kind].severity is Severity.ERROR


def test_a_disk_without_a_windows(tmp_path):
    found = look_at(tmp_path, {"setup.exe": executable()})
    assert list(found) == ["missing"]
    assert found["missing"].severity is Severity.ERROR


def test_a_damaged_volume(tmp_path):
    disk = windows_disk(tmp_path, files())
    with FileDisk(disk) as opened:
        start = read_partitions(opened).partitions[2].start
    data = bytearray(disk.read_bytes())
    data[start + 48 : start + 56] = (1 << 40).to_bytes(8, "little")  # where the MFT is
    disk.write_bytes(data)
    found = look(disk)
    assert found["volume-damaged"].severity is Severity.ERROR


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("win2022", "2022"),
        ("win2012r2", "2012r2"),
        ("win2012hvr2", "2012r2"),
        ("win2019dc-core", "2019"),
        ("win81", "8.1"),
        ("win10ent", "10"),
        ("Win11", "11"),
        ("mine", ""),
    ],
)
def test_which_release_a_name_stands_for(name, release):
    assert release_of(name) == release


def test_another_name_says_nothing_of_the_release(tmp_path):
    assert set(look_at(tmp_path, files(), product(release="golden"))) == {"release"}


def test_the_hives_of_these_tests_are_hives(tmp_path):
    """Read one with hivex, which is not ours."""
    file = tmp_path / "SOFTWARE"
    file.write_bytes(hive(software()))
    commands = "cd \\Microsoft\\Windows NT\\CurrentVersion\nlsval ProductName\nquit\n"
    said = subprocess.run(
        [tool("hivexsh"), file], input=commands, capture_output=True, text=True, check=True
    )
    assert "Windows Server 2022 Standard" in said.stdout


@EXAMPLES
@given(st.lists(st.tuples(st.integers(0, 8191), st.integers(0, 255)), min_size=1, max_size=20))
def test_a_hive_of_any_bytes(changes):
    data = bytearray(hive(software()))
    for at, value in changes:
        data[at % len(data)] = value

    entry = Entry(path="", kind="file", size=len(data), open=lambda: io.BytesIO(data))
    registry, faults = read_registry(SimpleNamespace(find=lambda _: entry))
    assert all(re.search("damaged|no registry|missing", why) for _, why in faults)
    assert len(registry.product) <= 300
