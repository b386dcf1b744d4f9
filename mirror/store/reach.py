"""What a snapshot reaches: every blob that must stay as long as the snapshot does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mirror.model import FileRef, Snapshot
    from mirror.store.snapshots import Snapshots


def references(snapshot: Snapshot) -> Iterator[tuple[str, FileRef]]:
    """Yield (what it is for, the blob): published paths, variants, views, products, evidence."""
    yield from snapshot.files.items()
    if snapshot.products is not None:
        yield "the list of products", snapshot.products
    for path, codings in snapshot.variants.items():
        for coding, ref in codings.items():
            yield f"{path} ({coding})", ref
    for name, view in snapshot.views.items():
        for path, ref in view.files.items():
            yield f"{path} ({name})", ref
        for path, codings in view.variants.items():
            for coding, ref in codings.items():
                yield f"{path} ({name}, {coding})", ref
    for source, state in snapshot.sources.items():
        for path, ref in state.files.items():
            yield f"{source}: {path}", ref


def unique_bytes(snapshots: Snapshots, ids: Collection[str]) -> dict[str, int]:
    """Return how many bytes of blobs only this one of the snapshots reaches, for each.

    Raises SnapshotInvalid, NotFound.
    """
    owners: dict[str, tuple[str, int]] = {}
    for snapshot_id in ids:
        for _, ref in references(snapshots.load(snapshot_id)):
            owner, _ = owners.get(ref.sha256, (snapshot_id, 0))
            owners[ref.sha256] = (snapshot_id if owner == snapshot_id else "", ref.size)
    unique = dict.fromkeys(ids, 0)
    for owner, size in owners.values():
        if owner:
            unique[owner] += size
    return unique
