"""The products of every snapshot here: where an older version of an image is found again."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from mirror.errors import MirrorError
from mirror.publish.pins import only
from mirror.sync.published import published_products

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirror.model import Version
    from mirror.store import Store
    from mirror.sync.plan import Planned

_REMEMBERED = 8
"""Lists of products that are kept at a time: one of 20,000 products takes some 40 MB."""


class Archive:
    """The snapshots of one store, read as they are asked for. For one verb: it sees no changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids = store.snapshots.ids()
        self._read = lru_cache(maxsize=_REMEMBERED)(self._products)

    def products(self, snapshot_id: str) -> Mapping[str, Planned]:
        """Return the products of a snapshot, by name.

        Raises `NotFound`, `SnapshotInvalid`, `BlobMissing`.
        """
        return self._read(snapshot_id)

    def find(self, product: str, version: str) -> Planned | None:
        """Return the product as the newest snapshot has it that has this version, with it alone.

        A snapshot that can't be read, and a version of which a file is gone, are passed over.
        """
        for planned in self._each(product):
            found = only(planned, version)
            if found is not None and self.is_whole(found):
                return found
        return None

    def versions(self, product: str) -> list[str]:
        """Name every version of a product that some snapshot has, oldest first."""
        return sorted(
            {version.name for each in self._each(product) for version in each.product.versions}
        )

    def has(self, product: str, *versions: str) -> bool:
        """Say whether each of these versions of a product is in some snapshot."""
        return set(versions) <= set(self.versions(product))

    def names(self) -> list[str]:
        """Name every product of the snapshots that can be read, sorted."""
        return sorted({name for each in self._readable() for name in each})

    def described(self, product: str) -> Planned | None:
        """Return a product as the newest snapshot has it."""
        return next(self._each(product), None)

    def is_whole(self, planned: Planned) -> bool:
        """Say whether every file of a product is in the store, by its size."""
        return all(self._is_here(version) for version in planned.product.versions)

    def _is_here(self, version: Version) -> bool:
        blobs = self._store.blobs
        return all(blobs.size(item.sha256) == item.size for item in version.items)

    def _each(self, product: str) -> Iterator[Planned]:
        for products in self._readable():
            if product in products:
                yield products[product]

    def _readable(self) -> Iterator[Mapping[str, Planned]]:
        for snapshot_id in reversed(self._ids):
            try:
                yield self._read(snapshot_id)
            except MirrorError:
                continue  # damaged, or removed this moment: `mirror verify` tells

    def _products(self, snapshot_id: str) -> Mapping[str, Planned]:
        return published_products(self._store.snapshots.load(snapshot_id), self._store.blobs)
