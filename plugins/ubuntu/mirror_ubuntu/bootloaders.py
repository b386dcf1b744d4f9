"""The bootloaders that MAAS sends to a machine before any image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Distribution
from mirror_ubuntu.archives import check_archives
from mirror_ubuntu.codes import finding, shown
from mirror_ubuntu.layout import bootloader_layout, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from pathlib import Path

    from mirror.api import Finding, Item, Placement, Product, Version

_USED_BY_MAAS = {
    ("pxe", "pxelinux", "i386"),
    ("uefi", "grub-efi-signed", "amd64"),
    ("uefi", "grub-efi", "arm64"),
    ("open-firmware", "grub-ieee1275", "ppc64el"),
}
"""(firmware, os, arch) that MAAS takes; it skips every other."""

_FIRMWARE = {"pxe": "PXE (BIOS)", "uefi": "UEFI", "open-firmware": "Open Firmware"}

_ARCHIVES = {"grub2-signed", "shim-signed", "grub2", "syslinux"}
"""The item names by which MAAS 3.7+ knows a bootloader."""

_LONGEST = 40


class Bootloaders(Distribution):
    """The products with a `bootloader-type`."""

    id = "bootloaders"

    def claims(self, product: Product) -> bool:
        """Claim whatever has a `bootloader-type`."""
        return text(product.attributes.get("bootloader-type")) != ""

    def describe(self, product: Product) -> str:
        """Return `bootloader grub-efi-signed for UEFI, amd64`."""
        about = product.attributes
        firmware, name, arch = (_line(about.get(key)) for key in ("bootloader-type", "os", "arch"))
        return f"bootloader {name} for {_FIRMWARE.get(firmware, firmware)}, {arch}"

    def required(self, product: Product) -> bool:
        """Take those that MAAS uses along with any selection: no machine boots without them."""
        key = (text(product.attributes.get("bootloader-type")), product.os, product.arch)
        return key in _USED_BY_MAAS and ":1:" in product.name

    def choose_items(self, product: Product, version: Version) -> Iterable[Item]:
        """Choose the archives that MAAS knows."""
        del product
        return [item for item in version.items if item.name in _ARCHIVES]

    def validate(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Finding]:
        """Read every archive to its end, and look at what machines boot (docs/ubuntu.md)."""
        del version
        return check_archives(text(product.attributes.get("bootloader-type")), product.arch, files)

    def notices(self, product: Product, today: date) -> Iterable[Finding]:
        """Say of those that MAAS skips that it does."""
        del today
        if not self.required(product):
            what = f"{shown(self.describe(product))[1:-1]} {shown(product.name)}"
            yield finding("bootloaders-ignored", "", f"MAAS ignores the {what}")

    def lay_out(self, product: Product, version: Version) -> Iterable[Placement]:
        """Unpack the archives where the racks of MAAS have them."""
        return bootloader_layout(product, version)


def _line(value: object) -> str:
    plain = text(value)
    if len(plain) > _LONGEST:
        plain = f"{plain[: _LONGEST - 3]}..."
    return plain if plain.isprintable() else ascii(plain)[1:-1]
