"""What starts the system on a disk: the boot loaders in its EFI System Partition, or a BIOS's.

A machine that MAAS has deployed still boots from the network: MAAS's GRUB looks for a loader on the
disk under a few names, and starts that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mirror.api import Finding, Severity
from mirror.formats import FormatError, read_efi
from mirror_custom_images.checks.bootloaders import SUFFIXES
from mirror_custom_images.checks.seen import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirror.api import Product
    from mirror_custom_images.checks.on_disk import Place
    from mirror_custom_images.disks.partitions import PartitionTable
    from mirror_custom_images.entries import Entry
    from mirror_custom_images.filesystems.filesystem import FileSystem

ESP_KINDS = frozenset(("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "0xEF"))
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"

_SECURE = {
    "amd64": (
        "EFI/BOOT/BOOTX64.EFI",
        "EFI/ubuntu/shimx64.efi",
        "EFI/ubuntu/grubx64.efi",
        "EFI/Microsoft/Boot/bootmgfw.efi",
    ),
    "arm64": ("EFI/BOOT/BOOTAA64.EFI", "EFI/ubuntu/grubaa64.efi"),
}
"""The loaders that MAAS's GRUB starts, with secure boot as well; the first is the fallback."""
_INSECURE = {
    "amd64": (
        *(
            f"EFI/{folder}/{name}x64.efi"
            for folder in ("centos", "redhat", "rhel", "rocky")
            for name in ("shim", "grub")
        ),
        "EFI/suse/shim.efi",
        "EFI/suse/grubx64.efi",
        "EFI/ol/shim.efi",
        "EFI/ol/grubx64.efi",
        "EFI/red/grubx64.efi",
    ),
    "arm64": (),
}
"""Those that it starts only where secure boot is off."""
_MOST = 5


class _Loader(NamedTuple):
    path: str
    entry: Entry


def check_start(
    places: Sequence[Place], table: PartitionTable, product: Product
) -> Iterator[Finding]:
    """Say what keeps machines from starting what is on the disk."""
    if product.arch not in SUFFIXES:
        return
    esps = [each for each in places if each.partition.kind in ESP_KINDS]
    if not esps:
        yield _without_esp(table, product)
        return
    if table.scheme == "mbr":
        what = (
            "its partitions are in an MBR: machines with UEFI want a GPT, and some take only that"
        )
        yield _finding(Severity.WARNING, "mbr", "", what)
    if product.arch == "amd64" and not table.boot_code:
        what = "there is no boot code in its first sector: machines with BIOS do not start it"
        yield _finding(Severity.NOTE, "no-bios-boot", "", what)
    for each in esps:
        if each.files is not None and each.kind == "vfat":
            yield from _check_esp(each, each.files, table, product)
        elif not each.fault:
            kind = f"it is {shown(each.kind)}" if each.kind else "nothing known is on it"
            what = f"the EFI System Partition is no FAT ({kind}): firmware reads nothing else"
            yield _finding(Severity.ERROR, "esp-not-fat", each.name, what)


def _without_esp(table: PartitionTable, product: Product) -> Finding:
    what = "there is no EFI System Partition: machines with UEFI do not start it"
    if product.arch == "amd64" and not table.boot_code:
        what = f"{what}; nor do those with BIOS, as no boot code is in its first sector"
        return _finding(Severity.ERROR, "no-boot-loader", "", what)
    return _finding(Severity.WARNING, "no-esp", "", f"{what}; build the image with one")


def _check_esp(
    place: Place, files: FileSystem, table: PartitionTable, product: Product
) -> Iterator[Finding]:
    try:
        secure = _loaders(files, _SECURE[product.arch])
        insecure = _loaders(files, _INSECURE[product.arch])
        folders = [each.path for each in files.list("EFI") if each.kind == "dir"]
    except FormatError as error:
        what = f"the FAT on it {error}: firmware may not find its boot loader"
        yield _finding(Severity.WARNING, "filesystem-unread", place.name, what)
        return
    fallback = _SECURE[product.arch][0]
    if not secure and not insecure:
        yield _nothing_started(place, folders, fallback, table)
    elif not secure:
        what = f"with secure boot, MAAS does not start {insecure[0].path}: put shim at {fallback}"
        yield _finding(Severity.WARNING, "efi-directory", place.where("EFI"), what)
    elif secure[0].path != fallback:
        what = f"there is no {fallback}: firmware that has lost its list does not start the disk"
        yield _finding(Severity.NOTE, "no-fallback-loader", place.where("EFI/BOOT"), what)
    for number, loader in enumerate((*secure, *insecure)):
        yield from _check_loader(place, loader, product, first=number == 0)


def _loaders(files: FileSystem, paths: Sequence[str]) -> list[_Loader]:
    found = ((path, files.find(path)) for path in paths)
    return [_Loader(path, entry) for path, entry in found if entry and entry.kind == "file"]


def _nothing_started(
    place: Place, folders: Sequence[str], fallback: str, table: PartitionTable
) -> Finding:
    some = ", ".join(shown(each) for each in sorted(folders)[:_MOST])
    if some:
        what = f"MAAS starts nothing that is in {some}, and there is no {fallback}"
    else:
        what = f"there is no {fallback}, nor any other loader"
    what = f"{what}: machines with UEFI do not start it; put a copy of shim (and GRUB) there"
    severity = Severity.WARNING if table.boot_code else Severity.ERROR
    return _finding(severity, "efi-directory", place.where("EFI"), what)


def _check_loader(
    place: Place, loader: _Loader, product: Product, *, first: bool
) -> Iterator[Finding]:
    """Say what is wrong with a loader: the first is the one that is started."""
    severity = Severity.ERROR if first else Severity.WARNING
    where = place.where(loader.path)
    try:
        with loader.entry.open() as stream:
            found = read_efi(stream, loader.entry.size)
    except FormatError as error:
        yield _finding(severity, "boot-loader", where, f"{loader.path} {error}")
        return
    if found.arch != product.arch:
        what = f"{loader.path} is for {found.arch}, and the image for {product.arch}"
        yield _finding(severity, "boot-loader-arch", where, what)
    elif not found.signed and first:
        what = f"{loader.path} is not signed: machines with secure boot do not start it"
        yield _finding(Severity.NOTE, "boot-loader-unsigned", where, what)


def _finding(severity: Severity, code: str, where: str, what: str) -> Finding:
    return Finding(severity, f"custom-images-{code}", where, what)
