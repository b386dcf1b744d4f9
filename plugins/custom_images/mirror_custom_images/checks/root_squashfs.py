"""A squashfs of a root file system: its superblock and tables; what is in it is not looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import FormatError, read_squashfs
from mirror_custom_images.checks.root_tarball import fault_of_type
from mirror_custom_images.packages.manifest import Manifest, facts_manifest
from mirror_custom_images.packages.memory import forget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mirror.api import Item, Product, Version
    from mirror_custom_images.packages.memory import Keep

FTYPE = "squashfs"
_FEWEST = 1000
"""Inodes: a root file system has some 30,000, and no less than this."""


def check(
    product: Product, version: Version, item: Item, file: Path, keep: Keep = forget
) -> Iterator[Finding]:
    """Say whether it is whole, and MAAS can use it."""
    del product, version
    fault = fault_of_type(item, file)
    if fault is not None:
        yield fault
        return
    try:
        found = read_squashfs(file)
    except FormatError as error:
        what = f"the {item.name} {error}"
        yield Finding(Severity.ERROR, "custom-images-unreadable", item.name, what)
        return
    keep(item.sha256, manifest(file))
    if found.inodes < _FEWEST:
        what = f"the squashfs has {found.inodes:,} files: it is no whole root file system"
        yield Finding(Severity.WARNING, "custom-images-layout", item.name, what)
    what = "what is in a squashfs is not looked at: only that it is whole"
    yield Finding(Severity.NOTE, "custom-images-squashfs", item.name, what)


def manifest(file: Path) -> Manifest:
    """Return what is known of a squashfs. Raises `FormatError` where it is none."""
    found = read_squashfs(file)
    facts = {
        "type": FTYPE,
        "compression": found.compression,
        "created": found.created.isoformat(),
        "inodes": str(found.inodes),
        "size": str(found.bytes_used),
    }
    return Manifest(facts_manifest(facts), 0)
