"""A root tarball: is it of the type that it is said to be, whole, and what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import FormatError, ImageType, identify, upload_type, way_out
from mirror_custom_images.checks.root_files import RootCheck
from mirror_custom_images.checks.seen import shown
from mirror_custom_images.disks.bombs import most_of
from mirror_custom_images.packages.memory import forget
from mirror_custom_images.tar_entries import MOST, MOST_MEMBERS, read_tar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mirror.api import Item, Product, Version
    from mirror_custom_images.packages.memory import Keep

FTYPES = ("root-tgz", "root-tbz", "root-txz")
"""The file types of archives that hold a root file system, as MAAS stores them."""
_FEW_MEMBERS, _MEMBER_AT_LEAST = 100_000, 16
"""More members than a few take so many bytes each in the archive, even where they are empty."""


def check(
    product: Product, version: Version, item: Item, file: Path, keep: Keep = forget
) -> Iterator[Finding]:
    """Read a root tarball once, to its end, and say what is to be said of it.

    `keep` gets the manifest that comes of the same pass, with the item's sha256, once the archive
    was read to its end.
    """
    del version
    fault = fault_of_type(item, file)
    if fault is not None:
        yield fault
        if fault.severity is Severity.ERROR:
            return
    try:
        root = look(product, item, file)
    except FormatError as error:
        what = f"the {item.name} {error}: the file is not whole, or not what its type says"
        yield Finding(Severity.ERROR, "custom-images-unreadable", item.name, what)
        return
    if root.is_root:
        keep(item.sha256, root.manifest())
    yield from root.findings()


def look(product: Product, item: Item, file: Path) -> RootCheck:
    """Read a root tarball once, to its end. Raises `FormatError` where that can't be done."""
    root = RootCheck(product, lambda path: f"{item.name}: {path}" if path else item.name)
    see = root.see
    stored = file.stat().st_size
    most = min(MOST_MEMBERS, _FEW_MEMBERS + stored // _MEMBER_AT_LEAST)
    for entry in read_tar(file, limit=min(MOST, most_of(stored)), members=most):
        see(entry)
    return root


def fault_of_type(item: Item, file: Path) -> Finding | None:
    """Compare the type that was declared with the type that is found; None where they agree."""
    try:
        found = identify(file)
    except FormatError as error:
        what = f"the {item.name} {error}"
        return Finding(Severity.ERROR, "custom-images-unreadable", item.name, what)
    if found.ftype == item.ftype:
        return None
    what = f"the type is said to be {_named(item.ftype)}, but the file is {shown(str(found))}"
    if found.ftype in FTYPES and item.ftype in FTYPES:
        remedy = f"MAAS unpacks it all the same; its own type is {_named(found.ftype)}"
        return Finding(
            Severity.WARNING, "custom-images-compression", item.name, f"{what}: {remedy}"
        )
    return Finding(
        Severity.ERROR, "custom-images-wrong-type", item.name, f"{what}: {_way_out(found)}"
    )


def _way_out(found: ImageType) -> str:
    return f"add it with the type {_named(found.ftype)}" if found.ftype else way_out(found)


def _named(ftype: str) -> str:
    upload = upload_type(ftype)
    return f"{ftype} ({upload})" if upload and upload != ftype else ftype
