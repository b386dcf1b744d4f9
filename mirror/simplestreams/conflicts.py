"""A path names one content: versions that disagree about that are all left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.errors import MirrorError, PathConflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mirror.model import Item, Product, Version


class Rejected(msgspec.Struct, frozen=True):
    """A version that was left out, and why. An empty `version` means the whole product."""

    product: str
    version: str
    error: MirrorError


def conflicting_paths(products: Iterable[Product]) -> set[str]:
    """Return the paths that have two contents, or that are a file for one and a folder for another.

    Several kernel flavours that share one squashfs (same path, digest and size) are no conflict.
    """
    claims: dict[str, Item] = {}
    conflicts = set()
    for product in products:
        for version in product.versions:
            for item in version.items:
                first = claims.setdefault(item.path, item)
                if first is not item and (first.sha256 != item.sha256 or first.size != item.size):
                    conflicts.add(item.path)
    return conflicts | (_folders(claims) & claims.keys())


def drop_conflicts(
    products: Sequence[Product],
) -> tuple[tuple[Product, ...], tuple[Rejected, ...]]:
    """Leave out every version that has an item with a conflicting path."""
    conflicts = conflicting_paths(products)
    if not conflicts:
        return tuple(products), ()
    rejected: list[Rejected] = []
    kept = tuple(_without(product, conflicts, rejected) for product in products)
    return kept, tuple(rejected)


def _folders(paths: Iterable[str]) -> set[str]:
    folders = set()
    new = {path.rpartition("/")[0] for path in paths}
    while new:
        folders |= new
        new = {folder.rpartition("/")[0] for folder in new} - folders
    return folders - {""}


def conflicting_path(version: Version, conflicts: set[str]) -> str:
    """Return the path of the version's first item that is in one of `conflicts`; '' for none."""
    return next((item.path for item in version.items if _clashes(item.path, conflicts)), "")


def _without(product: Product, conflicts: set[str], rejected: list[Rejected]) -> Product:
    kept = []
    for version in product.versions:
        path = conflicting_path(version, conflicts)
        if path:
            what = f"{product.name} {version.name}: another version has other content at {path!r}"
            rejected.append(Rejected(product.name, version.name, PathConflict(what)))
        else:
            kept.append(version)
    return msgspec.structs.replace(product, versions=tuple(kept))


def _clashes(path: str, conflicts: set[str]) -> bool:
    while path:
        if path in conflicts:
            return True
        path = path.rpartition("/")[0]
    return False
