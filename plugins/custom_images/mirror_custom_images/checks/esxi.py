"""An image of VMware ESXi: is it whole, is it the version that its name says, would it deploy.

Its disk has a GPT: 1 is the EFI System Partition, where curtin's hooks are; 5 and 6 are the boot
banks, of which the second takes what the hooks leave for the first boot; 7 is for ESXi's own data,
or for dumps until 6.7.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import FormatError
from mirror_custom_images.checks.efi import ESP_KINDS
from mirror_custom_images.checks.esxi_banks import CONFIG, Bank, check_bank, read_bank, started
from mirror_custom_images.checks.esxi_esp import check_esp
from mirror_custom_images.checks.seen import shown
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.filesystems.fat import Fat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Product
    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.partitions import Partition, PartitionTable

ESP, BANKS, DATA = 1, (5, 6), 7
"""The numbers of the partitions."""
MICROSOFT_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
VMFS_L = "4EB2EA39-7855-4790-A79E-FAE495E21F8D"
DUMPS = "9D275380-40AD-11DB-BF97-000C2911D1B8"

_GIB = 1024**3
_DATASTORE = 32 * _GIB
"""Bytes that a disk must have for MAAS's layout vmfs7."""
_RELEASE = re.compile(r"([0-9])(?:\.([0-9])(?:\.([0-9]))?)?(?![0-9])")
"""How MAAS reads a release of esxi: up to three digits with dots, then a title."""
_FIRST_BUILT = (6, 7)
"""The oldest that packer-maas makes."""
_UNCLONABLE = (7, 0, 2)


def check_esxi(table: PartitionTable, disk: Disk, product: Product) -> Iterator[Finding]:
    """Say what is to be said of a disk with ESXi; `where` is '' or begins with a partition.

    Raises `FormatError` only where the disk itself can't be read.
    """
    parts = {
        each.number: each
        for each in table.partitions
        if each.number in (ESP, *BANKS, DATA) and each.size > 0 and each.end <= disk.size
    }
    yield from _check_partitions(table, parts)
    if ESP in parts:
        try:
            esp = _fat(disk, parts[ESP])
            yield from check_esp(ESP, esp, product, boot_code=table.boot_code)
        except FormatError as error:
            yield _damaged(ESP, error)
    banks = []
    for number in (each for each in BANKS if each in parts):
        try:
            banks.append(
                read_bank(number, Fat(Part(disk, parts[number].start, parts[number].size)))
            )
        except FormatError as error:
            yield _damaged(number, error)
    bank = started(banks)
    if banks:
        yield from _check_banks(banks, bank)
    version = bank.version if bank else ()
    yield from _check_version(version, product)
    yield from _check_data(parts.get(DATA), version)
    if version >= (7,) and disk.size < _DATASTORE:
        what = (
            f"it is a disk of {disk.size / _GIB:.1f} GiB: MAAS makes the datastore of its layout "
            "vmfs7 on machines' disks of 32 GiB or more only; packer-maas' image has 32 GiB"
        )
        yield _finding(Severity.NOTE, "small", "", what)


def _check_partitions(table: PartitionTable, parts: dict[int, Partition]) -> Iterator[Finding]:
    missing = [number for number in (ESP, *BANKS) if number not in parts]
    if missing:
        some = ", ".join(map(str, missing))
        what = (
            f"there is no partition {some} on the disk: an installation of ESXi has its loader in "
            "1 and its boot banks in 5 and 6; build the image by an installation"
        )
        yield _finding(Severity.ERROR, "partitions", "", what)
    if table.scheme != "gpt":
        return
    if ESP in parts and parts[ESP].kind not in ESP_KINDS:
        what = "it is not marked as an EFI System Partition: firmware does not look into it"
        yield _finding(Severity.WARNING, "partition-kind", f"partition {ESP}", what)
    for number in (each for each in BANKS if each in parts):
        if parts[number].kind != MICROSOFT_DATA:
            what = "it is not marked as a boot bank of ESXi is (Microsoft basic data)"
            yield _finding(Severity.WARNING, "partition-kind", f"partition {number}", what)


def _check_banks(banks: list[Bank], bank: Bank | None) -> Iterator[Finding]:
    if bank is None:
        what = f"neither boot bank has a {CONFIG} with a kernel: ESXi is not installed on the disk"
        yield _finding(Severity.ERROR, "no-bank", "", what)
        return
    for each in banks:
        if not each.is_blank:
            yield from check_bank(each, is_started=each is bank)
    builds = {each.build for each in banks if not each.is_blank and each.build}
    if len(builds) > 1:
        some = " and ".join(sorted(map(shown, builds)))
        what = f"its boot banks have the builds {some}: an update was not finished; install anew"
        yield _finding(Severity.WARNING, "banks-differ", "", what)
    if bank.number != BANKS[0]:
        what = (
            "ESXi starts from this bank, in which curtin's hooks leave what the first boot needs: "
            "that is looked for in /altbootbank, which is the other one then; install anew"
        )
        yield bank.finding(Severity.WARNING, "bank-order", "", what)


def _check_version(version: tuple[int, ...], product: Product) -> Iterator[Finding]:
    if not version:
        return
    is_version = ".".join(map(str, version))
    said = _RELEASE.match(product.release)
    named = tuple(int(each) for each in said.groups() if each is not None) if said else ()
    if named and named != version[: len(named)]:
        what = (
            f"it is ESXi {is_version}, and its name says {shown(product.release)}: name it "
            f"esxi/{version[0]}.{version[1]}"
        )
        yield _finding(Severity.ERROR, "version", "", what)
    if version < _FIRST_BUILT:
        what = (
            f"ESXi {is_version} keeps the MAC address of the machine that it was built on, on each "
            "that it is deployed to: build one of 6.7 or later"
        )
        yield _finding(Severity.WARNING, "same-mac", "", what)
    elif version >= _UNCLONABLE:
        what = (
            f"ESXi {is_version} may keep the system UUID of the machine that it was built on: "
            "VMware does not support copies of an installation since 7.0 U2, and hosts with one "
            "UUID damage each other's VMFS on shared storage; give each one of its own first"
        )
        yield _finding(Severity.NOTE, "same-uuid", "", what)


def _check_data(part: Partition | None, version: tuple[int, ...]) -> Iterator[Finding]:
    if not version:
        return
    kind, name = (VMFS_L, "VMFS-L") if version >= (7,) else (DUMPS, "for VMware's dumps")
    if part is None:
        what = f"there is no partition {DATA}, which ESXi {version[0]} has ({name})"
        yield _finding(Severity.WARNING, "partitions", "", f"{what}: install anew")
    elif part.kind != kind:
        what = f"it is of the kind {shown(part.kind)}; that of ESXi {version[0]} is {kind} ({name})"
        yield _finding(Severity.WARNING, "partition-kind", f"partition {DATA}", what)


def _fat(disk: Disk, part: Partition) -> Fat:
    return Fat(Part(disk, part.start, part.size))


def _damaged(number: int, error: FormatError) -> Finding:
    what = f"its file system {error}: the image is damaged; build it anew"
    return _finding(Severity.ERROR, "filesystem", f"partition {number}", what)


def _finding(severity: Severity, code: str, where: str, what: str) -> Finding:
    return Finding(severity, f"custom-images-esxi-{code}", where, what)
