"""The EFI System Partition of an ESXi: its loader, and what curtin's hooks need there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import FormatError, compression_of, read_archive, read_efi
from mirror_custom_images.checks.bootloaders import SUFFIXES
from mirror_custom_images.checks.seen import MOST_TEXT, shown
from mirror_custom_images.filesystems.fat_check import check_fat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Product
    from mirror_custom_images.entries import Entry
    from mirror_custom_images.filesystems.fat import Fat

HOOKS = "curtin/curtin-hooks"
SCRIPTS = "curtin/scripts.tar.xz"
AGENT = "maas"
"""The directory in the scripts, and later on /altbootbank, that the first boot runs from."""

_NETWORK = f"{AGENT}/netplan-esxi"
"""A script that only packer-maas' images have."""
_MOST_SCRIPTS = 256 * 1024**2
"""Bytes that they expand to; packer-maas' are some 10 MB."""


def check_esp(number: int, fat: Fat, product: Product, *, boot_code: bool) -> Iterator[Finding]:
    """Say what is wrong in it. Raises `FormatError` where its file system is damaged.

    `boot_code`: machines with BIOS start the disk without it.
    Whether there are hooks at all, and whether they can be run, is asked of every disk.
    """
    check_fat(fat)
    yield from _check_loader(number, fat, product, boot_code=boot_code)
    hooks = _text(fat.find(HOOKS))
    scripts = fat.find(SCRIPTS)
    if b"scripts.tar.xz" not in hooks:
        return
    if scripts is None or scripts.kind != "file":
        what = f"{HOOKS} unpacks {SCRIPTS}, which is not there: the deployment fails; put it there"
        yield _finding(Severity.ERROR, number, "no-scripts", SCRIPTS, what)
        return
    yield from _check_scripts(number, scripts)


def _check_scripts(number: int, scripts: Entry) -> Iterator[Finding]:
    try:
        with scripts.open() as stream:
            packed = compression_of(stream.read(16))
        with scripts.open() as stream:
            names = [member.name for member, _ in read_archive(stream, limit=_MOST_SCRIPTS)]
    except FormatError as error:
        what = f"{SCRIPTS} {error}: {HOOKS} can't unpack it, and the deployment fails"
        yield _finding(Severity.ERROR, number, "scripts-damaged", SCRIPTS, what)
        return
    if packed != "xz":
        what = f"{SCRIPTS} is not compressed with xz, which {HOOKS} takes it for: pack it so"
        yield _finding(Severity.ERROR, number, "scripts-damaged", SCRIPTS, what)
    elif not any(name.startswith(f"{AGENT}/") for name in names):
        what = f"{SCRIPTS} has nothing below ./{AGENT}: the first boot finds nothing to run"
        yield _finding(Severity.ERROR, number, "scripts-empty", SCRIPTS, what)
    elif _NETWORK in names:
        what = (
            "it is made with packer-maas, of which KS.CFG gives root a password that is known to "
            "everyone, unless it was changed: change it there (rootpw, and --esxi-password of the "
            "vcenter script), and build anew; it can't be seen in the image whether it was"
        )
        yield _finding(Severity.WARNING, number, "root-password", "", what)


def _check_loader(number: int, fat: Fat, product: Product, *, boot_code: bool) -> Iterator[Finding]:
    suffix = SUFFIXES.get(product.arch)
    if suffix is None or product.arch != "amd64":
        what = f"MAAS installs ESXi on amd64 only, and the image is said to be for {product.arch}"
        yield _finding(Severity.WARNING, number, "arch", "", f"{what}: declare amd64")
        return
    path = f"EFI/BOOT/BOOT{suffix.upper()}.EFI"
    loader = fat.find(path)
    if loader is None or loader.kind != "file":
        what = (
            f"there is no {path}: MAAS starts no other loader of ESXi's, so that machines with "
            "UEFI do not start; put a copy of EFI/VMware's safeboot64.efi there"
        )
        severity = Severity.WARNING if boot_code else Severity.ERROR
        yield _finding(severity, number, "no-loader", path, what)
        return
    try:
        with loader.open() as stream:
            found = read_efi(stream, loader.size)
    except FormatError as error:
        what = f"{path} {error}: machines with UEFI do not start; build the image anew"
        yield _finding(Severity.ERROR, number, "loader-damaged", path, what)
        return
    if found.arch != product.arch:
        what = f"{path} is for {shown(found.arch)}, the image for {product.arch}"
        yield _finding(Severity.ERROR, number, "loader-arch", path, what)
    elif not found.signed:
        what = f"{path} is not signed: machines with secure boot do not start it"
        yield _finding(Severity.NOTE, number, "loader-unsigned", path, what)


def _text(entry: Entry | None) -> bytes:
    if entry is None or entry.kind != "file":
        return b""
    with entry.open() as stream:
        return stream.read(MOST_TEXT)


def _finding(severity: Severity, number: int, code: str, path: str, what: str) -> Finding:
    where = f"partition {number}" + (f": {path}" if path else "")
    return Finding(severity, f"custom-images-esxi-{code}", where, what)
