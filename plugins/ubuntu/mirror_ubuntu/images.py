"""Ubuntu images: a kernel, an initrd and a root file system for each release, arch and kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Distribution, Finding, Severity, SourceDefault
from mirror_ubuntu.headers import boot_file_fault, squashfs_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mirror.api import Item, Product, Version

_KEYRING = "/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg"
_PACKAGE = "ubuntu-keyring"
_KEY = "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81"
"""The key that signs Ubuntu's images: the one whose user is UEC Image Automatic Signing Key."""
_STREAM = "http://images.maas.io/ephemeral-v3/"

_BOOT_ITEMS = ("boot-initrd", "boot-kernel", "manifest")
_ROOT_ITEMS = ("squashfs", "root-image.gz")
"""The root file system's forms, the better one first: MAAS takes one of them."""


class UbuntuImages(Distribution):
    """The products of `os: ubuntu` that carry a kernel."""

    id = "ubuntu"

    def claims(self, product: Product) -> bool:
        """Claim `os: ubuntu` with a subarch; Ubuntu Core and bootloaders are not images of it."""
        return product.os == "ubuntu" and "subarch" in product.attributes

    def describe(self, product: Product) -> str:
        """Return `Ubuntu 24.04 LTS (noble), amd64, ga-24.04`."""
        about = product.attributes
        title = about.get("release_title", about.get("version", ""))
        kernel = about.get("subarch", "")
        flavor = about.get("kflavor", "generic")
        suffix = "" if flavor == "generic" else f" {flavor}"
        return f"Ubuntu {title} ({product.release}), {product.arch}, {kernel}{suffix}"

    def default_sources(self) -> Iterable[SourceDefault]:
        """Suggest the streams that MAAS itself uses."""
        for label in ("stable", "candidate"):
            yield SourceDefault(
                name=f"maas-{label}",
                url=f"{_STREAM}{label}/",
                keyring=_KEYRING,
                title=f"MAAS images ({label})",
                package=_PACKAGE,
                fingerprints=(_KEY,),
            )

    def choose_items(self, product: Product, version: Version) -> Iterable[Item]:
        """Choose kernel, initrd, manifest and one root file system; all of them or none."""
        del product
        items = {item.name: item for item in version.items}
        root = next((items[name] for name in _ROOT_ITEMS if name in items), None)
        boot = [items[name] for name in _BOOT_ITEMS if name in items]
        return [*boot, root] if root and len(boot) == len(_BOOT_ITEMS) else []

    def validate(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Finding]:
        """Check the header of each file: a login page or zeros in place of it is an error."""
        del version
        checks = (
            ("squashfs", squashfs_fault),
            ("boot-kernel", boot_file_fault),
            ("boot-initrd", boot_file_fault),
        )
        for name, fault_of in checks:
            fault = fault_of(files[name]) if name in files else ""
            if fault:
                where = f"{product.name} {name}"
                yield Finding(Severity.ERROR, f"ubuntu-{name}", where, f"the {name} {fault}")
