"""What two snapshots differ in: products, versions, files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.model import Finding  # noqa: TC001  (msgspec looks at it)
from mirror.publish.packages import PackageDiff  # noqa: TC001  (msgspec looks at it)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.model import Item, Product, Version
    from mirror.sync.plan import Planned


class VersionSize(msgspec.Struct, frozen=True):
    """A version, the bytes of its files, and what the plugin `judge` found in them."""

    version: str
    bytes: int
    judge: str = ""
    findings: tuple[Finding, ...] = ()


class ItemChange(msgspec.Struct, frozen=True):
    """A file of a version that both have, and that is not the same. 0 bytes: it is not there."""

    version: str
    item: str
    old_sha256: str
    new_sha256: str
    old_bytes: int
    new_bytes: int


class ProductDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What differs in one product. `change` is `added`, `removed` or `changed`.

    `source` is set as (old, new) where it comes from another boot source now; `attributes` are the
    names of those that changed.
    """

    product: str
    change: str
    os: str
    release: str
    arch: str
    added: tuple[VersionSize, ...] = ()
    removed: tuple[VersionSize, ...] = ()
    items: tuple[ItemChange, ...] = ()
    attributes: tuple[str, ...] = ()
    source: tuple[str, str] | None = None
    packages: PackageDiff | None = None
    """Between the newest version of the old and of the new snapshot, if it was asked for."""
    packages_problem: str = ""
    """Why they can't be compared."""


class SnapshotDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What `new` publishes and `old` does not, and the other way round; ids of snapshots.

    `bytes_added` and `bytes_removed` count each file once that only one of them has.
    """

    old: str
    new: str
    products: tuple[ProductDiff, ...]
    same: int
    """How many products are as they were."""
    bytes_added: int
    bytes_removed: int


def diff_products(
    old: tuple[str, Mapping[str, Planned]], new: tuple[str, Mapping[str, Planned]]
) -> SnapshotDiff:
    """Compare two snapshots, each given as (its id, its products by name)."""
    (old_id, before), (new_id, after) = old, new
    names = sorted(before.keys() | after.keys())
    found = [each for name in names if (each := _diff(before.get(name), after.get(name)))]
    old_files, new_files = _files(before.values()), _files(after.values())
    return SnapshotDiff(
        old=old_id,
        new=new_id,
        products=tuple(found),
        same=len(names) - len(found),
        bytes_added=sum(size for key, size in new_files.items() if key not in old_files),
        bytes_removed=sum(size for key, size in old_files.items() if key not in new_files),
    )


def _diff(old: Planned | None, new: Planned | None) -> ProductDiff | None:
    if old == new:
        return None
    before = _versions(old.product if old else None)
    after = _versions(new.product if new else None)
    known = new or old
    if known is None:
        return None
    return ProductDiff(
        product=known.product.name,
        change="changed" if old and new else "added" if new else "removed",
        os=known.product.os,
        release=known.product.release,
        arch=known.product.arch,
        added=_sizes(after[name] for name in after if name not in before),
        removed=_sizes(before[name] for name in before if name not in after),
        items=tuple(
            change
            for name in before
            if name in after
            for change in _items(before[name], after[name])
        ),
        attributes=_attributes(old.product, new.product) if old and new else (),
        source=(old.source, new.source) if old and new and old.source != new.source else None,
    )


def _versions(product: Product | None) -> dict[str, Version]:
    return {version.name: version for version in product.versions} if product else {}


def _sizes(versions: Iterable[Version]) -> tuple[VersionSize, ...]:
    return tuple(VersionSize(each.name, sum(item.size for item in each.items)) for each in versions)


def _items(old: Version, new: Version) -> Iterable[ItemChange]:
    before = {item.name: item for item in old.items}
    after = {item.name: item for item in new.items}
    for name in sorted(before.keys() | after.keys()):
        was, now = _file(before.get(name)), _file(after.get(name))
        if was != now:
            yield ItemChange(new.name, name, was[0], now[0], was[1], now[1])


def _file(item: Item | None) -> tuple[str, int]:
    return (item.sha256, item.size) if item else ("", 0)


def _attributes(old: Product, new: Product) -> tuple[str, ...]:
    names = old.attributes.keys() | new.attributes.keys()
    return tuple(
        sorted(name for name in names if old.attributes.get(name) != new.attributes.get(name))
    )


def _files(products: Iterable[Planned]) -> dict[str, int]:
    return {
        item.sha256: item.size
        for each in products
        for version in each.product.versions
        for item in version.items
    }
