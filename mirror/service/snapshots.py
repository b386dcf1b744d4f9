"""Snapshots: what was published, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from mirror.model import Snapshot
    from mirror.service.mirror import Mirror
    from mirror.store import Store


class SnapshotSummary(msgspec.Struct, frozen=True):
    """A line of the list of snapshots. `bytes` counts a shared blob once."""

    id: str
    files: int
    bytes: int
    channels: tuple[str, ...]


class PublishedItem(msgspec.Struct, frozen=True):
    """One image file of a snapshot."""

    product: str
    version: str
    item: str
    path: str
    sha256: str
    size: int
    source: str


class SnapshotContents(msgspec.Struct, frozen=True):
    """What a snapshot publishes."""

    id: str
    updated: datetime
    items: tuple[PublishedItem, ...]
    notes: dict[str, list[str]]


class Snapshots:
    """The snapshots of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def list(self) -> list[SnapshotSummary]:
        """Return every snapshot, oldest first."""
        pointers = self._mirror.channels.pointers()
        return [self._summary(each, pointers) for each in self._mirror.store.snapshots.ids()]

    def show(self, name: str) -> SnapshotContents:
        """Return what a snapshot (an id, or a channel's current one) publishes."""
        snapshot_id = self.resolve(name)
        snapshot = self._mirror.store.snapshots.load(snapshot_id)
        return SnapshotContents(
            id=snapshot_id,
            updated=snapshot.updated,
            items=tuple(_items(snapshot, self._mirror.store)),
            notes=snapshot.notes,
        )

    def remove(self, snapshot_id: str, *, by: str) -> None:
        """Remove a snapshot that no channel answers for. Raises `SnapshotInUse`, `NotFound`."""
        mirror = self._mirror
        mirror.store.remove_snapshot(snapshot_id, grace=mirror.settings.store.grace)
        mirror.catalog.audit.record(by, "snapshot.remove", snapshot_id, snapshot_id, None)

    def resolve(self, name: str) -> str:
        """Return the id of a snapshot, given that or a channel. Raises `NotFound`."""
        store = self._mirror.store
        if name in store.channels.names():
            return self._mirror.channels.current(name)
        if name not in store.snapshots.ids():
            raise NotFound(f"there is no snapshot or channel {name!r}")
        return name

    def _summary(self, snapshot_id: str, pointers: dict[str, str]) -> SnapshotSummary:
        snapshot = self._mirror.store.snapshots.load(snapshot_id)
        blobs = {ref.sha256: ref.size for ref in snapshot.files.values()}
        channels = tuple(sorted(name for name, at in pointers.items() if at == snapshot_id))
        return SnapshotSummary(snapshot_id, len(snapshot.files), sum(blobs.values()), channels)


def _items(snapshot: Snapshot, store: Store) -> Iterable[PublishedItem]:
    from mirror.sync.published import published_products

    for planned in published_products(snapshot, store.blobs).values():
        for version in planned.product.versions:
            for item in version.items:
                yield PublishedItem(
                    product=planned.product.name,
                    version=version.name,
                    item=item.name,
                    path=item.path,
                    sha256=item.sha256,
                    size=item.size,
                    source=planned.source,
                )
