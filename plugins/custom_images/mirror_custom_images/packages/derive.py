"""The manifest as an item of a version, whatever kind of image it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Derived
from mirror_custom_images.packages.manifest import Manifest, facts_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mirror.api import Item, Product, Version
    from mirror_custom_images.packages.memory import LastManifest

NAME = "manifest"


def derive_manifest(
    product: Product,
    version: Version,
    files: Mapping[str, Path],
    scratch: Path,
    last: LastManifest,
) -> Iterator[Derived]:
    """Make the item `manifest` of the image, beside it, where the version has none.

    What a check has just kept is taken; otherwise an archive is read once more. Raises
    `mirror.formats.FormatError` where it can't be read.
    """
    item = next((each for each in version.items if each.name in files and each.name != NAME), None)
    if item is None or any(each.name == NAME for each in version.items):
        return
    manifest = last.of(item.sha256) or _made(product, item, files[item.name])
    file = scratch / NAME
    manifest.write(file)
    folder = item.path.rpartition("/")[0]
    yield Derived(NAME, NAME, f"{folder}/{NAME}" if folder else NAME, file)


def _made(product: Product, item: Item, file: Path) -> Manifest:
    from mirror_custom_images.checks import root_squashfs, root_tarball

    if item.ftype in root_tarball.FTYPES:
        return root_tarball.look(product, item, file).manifest()
    if item.ftype == root_squashfs.FTYPE:
        return root_squashfs.manifest(file)
    return known_manifest(product, item)


def known_manifest(product: Product, item: Item) -> Manifest:
    """Return the manifest of an image of which only the name and the digest are known."""
    facts = {"os": product.os, "release": product.release, "arch": product.arch}
    facts |= {"type": item.ftype, "size": str(item.size), "sha256": item.sha256}
    return Manifest(facts_manifest(facts), 0)
