"""Verify the store, and fetch again what is damaged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from mirror.store import content_lock
from mirror.store.verify import Damage, verify_store
from mirror.sync.events import FileFailed, Note
from mirror.sync.events import Planned as PlannedEvent
from mirror.sync.take import fetch_from
from mirror.sync.transfer import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.model import BootSource, SourceState
    from mirror.settings import Settings
    from mirror.store import Store
    from mirror.sync.events import Emit


class RepairReport(msgspec.Struct, frozen=True):
    """What verifying found, and what of it was made good again.

    `beyond` are the damaged blobs that no boot source has: our own metadata, or images of a source
    that was removed or no longer offers them.
    """

    blobs: int
    bytes: int
    damaged: tuple[Damage, ...]
    repaired: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """Return 4 while anything is damaged, else 0."""
        return 4 if len(self.repaired) < len(self.damaged) else 0


async def repair_store(
    store: Store,
    sources: Iterable[BootSource],
    settings: Settings,
    *,
    repair: bool,
    emit: Emit,
) -> RepairReport:
    """Read every blob that a snapshot names; with `repair`, fetch the damaged ones again.

    A corrupt blob is deleted before its replacement is fetched: no reader gets wrong bytes in the
    meantime. Raises `Busy` while a sync runs, when it is to repair.
    """
    if not repair:
        return await _verify(store, emit)
    with content_lock(settings.data_dir):
        report = await _verify(store, emit)
        if not report.damaged:
            return report
        return await _repair(store, {each.name: each for each in sources}, settings, report, emit)


async def _verify(store: Store, emit: Emit) -> RepairReport:
    found = await asyncio.to_thread(verify_store, store)
    for damage in found.damaged:
        emit(Note(f"{damage.problem}: {damage.path} (blob {damage.sha256})", level="error"))
    return RepairReport(found.blobs, found.bytes, found.damaged)


async def _repair(
    store: Store,
    sources: dict[str, BootSource],
    settings: Settings,
    report: RepairReport,
    emit: Emit,
) -> RepairReport:
    states = await asyncio.to_thread(_states, store, report.damaged)
    by_source: dict[str, list[Wanted]] = {}
    for damage in report.damaged:
        state = states[damage.snapshot].get(damage.source)
        if damage.source in sources and state is not None and damage.path:
            wanted = Wanted(damage.sha256, damage.size, damage.path, state.url + damage.path)
            by_source.setdefault(damage.source, []).append(wanted)
    everything = [wanted for each in by_source.values() for wanted in each]
    emit(PlannedEvent(len(everything), sum(wanted.size for wanted in everything)))
    for name, files in by_source.items():
        for each in files:
            await asyncio.to_thread(store.blobs.delete, each.sha256)
        for sha256, error in await fetch_from(sources[name], files, store, settings, emit):
            emit(FileFailed(sha256, error.code, error.what))
    mended = [each.sha256 for each in everything if store.blobs.has(each.sha256)]
    lost = [each.sha256 for each in report.damaged if each.sha256 not in set(mended)]
    return msgspec.structs.replace(report, repaired=tuple(mended), beyond=tuple(lost))


def _states(store: Store, damaged: Iterable[Damage]) -> dict[str, dict[str, SourceState]]:
    return {
        snapshot: store.snapshots.load(snapshot).sources
        for snapshot in {damage.snapshot for damage in damaged}
    }
