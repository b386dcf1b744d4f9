"""Which packages differ between versions of images, by the snapshots that have them."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import MirrorError, NotFound, ProductAmbiguous, VersionNotHere
from mirror.isolation.workshop import Workshop
from mirror.publish.archive import Archive
from mirror.publish.packages import Lister, PackageDiff
from mirror.publish.pins import filters_of
from mirror.simplestreams.filters import parse_filter
from mirror.sync.selecting import passes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from mirror.model import Product, Version
    from mirror.publish.diff import ProductDiff, SnapshotDiff
    from mirror.service.mirror import Mirror

_MOST = 20
"""Products that are looked at to see whether all that a name may mean have the same packages."""

Pair = tuple["Product", "Version", "Version"]


async def with_packages(mirror: Mirror, archive: Archive, found: SnapshotDiff) -> SnapshotDiff:
    """Return the difference with that of the packages, where a product's newest version changed."""
    async with _lister(mirror) as lister:
        products = [await _with_packages(lister, archive, found, each) for each in found.products]
    return msgspec.structs.replace(found, products=tuple(products))


async def compare(mirror: Mirror, product: str, old: str, new: str) -> PackageDiff:
    """Compare the packages of two versions; see `Snapshots.packages`."""
    pairs = await asyncio.to_thread(_pairs, Archive(mirror.store), product, old, new)
    async with _lister(mirror) as lister:
        outcomes = [await _outcome(lister, pair) for pair in pairs]
    first = outcomes[0]
    if any(not _alike(first, each) for each in outcomes[1:]):
        raise _ambiguous(product, pairs)
    if isinstance(first, MirrorError):
        raise first
    return first


@asynccontextmanager
async def _lister(mirror: Mirror) -> AsyncIterator[Lister]:
    """Open a workshop for plugins that read blobs; its scratch is not in the data directory."""
    with tempfile.TemporaryDirectory(prefix="mirror-packages-", ignore_cleanup_errors=True) as root:
        async with Workshop(
            mirror.settings.plugins,
            mirror.plugins,
            scratch=Path(root),
            readable=(mirror.dir.blobs,),
            private=(mirror.dir.root,),
        ) as workshop:
            yield Lister(workshop, mirror.plugins, mirror.store.blobs)


async def _with_packages(
    lister: Lister, archive: Archive, diff: SnapshotDiff, product: ProductDiff
) -> ProductDiff:
    if product.change != "changed" or not (product.added or product.removed or product.items):
        return product
    before = archive.products(diff.old)[product.product].product
    after = archive.products(diff.new)[product.product].product
    old, new = before.versions[-1], after.versions[-1]
    if old.name == new.name and not product.items:
        return product
    try:
        packages = await lister.compare(after, old, new)
    except MirrorError as error:
        return msgspec.structs.replace(product, packages_problem=error.what)
    return msgspec.structs.replace(product, packages=packages)


def _pairs(archive: Archive, product: str, old: str, new: str) -> list[Pair]:
    """Return what may be meant. Raises `NotFound`, `VersionNotHere`, `ProductAmbiguous`."""
    names = _named(archive, product)
    both = [name for name in names if archive.has(name, old, new)]
    pairs = [_pair(archive, name, old, new) for name in (both or names[:1])]
    if len(pairs) > _MOST:
        raise _ambiguous(product, pairs)
    return pairs


def _named(archive: Archive, product: str) -> Sequence[str]:
    names = archive.names()
    if product in names:
        return [product]
    if ":" not in product:
        filters = [parse_filter(text) for text in filters_of(product.split())]
        described = [(name, archive.described(name)) for name in names]
        found = [name for name, each in described if each and passes(filters, each.product)]
        if found:
            return found
    raise NotFound(f"no snapshot has a product {product!r}")


def _pair(archive: Archive, name: str, old: str, new: str) -> Pair:
    before, after = (archive.find(name, version) for version in (old, new))
    if before is None or after is None:
        missing = old if before is None else new
        versions = ", ".join(archive.versions(name)[-10:])
        raise VersionNotHere(f"{name!r} is not here as {missing}; there are: {versions}")
    return after.product, before.product.versions[0], after.product.versions[0]


async def _outcome(lister: Lister, pair: Pair) -> PackageDiff | MirrorError:
    try:
        return await lister.compare(*pair)
    except MirrorError as error:
        return error


def _alike(one: PackageDiff | MirrorError, other: PackageDiff | MirrorError) -> bool:
    """Say whether two products have the same packages, or fail for the same reason."""
    if isinstance(one, PackageDiff) and isinstance(other, PackageDiff):
        return msgspec.structs.replace(one, product=other.product) == other
    return type(one) is type(other)


def _ambiguous(product: str, pairs: Sequence[Pair]) -> ProductAmbiguous:
    names = [each.name for each, _, _ in pairs]
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ProductAmbiguous(f"{product!r} may be any of: {', '.join(names[:_MOST])}{more}")
