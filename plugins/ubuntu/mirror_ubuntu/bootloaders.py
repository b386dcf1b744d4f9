"""The bootloaders that MAAS sends to a machine before any image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Distribution, Finding, Severity
from mirror_ubuntu.headers import xz_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mirror.api import Item, Product, Version

_USED_BY_MAAS = {
    ("pxe", "pxelinux", "i386"),
    ("uefi", "grub-efi-signed", "amd64"),
    ("uefi", "grub-efi", "arm64"),
    ("open-firmware", "grub-ieee1275", "ppc64el"),
}
"""(firmware, os, arch) that MAAS takes; it skips every other."""

_ARCHIVES = {"grub2-signed", "shim-signed", "grub2", "syslinux"}
"""The item names by which MAAS 3.7+ knows a bootloader."""


class Bootloaders(Distribution):
    """The products with a `bootloader-type`."""

    id = "bootloaders"

    def claims(self, product: Product) -> bool:
        """Claim whatever has a `bootloader-type`."""
        return "bootloader-type" in product.attributes

    def describe(self, product: Product) -> str:
        """Return `bootloader grub-efi-signed for uefi, amd64`."""
        firmware = product.attributes["bootloader-type"]
        return f"bootloader {product.os} for {firmware}, {product.arch}"

    def required(self, product: Product) -> bool:
        """Take those that MAAS uses along with any selection: no machine boots without them."""
        key = (product.attributes["bootloader-type"], product.os, product.arch)
        return key in _USED_BY_MAAS

    def choose_items(self, product: Product, version: Version) -> Iterable[Item]:
        """Choose the archives that MAAS knows."""
        del product
        return [item for item in version.items if item.name in _ARCHIVES]

    def validate(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Finding]:
        """Check that each archive is an xz file."""
        del version
        for name, file in files.items():
            fault = xz_fault(file)
            if fault:
                where = f"{product.name} {name}"
                yield Finding(Severity.ERROR, "bootloader-archive", where, f"the {name} {fault}")
