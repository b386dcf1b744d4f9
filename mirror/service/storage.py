"""Bytes at rest: how many, check them, drop what nothing needs."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta  # (msgspec looks at them)
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.tallies import CORRUPT_BLOBS, GC_BLOBS, GC_BYTES
from mirror.errors import Busy, MirrorError, StoreError
from mirror.model import utcnow
from mirror.publish.retention import Fate  # noqa: TC001  (msgspec looks at it)
from mirror.store.gc import Dropped  # noqa: TC001  (msgspec looks at it)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.service.mirror import Mirror
    from mirror.sync.events import Emit
    from mirror.sync.repair import RepairReport

_log = logging.getLogger(__name__)

_COUNTED = "blobs counted"
_COUNT_EVERY = timedelta(minutes=5)
_COLLECTED = "last gc"
_COLLECT_EVERY = timedelta(days=1)


class CleanReport(msgspec.Struct, frozen=True, kw_only=True):
    """What gc dropped, or would.

    `snapshots` says of each why it goes or stays. `dropped` are the `blobs` (of `bytes`) and the
    `strays` (unfinished files, of `stray_bytes`). `kept` blobs are reached by a snapshot that
    stays; `young` ones are not, and wait for the grace period.
    """

    dry_run: bool
    snapshots: tuple[Fate, ...]
    removed: int
    """How many of the snapshots go."""
    blobs: int
    bytes: int
    strays: int
    stray_bytes: int
    kept: int
    kept_bytes: int
    young: int
    young_bytes: int
    dropped: tuple[Dropped, ...]


class SnapshotSize(msgspec.Struct, frozen=True):
    """The bytes of the files of a snapshot, a shared file once."""

    id: str
    bytes: int


class StorageState(msgspec.Struct, frozen=True, kw_only=True):
    """How full the store is. `blobs` and `bytes` were counted at `counted`; the rest is as of now.

    `free` is what the mirror's user may still write; `min_free` what a sync leaves free.
    """

    blobs: int
    bytes: int
    counted: datetime
    free: int
    min_free: int
    snapshots: tuple[SnapshotSize, ...]
    channels: int


class _Counted(msgspec.Struct, frozen=True):
    at: datetime
    blobs: int
    bytes: int


class Storage:
    """The store of one mirror, as an operator sees it."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    async def verify(self, *, repair: bool, emit: Emit) -> RepairReport:
        """Read every blob that a snapshot names; with `repair`, get the bad ones again.

        Raises `Busy` while a sync runs, when it is to repair.
        """
        from mirror.sync.repair import repair_store

        mirror = self._mirror
        report = await repair_store(
            mirror.store,
            mirror.catalog,
            mirror.settings,
            plugins=lambda: mirror.plugins,
            repair=repair,
            emit=emit,
        )
        corrupt = len({each.sha256 for each in report.damaged})
        mirror.catalog.tallies.add({CORRUPT_BLOBS: corrupt})
        return report

    def expire(self) -> tuple[Fate, ...]:
        """Say of every snapshot whether the next gc drops it, and why; change nothing."""
        from mirror.service.retention import fates

        return fates(self._mirror)

    def gc(
        self, *, grace: timedelta | None = None, dry_run: bool = False, by: str = ""
    ) -> CleanReport:
        """Drop the snapshots that retention lets go, then the files that no snapshot needs.

        `by` is who asked ('' for the mirror itself, after a sync). Deletes only, so it needs no
        space. Raises `Busy` while a sync runs, and `SnapshotInvalid`.
        """
        from mirror.store.gc import collect
        from mirror.uploads.upload import PREFIX

        mirror = self._mirror
        chosen = mirror.settings.store.grace if grace is None else grace
        with nullcontext() if dry_run else self._alone():
            fates = self.expire()
            gone = [fate.snapshot for fate in fates if fate.goes]
            keep = set(mirror.custom_images.blobs_held())
            found = collect(
                mirror.store,
                grace=chosen,
                dry_run=dry_run,
                keep=keep,
                spared={f"{PREFIX}{each}" for each in mirror.uploading.jobs_under_way()},
                gone=gone,
            )
            if not dry_run:
                self._forget(found.removed, {fate.snapshot: fate.why for fate in fates}, by)
                mirror.catalog.tallies.add({GC_BLOBS: found.blobs, GC_BYTES: found.bytes})
        return CleanReport(
            dry_run=dry_run,
            snapshots=fates,
            removed=len(found.removed),
            blobs=found.blobs,
            bytes=found.bytes,
            strays=found.strays,
            stray_bytes=found.stray_bytes,
            kept=found.kept,
            kept_bytes=found.kept_bytes,
            young=found.young,
            young_bytes=found.young_bytes,
            dropped=found.dropped,
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no sync run, and no custom image be kept, meanwhile. Raises `Busy`."""
        from mirror.intake.keep import IMAGES_LOCK
        from mirror.store import content_lock
        from mirror.store.locks import file_lock

        with (
            content_lock(self._mirror.settings.data_dir),
            file_lock(self._mirror.dir.root / IMAGES_LOCK),
        ):
            yield

    def tidy(self, *, published: bool) -> None:
        """Do what gc does if there is cause: after a sync, which it never makes fail.

        Snapshots that retention lets go are cause enough; files that nothing needs, once a day.
        """
        try:
            due = published and self._is_gc_due()
            if due or any(fate.goes for fate in self.expire()):
                self.gc()
            elif published:
                self._count()
        except Busy:
            return  # the next sync runs already, and will tidy up
        except MirrorError as error:
            _log.warning("could not tidy up: %s. %s", error, error.remedy)

    def state(self) -> StorageState:
        """Return how full the store is. The blobs are counted at most every five minutes."""
        from mirror.store.space import free_bytes

        mirror = self._mirror
        counted = self._counted()
        return StorageState(
            blobs=counted.blobs,
            bytes=counted.bytes,
            counted=counted.at,
            free=free_bytes(mirror.settings.data_dir),
            min_free=int(mirror.settings.store.min_free),
            snapshots=tuple(
                SnapshotSize(name, facts.bytes) for name, facts in mirror.snapshots.facts().items()
            ),
            channels=len(mirror.channels.pointers()),
        )

    def _is_gc_due(self) -> bool:
        last = self._mirror.catalog.document(_COLLECTED, datetime)
        return last is None or utcnow() - last >= _COLLECT_EVERY

    def _forget(self, removed: tuple[str, ...], why: dict[str, str], by: str) -> None:
        from mirror.store.pulls import Pulls

        mirror = self._mirror
        snapshots = mirror.store.snapshots.ids()
        Pulls(mirror.dir.pulls).forget(snapshots)
        try:
            if snapshots:
                mirror.catalog.validations.prune(snapshots[0])
            for snapshot_id in removed:
                mirror.catalog.audit.record(
                    by or "retention", "snapshot.remove", snapshot_id, snapshot_id, why[snapshot_id]
                )
            mirror.catalog.store_document(_COLLECTED, utcnow())
            self._count()
        except StoreError as error:  # a disk that is still full: what is gone is gone all the same
            _log.warning("removed %s; not written down: %s", " ".join(removed) or "files", error)

    def _counted(self) -> _Counted:
        known = self._mirror.catalog.document(_COUNTED, _Counted)
        fresh = known is not None and utcnow() - known.at < _COUNT_EVERY
        return known if known is not None and fresh else self._count()

    def _count(self) -> _Counted:
        blobs = self._mirror.store.blobs
        sizes = [size for sha256 in blobs.hashes() if (size := blobs.size(sha256)) is not None]
        counted = _Counted(utcnow(), len(sizes), sum(sizes))
        self._mirror.catalog.store_document(_COUNTED, counted)
        return counted
