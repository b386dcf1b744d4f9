"""Garbage collection: keep what a snapshot reaches, drop the rest when it is old enough.

Only deletes, so it works on a full disk. A blob counts as young from its last adoption: what a sync
fetched before it was stopped stays for the next one, for the grace period.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import SnapshotInvalid
from mirror.store.durable import TEMP_SUFFIX, disk_errors
from mirror.store.incoming import remove
from mirror.store.reach import references

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import timedelta
    from pathlib import Path

    from mirror.store.store import Store


class GcReport(msgspec.Struct, frozen=True):
    """What was dropped, or would be: `blobs` that hold `bytes`, and `strays` (unfinished files).

    `kept` blobs are reached by a snapshot; `young` ones are not, and wait for the grace period.
    """

    blobs: int
    bytes: int
    strays: int
    kept: int
    young: int


def collect(
    store: Store,
    *,
    grace: timedelta,
    dry_run: bool = False,
    keep: Iterable[str] = (),
    now: datetime | None = None,
) -> GcReport:
    """Drop blobs that no snapshot reaches and `keep` does not name, and unfinished files.

    Both only when last written more than `grace` ago. The caller holds the content lock. Raises
    SnapshotInvalid, before anything is dropped, when a snapshot does not say what it reaches.
    """
    limit = ((now or datetime.now(UTC)) - grace).timestamp()
    reached = _mark(store) | set(keep)
    strays = [file for file in _strays(store) if _is_older(file, limit)]
    doomed, young = _unreached(store, reached, limit)
    if not dry_run:
        for sha256, _ in doomed:
            store.blobs.delete(sha256)
        for stray in strays:
            remove(stray)
    return GcReport(
        blobs=len(doomed),
        bytes=sum(size for _, size in doomed),
        strays=len(strays),
        kept=sum(1 for sha256 in store.blobs.hashes() if sha256 in reached),
        young=young,
    )


def _mark(store: Store) -> set[str]:
    reached: set[str] = set()
    for snapshot_id in store.snapshots.ids():
        try:
            snapshot = store.snapshots.load(snapshot_id)
        except SnapshotInvalid as error:
            raise SnapshotInvalid(
                f"{error}: nothing was dropped, for it is not known what it reaches",
                remedy=f"Remove it (`mirror snapshot remove {snapshot_id}`), then run gc again.",
            ) from error
        reached.update(ref.sha256 for _, ref in references(snapshot))
    return reached


def _unreached(store: Store, reached: set[str], limit: float) -> tuple[list[tuple[str, int]], int]:
    doomed, young = [], 0
    for sha256 in store.blobs.hashes():
        if sha256 in reached:
            continue
        path = store.blobs.path(sha256)
        with disk_errors(path), suppress(FileNotFoundError):
            stat = path.stat()
            if stat.st_mtime < limit:
                doomed.append((sha256, stat.st_size))
            else:
                young += 1
    return doomed, young


def _strays(store: Store) -> Iterator[Path]:
    with disk_errors(store.dir.root):
        yield from store.dir.incoming.iterdir()
        yield from store.snapshots.orphans()
        for folder in (store.dir.root, store.dir.snapshots, store.dir.channels):
            yield from folder.glob(f".*{TEMP_SUFFIX}")
        yield from (file for file in store.blobs.files() if file.name.endswith(TEMP_SUFFIX))


def _is_older(file: Path, limit: float) -> bool:
    with suppress(FileNotFoundError):
        return file.lstat().st_mtime < limit
    return False
