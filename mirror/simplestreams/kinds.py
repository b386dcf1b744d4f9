"""Which of the three shapes of MAAS 3.7+ a product has.

MAAS tries a whole products file as bootloaders, then as multi-file, then as single-file images, and
refuses the boot source if none fits. So one product out of shape must never be beside good ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.model import Item, Kind, Product, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_TYPES = frozenset(
    {
        *("root-tgz", "root-tbz", "root-txz", "root-dd", "root-dd.tar", "root-dd.raw"),
        *("root-dd.bz2", "root-dd.gz", "root-dd.xz", "root-dd.tar.bz2", "root-dd.tar.xz"),
        *("root-image.gz", "squashfs", "boot-kernel", "boot-initrd", "boot-dtb", "archive.tar.xz"),
    }
)
"""The ftypes that MAAS can record for a file that it downloads."""

MAX_OS_OR_RELEASE = 20
"""The width of those columns in MAAS's database."""

_UPLOADED_ONLY = "custom"
"""MAAS looks for the images of this operating system among those that were uploaded to it."""

_IMAGE = ("arch", "label", "os", "release", "release_title", "subarch", "subarches", "version")
_ATTRIBUTES = {
    Kind.BOOTLOADER: ("arch", "arches", "bootloader-type", "label", "os"),
    Kind.MULTI_FILE: _IMAGE,
    Kind.SINGLE_FILE: _IMAGE,
}
_DOWNLOADED = {
    Kind.BOOTLOADER: frozenset({"grub2-signed", "shim-signed", "grub2", "syslinux"}),
    Kind.MULTI_FILE: frozenset({"boot-initrd", "boot-kernel", "root-image.gz", "squashfs"}),
    Kind.SINGLE_FILE: frozenset({"root-tgz"}),
}
_REQUIRED = {
    Kind.BOOTLOADER: frozenset[str](),
    Kind.MULTI_FILE: frozenset({"boot-initrd", "boot-kernel", "manifest"}),
    Kind.SINGLE_FILE: frozenset({"manifest", "root-tgz"}),
}
_ONE_OF = {
    Kind.BOOTLOADER: _DOWNLOADED[Kind.BOOTLOADER],
    Kind.MULTI_FILE: frozenset({"root-image.gz", "squashfs"}),
    Kind.SINGLE_FILE: frozenset({"root-tgz"}),
}
ITEMS = frozenset[str]().union(*_REQUIRED.values(), *_DOWNLOADED.values())
"""The names of all items that MAAS looks for. Attributes of a version by those names fool it."""

_TEXTS_OF_AN_ITEM = ("src_package", "src_release", "src_version")
_NAMES_THAT_CLASH = frozenset({"items", "support_eol", "support_esm_eol", "version_name"})


def kind_of(product: Product) -> Kind:
    """Return the kind as which MAAS 3.7+ reads the product; OTHER if it can't, or can't keep it.

    Where two fit, MAAS takes the one that it tries last: single-file before multi-file.
    """
    for kind in (Kind.SINGLE_FILE, Kind.MULTI_FILE, Kind.BOOTLOADER):
        if not any(_unreadable(product, kind)):
            return Kind.OTHER if any(_unkeepable(product, kind)) else kind
    return Kind.OTHER


def misfits(product: Product, kind: Kind) -> list[str]:
    """Say, one sentence a reason, why MAAS 3.7+ can't take the product as `kind`.

    What `write_stream` fills in (`kflavor`, `krel`, `release_codename`, `support_eol`) may lack.
    """
    return [*_unreadable(product, kind), *_unkeepable(product, kind)]


def _unreadable(product: Product, kind: Kind) -> Iterator[str]:
    """Yield what makes MAAS's parser refuse the product, and the whole file that it is in."""
    for key in _ATTRIBUTES[kind]:
        if not isinstance(product.attributes.get(key), str):
            yield f"the product has no {key}"
    if not any(version.items for version in product.versions):
        yield "the product has no version"
    for version in product.versions:
        if version.items:
            yield from _unreadable_version(version, kind)


def _unreadable_version(version: Version, kind: Kind) -> Iterator[str]:
    names = {item.name for item in version.items}
    for name in sorted(_REQUIRED[kind] - names):
        yield f"version {version.name} has no item {name}"
    if names.isdisjoint(_ONE_OF[kind]):
        yield f"version {version.name} has none of the items {', '.join(sorted(_ONE_OF[kind]))}"
    if not names.isdisjoint(_NAMES_THAT_CLASH):
        yield f"version {version.name} has an item with the name of an attribute"
    for item in version.items:
        if item.name in _DOWNLOADED[kind] or item.name in _REQUIRED[kind]:
            yield from _unreadable_item(version, item, kind)


def _unreadable_item(version: Version, item: Item, kind: Kind) -> Iterator[str]:
    where = f"version {version.name}, item {item.name}"
    if kind is Kind.BOOTLOADER:
        for key in _TEXTS_OF_AN_ITEM:
            if not isinstance(item.attributes.get(key), str):
                yield f"{where} has no {key}"
    elif not isinstance(item.attributes.get("kpackage"), str | None):
        yield f"{where}: kpackage is not text"


def _unkeepable(product: Product, kind: Kind) -> Iterator[str]:
    """Yield what MAAS stumbles over later, when it records the product and its files."""
    if product.os == _UPLOADED_ONLY:
        yield f"MAAS deploys os {_UPLOADED_ONLY} from images only that were uploaded to it"
    if len(product.os) > MAX_OS_OR_RELEASE or len(product.release) > MAX_OS_OR_RELEASE:
        yield f"os or release is longer than {MAX_OS_OR_RELEASE} characters"
    for version in product.versions:
        if len({item.path.rpartition("/")[2] for item in version.items}) != len(version.items):
            yield f"version {version.name} has two items with the same file name"
        for item in version.items:
            if item.name in _DOWNLOADED[kind] and item.ftype not in FILE_TYPES:
                yield f"version {version.name}, item {item.name}: unknown ftype {item.ftype}"
