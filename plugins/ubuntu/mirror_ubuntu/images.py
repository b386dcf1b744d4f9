"""Ubuntu images: a kernel, an initrd and a root file system for each release, arch and kernel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.api import Distribution, SourceDefault
from mirror_ubuntu.kernels import GENERIC, describe_kernel, kernel_of
from mirror_ubuntu.layout import image_layout, text
from mirror_ubuntu.manifest import read_manifest
from mirror_ubuntu.settings import UbuntuSettings
from mirror_ubuntu.support import notices
from mirror_ubuntu.validation import validate_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from pathlib import Path

    from mirror.api import Finding, Item, Package, Placement, Product, Version

_KEYRING = "/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg"
_PACKAGE = "ubuntu-keyring"
_KEY = "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81"
"""The key that signs Ubuntu's images: the one whose user is UEC Image Automatic Signing Key."""
_STREAM = "http://images.maas.io/ephemeral-v3/"

_is_image = re.compile(r"[^\n]*:v(?:[23]|3\+platform):").match
"""The names by which MAAS knows an image that boots; it skips every other."""

_BOOT_ITEMS = ("boot-initrd", "boot-kernel", "manifest")
_ROOT_ITEMS = ("squashfs", "root-image.gz")
"""The root file system's forms, the better one first: MAAS takes one of them."""
_FURTHER_ITEMS = ("boot-dtb",)

_LONGEST = 30


class UbuntuImages(Distribution):
    """The products of `os: ubuntu` that carry a kernel, of the streams v2, v3 and v3+platform."""

    id = "ubuntu"

    def __init__(self, settings: UbuntuSettings | None = None) -> None:
        self._settings = settings or UbuntuSettings()

    def claims(self, product: Product) -> bool:
        """Claim images that MAAS boots; cloud images, Ubuntu Core and bootloaders are none."""
        subarch = product.attributes.get("subarch")
        named = product.os == "ubuntu" and isinstance(subarch, str) and subarch != ""
        return named and _is_image(product.name) is not None

    def describe(self, product: Product) -> str:
        """Return `Ubuntu 24.04 LTS (noble), arm64, HWE kernel, 64K pages`."""
        about = {key: _short(value) for key, value in product.attributes.items()}
        kernel = kernel_of(about.get("subarch", ""), about.get("kflavor", GENERIC))
        title = about.get("release_title") or about.get("version", "")
        said = describe_kernel(kernel, about.get("version", ""))
        release, arch = about.get("release", ""), about.get("arch", "")
        return f"Ubuntu {title} ({release}), {arch}, {said}"

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
        further = [items[name] for name in _FURTHER_ITEMS if name in items]
        return [*boot, *further, root] if root and len(boot) == len(_BOOT_ITEMS) else []

    def validate(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Finding]:
        """Read each file, and compare what they say of each other (docs/ubuntu.md)."""
        return validate_image(product, version, files)

    def packages(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Package]:
        """List what the manifest lists."""
        del product, version
        return read_manifest(files["manifest"]) if "manifest" in files else ()

    def notices(self, product: Product, today: date) -> Iterable[Finding]:
        """Say when support ends, or that it has."""
        return notices(product.attributes, today, self._settings.warn_days)

    def lay_out(self, product: Product, version: Version) -> Iterable[Placement]:
        """Place the files as the racks of MAAS have them."""
        return image_layout(product, version)


def _short(value: object) -> str:
    """Return an attribute as a few letters of a line; it may be anything that JSON can say."""
    plain = text(value)
    if len(plain) > _LONGEST:
        plain = f"{plain[: _LONGEST - 3]}..."
    return plain if plain.isprintable() else ascii(plain)[1:-1]
