"""Point a channel at the products of some snapshot; the channel's time goes on, never back.

Clients remember the `updated` of a stream, and take one that went back for an attack. A snapshot
that is newer than what the channel has is published as it is: its pointer moves. An older one, or
one of which pins leave something out, is published anew: the same products and files, new metadata
under a new time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.errors import BlobMissing, NothingSelected
from mirror.model import utcnow
from mirror.publish.pins import NOTE
from mirror.store import content_lock
from mirror.sync.build import make_snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.model import Snapshot
    from mirror.publish.archive import Archive
    from mirror.publish.pins import Pinned
    from mirror.store import Store
    from mirror.sync.plan import Planned


class Wanted(msgspec.Struct, frozen=True):
    """What a channel is to publish: the products of the snapshot `origin`, after the pins.

    `reason` and `by` go into the channel's history.
    """

    channel: str
    origin: str
    pinned: Pinned
    reason: str
    by: str


def publish(store: Store, archive: Archive, wanted: Wanted) -> str:
    """Let the channel publish what is wanted; return the snapshot that it is then at.

    A channel that publishes just that stays as it is. Blocks; raises `Busy` where a snapshot must
    be written and a sync runs, `ChannelMoved`, `BlobMissing`, `PathConflict`, `NothingSelected`,
    `StreamRefusedByMaas`, the errors of the disk and of signing.
    """
    current = store.channels.current(wanted.channel) or ""
    before = store.snapshots.load(current) if current else None
    origin = store.snapshots.load(wanted.origin)
    products = {each.product.name: each for each in wanted.pinned.products}
    as_it_is = archive.products(wanted.origin) == products
    if before is not None and _publishes(archive, current, before, products):
        return current
    if as_it_is and (before is None or origin.updated > before.updated):
        _switch(store, wanted, wanted.origin, current)
        return wanted.origin
    if not products:
        raise NothingSelected(
            f"nothing of snapshot {wanted.origin} would be left on channel {wanted.channel}",
            remedy="Look at `mirror channel show` for its pins, `mirror snapshot show` for what "
            "there is.",
        )
    with content_lock(store.dir.root):
        _refuse_what_is_not_here(archive, wanted)
        fresh = _make(store, wanted, origin, current)
        snapshot_id = store.snapshots.save(fresh)
        _switch(store, wanted, snapshot_id, current)
    return snapshot_id


def _publishes(
    archive: Archive, snapshot_id: str, snapshot: Snapshot, products: Mapping[str, Planned]
) -> bool:
    return snapshot.products is not None and archive.products(snapshot_id) == products


def _switch(store: Store, wanted: Wanted, snapshot_id: str, current: str) -> None:
    store.channels.switch(
        wanted.channel,
        snapshot_id,
        wanted.reason,
        by=wanted.by,
        origin=wanted.origin if snapshot_id != wanted.origin else "",
        expected=current,
    )


def _make(store: Store, wanted: Wanted, origin: Snapshot, current: str) -> Snapshot:
    products = wanted.pinned.products
    return make_snapshot(
        products,
        blobs=store.blobs,
        key=store.key,
        parent=current or wanted.origin,
        not_before=store.snapshots.newest_time() or utcnow(),
        sources=origin.sources,
        notes=_notes(origin, wanted.pinned),
    )


def _notes(origin: Snapshot, pinned: Pinned) -> dict[str, list[str]]:
    """Return the origin's notes without those of pins that were then, and with those of now."""
    notes = {
        name: rest
        for name, said in origin.notes.items()
        if (rest := [each for each in said if not each.startswith(NOTE)])
    }
    for name, said in pinned.notes.items():
        notes.setdefault(name, []).append(said)
    return notes


def _refuse_what_is_not_here(archive: Archive, wanted: Wanted) -> None:
    for each in wanted.pinned.products:
        if not archive.is_whole(each):
            raise BlobMissing(f"a file of {each.product.name!r} is not in the store")
