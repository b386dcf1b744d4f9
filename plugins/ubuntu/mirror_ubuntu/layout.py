"""Where the racks of MAAS have the files that their machines boot from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.api import Placement
from mirror_ubuntu.kernels import GENERIC, maas_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.api import Product, Version

_BOOTED = {"boot-kernel", "boot-initrd", "boot-dtb", "squashfs", "root-image.gz"}

_is_part = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", re.ASCII).fullmatch


def image_layout(product: Product, version: Version) -> Iterable[Placement]:
    """Place each file in the directory of its kernel.

    That of a release's own kernel is also where MAAS looks for `generic`.
    """
    os, arch, release, label = (
        text(product.attributes.get(key)) for key in ("os", "arch", "release", "label")
    )
    subarch = text(product.attributes.get("subarch"))
    kflavor = text(product.attributes.get("kflavor")) or GENERIC
    kernels = [maas_name(subarch, kflavor)]
    if kflavor == GENERIC and _is_first_kernel(subarch, release):
        kernels.append(GENERIC)
    for kernel in kernels:
        folder = (os, arch, kernel, release, label)
        taken: set[str] = set()
        for item in version.items:
            name = item.path.rpartition("/")[2]
            if item.name in _BOOTED and name not in taken and _are_parts(*folder, name):
                taken.add(name)
                yield Placement(item.name, "/".join((*folder, name)))


def bootloader_layout(product: Product, version: Version) -> Iterable[Placement]:
    """Unpack each archive into the directory of its firmware and architecture."""
    folder = (text(product.attributes.get("bootloader-type")), product.arch)
    if _are_parts(*folder):
        for item in version.items:
            yield Placement(item.name, "/".join(("bootloader", *folder)), unpack=True)


def text(value: object) -> str:
    """Return an attribute that is text; '' for anything else that a stream may say."""
    return value if isinstance(value, str) else ""


def _is_first_kernel(subarch: str, release: str) -> bool:
    """Say whether a kernel is the one that a release came with: before 16.04 `hwe-t` of trusty."""
    return subarch.startswith("ga-") or (release != "" and subarch == f"hwe-{release[0]}")


def _are_parts(*parts: str) -> bool:
    """Say whether each is a name that a directory can have; the names come from a stream."""
    return all(_is_part(part) for part in parts)
