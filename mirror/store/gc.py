"""Garbage collection: keep what a snapshot reaches, drop the rest when it is old enough.

Only deletes, so it works on a full disk. A blob counts as young from its last adoption: what a sync
fetched before it was stopped stays for the next one, for the grace period.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import NotFound, SnapshotInUse, SnapshotInvalid
from mirror.store.durable import TEMP_SUFFIX, disk_errors
from mirror.store.incoming import in_use, remove
from mirror.store.reach import references

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from mirror.store.store import Store


_UNNAMED = "no snapshot names it"


class Dropped(msgspec.Struct, frozen=True):
    """Something that was dropped, or would be. `kind` is `blob` or `unfinished`."""

    kind: str
    name: str
    """A blob's sha256; a file's path below the data directory."""
    bytes: int
    why: str


class GcReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was dropped, or would be: `blobs` that hold `bytes`, and `strays` (unfinished files).

    `kept` blobs are reached by a snapshot; `young` ones are not, and wait for the grace period.
    """

    blobs: int
    bytes: int
    strays: int
    kept: int
    young: int
    stray_bytes: int = 0
    kept_bytes: int = 0
    young_bytes: int = 0
    dropped: tuple[Dropped, ...] = ()
    removed: tuple[str, ...] = ()
    """The snapshots of `gone` that were removed, or would be."""


def collect(
    store: Store,
    *,
    grace: timedelta,
    dry_run: bool = False,
    keep: Iterable[str] = (),
    spared: Collection[str] = (),
    gone: Sequence[str] = (),
    now: datetime | None = None,
) -> GcReport:
    """Drop blobs that no snapshot reaches and `keep` does not name, and unfinished files.

    What is in use in `incoming`, or named in `spared`, is not unfinished, however old it is.

    Both only when last written more than `grace` ago. The snapshots `gone` are removed first, but
    for those that a channel answers for after all. The caller holds the content lock. Raises
    SnapshotInvalid, before any blob is dropped, when a snapshot does not say what it reaches.
    """
    limit = ((now or datetime.now(UTC)) - grace).timestamp()
    formerly = _formerly(store, gone)
    removed = tuple(gone) if dry_run else tuple(_remove(store, gone, grace, now))
    reached = _mark(store, frozenset(removed))
    for sha256 in keep:
        reached.setdefault(sha256, 0)
    strays = [each for file in _strays(store, spared) if (each := _stray(store, file, limit))]
    doomed, young, young_bytes = _unreached(store, reached, formerly, limit)
    kept = [sha256 for sha256 in store.blobs.hashes() if sha256 in reached]
    if not dry_run:
        for blob in doomed:
            store.blobs.delete(blob.name)
            store.restricted.drop(blob.name)
        for stray in strays:
            remove(store.dir.root / stray.name)
        _drop_marks(store, limit)
    return GcReport(
        blobs=len(doomed),
        bytes=sum(each.bytes for each in doomed),
        strays=len(strays),
        kept=len(kept),
        young=young,
        stray_bytes=sum(each.bytes for each in strays),
        kept_bytes=sum(reached[sha256] for sha256 in kept),
        young_bytes=young_bytes,
        dropped=(*doomed, *strays),
        removed=removed,
    )


def _drop_marks(store: Store, limit: float) -> None:
    """Remove the old marks of blobs that are not here: those that are to come are young."""
    for sha256 in list(store.restricted.marked()):
        if not store.blobs.has(sha256) and store.restricted.written(sha256) < limit:
            store.restricted.drop(sha256)


def _formerly(store: Store, gone: Iterable[str]) -> dict[str, str]:
    """Return which of the snapshots that go named each blob: to say why that goes."""
    formerly: dict[str, str] = {}
    for snapshot_id in gone:
        with suppress(SnapshotInvalid, NotFound):
            snapshot = store.snapshots.load(snapshot_id)
            formerly.update((ref.sha256, snapshot_id) for _, ref in references(snapshot))
    return formerly


def _remove(
    store: Store, gone: Iterable[str], grace: timedelta, now: datetime | None
) -> Iterator[str]:
    for snapshot_id in gone:
        with suppress(SnapshotInUse, NotFound):  # switched to, or removed by hand, this moment
            store.remove_snapshot(snapshot_id, grace=grace, now=now)
            yield snapshot_id


def _mark(store: Store, gone: frozenset[str]) -> dict[str, int]:
    """Return the size of every blob that a snapshot reaches."""
    reached: dict[str, int] = {}
    for snapshot_id in store.snapshots.ids():
        if snapshot_id in gone:
            continue
        try:
            snapshot = store.snapshots.load(snapshot_id)
        except SnapshotInvalid as error:
            raise SnapshotInvalid(
                f"{error}: nothing was dropped, for it is not known what it reaches",
                remedy=f"Remove it (`mirror snapshot remove {snapshot_id}`), then run gc again.",
            ) from error
        reached.update((ref.sha256, ref.size) for _, ref in references(snapshot))
    return reached


def _unreached(
    store: Store, reached: Mapping[str, int], formerly: Mapping[str, str], limit: float
) -> tuple[list[Dropped], int, int]:
    doomed: list[Dropped] = []
    young = young_bytes = 0
    for sha256 in store.blobs.hashes():
        if sha256 in reached:
            continue
        path = store.blobs.path(sha256)
        with disk_errors(path), suppress(FileNotFoundError):
            stat = path.stat()
            if stat.st_mtime < limit:
                snapshot_id = formerly.get(sha256)
                why = f"only snapshot {snapshot_id} named it" if snapshot_id else _UNNAMED
                doomed.append(Dropped("blob", sha256, stat.st_size, why))
            else:
                young += 1
                young_bytes += stat.st_size
    return doomed, young, young_bytes


def _stray(store: Store, file: Path, limit: float) -> Dropped | None:
    """Describe an unfinished file that is old enough to go."""
    with suppress(FileNotFoundError):
        stat = file.lstat()
        if stat.st_mtime < limit:
            written = datetime.fromtimestamp(stat.st_mtime, UTC)
            name = file.relative_to(store.dir.root).as_posix()
            why = f"interrupted work left it; last written on {written:%Y-%m-%d %H:%M}"
            return Dropped("unfinished", name, stat.st_size, why)
    return None


def _strays(store: Store, spared: Collection[str]) -> Iterator[Path]:
    with disk_errors(store.dir.root):
        for entry in store.dir.incoming.iterdir():
            if entry.name not in spared and not in_use(entry):
                yield entry
        yield from store.snapshots.orphans()
        yield from store.restricted.strays()
        for folder in (store.dir.root, store.dir.snapshots, store.dir.channels):
            yield from folder.glob(f".*{TEMP_SUFFIX}")
        yield from (file for file in store.blobs.files() if file.name.endswith(TEMP_SUFFIX))
