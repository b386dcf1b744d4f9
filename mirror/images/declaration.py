"""What an operator says of a custom image, and the product that it becomes."""

from __future__ import annotations

import msgspec

from mirror.images.names import split_name, usual_licence
from mirror.model import CUSTOM_CONTENT_ID, Item, Licence, Product, Version

FILE_NAMES = {
    "root-tgz": "root.tgz",
    "root-tbz": "root.tbz",
    "root-txz": "root.txz",
    "root-dd": "root-dd.tgz",
    "root-dd.tar": "root-dd.tar",
    "root-dd.raw": "root-dd.raw",
    "root-dd.gz": "root-dd.gz",
    "root-dd.bz2": "root-dd.bz2",
    "root-dd.xz": "root-dd.xz",
    "root-dd.tar.bz2": "root-dd.tar.bz2",
    "root-dd.tar.xz": "root-dd.tar.xz",
    "squashfs": "squashfs",
}
"""The file types that a custom image can have, as MAAS stores them, and what we call the file."""


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator says of an image.

    `os` and `release` are the two halves of its name (`rhel/9`; one without a slash is of
    `custom`). `ftype` is as MAAS stores it (`root-tgz`, `root-dd.gz`). `base_image` is `OS/RELEASE`
    or ''; `title` may be ''.
    """

    os: str
    release: str
    arch: str = "amd64"
    subarch: str = "generic"
    ftype: str = "root-tgz"
    title: str = ""
    base_image: str = ""
    licence: Licence = Licence.FREE

    @property
    def name(self) -> str:
        """The name, as MAAS has it: `rhel/9`."""
        return f"{self.os}/{self.release}"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator says of a file that is to become an image.

    `name` is as MAAS has it (`rhel/9`), `arch` is `ARCH/SUBARCH`. An `ftype` of '' is whatever the
    file is; a `licence` of None is the usual one of the operating system.
    """

    name: str
    arch: str = "amd64/generic"
    ftype: str = ""
    title: str = ""
    base_image: str = ""
    licence: Licence | None = None


def declared(wanted: Wanted, ftype: str = "") -> Declaration:
    """Return the declaration of a file that is of type `ftype`; nothing is checked."""
    os, release = split_name(wanted.name)
    arch, _, subarch = wanted.arch.strip().partition("/")
    return Declaration(
        os=os,
        release=release,
        arch=arch,
        subarch=subarch or "generic",
        ftype=wanted.ftype or ftype,
        title=" ".join(wanted.title.split()),
        base_image=wanted.base_image.strip(),
        licence=usual_licence(os, release) if wanted.licence is None else wanted.licence,
    )


def product_name(declaration: Declaration) -> str:
    """Return the name of the product: it is the same whatever the image's type and title are."""
    each = declaration
    return f"{CUSTOM_CONTENT_ID}:v1:{each.os}:{each.release}:{each.arch}:{each.subarch}"


def product_of(declaration: Declaration, versions: tuple[Version, ...] = ()) -> Product:
    """Return the product, with what MAAS wants to know of it."""
    title = declaration.title or declaration.name
    attributes = {
        "arch": declaration.arch,
        "label": "release",
        "os": declaration.os,
        "os_title": declaration.os,
        "release": declaration.release,
        "release_codename": title,
        "release_title": title,
        "subarch": declaration.subarch,
        "subarches": declaration.subarch,
        "version": declaration.release,
    }
    if declaration.base_image:
        attributes["base_image"] = declaration.base_image
    if declaration.licence is not Licence.FREE:
        attributes["licence"] = declaration.licence.value
    return Product(product_name(declaration), CUSTOM_CONTENT_ID, attributes, versions)


def root_item(declaration: Declaration, version: str, sha256: str, size: int) -> Item:
    """Return the item that is the image itself; it is named as its file type."""
    each = declaration
    folder = f"custom/{each.os}/{each.release}/{each.arch}/{each.subarch}/{version}"
    path = f"{folder}/{FILE_NAMES[each.ftype]}"
    return Item(each.ftype, each.ftype, path, sha256, size)
