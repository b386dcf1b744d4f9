"""Verify the store; fetch again, or let plugins derive again, what is damaged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from mirror.model import Problem  # noqa: TC001  (msgspec looks at it)
from mirror.store import content_lock
from mirror.store.verify import Damage, verify_store
from mirror.sync.events import FileFailed, Note
from mirror.sync.events import Planned as PlannedEvent
from mirror.sync.rederive import Lost, derive_again, find_derived
from mirror.sync.take import fetch_from
from mirror.sync.transfer import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mirror.catalog import Catalog
    from mirror.model import SourceState
    from mirror.plugin_manager import Plugins
    from mirror.settings import PluginSettings, Settings
    from mirror.store import Store
    from mirror.sync.events import Emit
    from mirror.sync.validate import Subject


class RepairReport(msgspec.Struct, frozen=True):
    """What verifying found, and what of it was made good again.

    `beyond` are the damaged blobs that no boot source has: our own metadata, or images of a source
    that was removed or no longer offers them. Those among them that a plugin made are in `problems`
    (about a path), with why it could not make them again.
    """

    blobs: int
    bytes: int
    damaged: tuple[Damage, ...]
    repaired: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def exit_status(self) -> int:
        """Return 4 while anything is damaged, else 0."""
        return 4 if len(self.repaired) < len(self.damaged) else 0


async def repair_store(
    store: Store,
    catalog: Catalog,
    settings: Settings,
    *,
    plugins: Callable[[], Plugins],
    repair: bool,
    emit: Emit,
) -> RepairReport:
    """Read every blob that a snapshot names; with `repair`, get the damaged ones again.

    What is not free and has lost its mark is marked again in any case.

    A corrupt blob is deleted before it is replaced: no reader gets wrong bytes in the meantime.
    `plugins` is called only where one of them made what is damaged. Raises `Busy` while a sync
    runs, when it is to repair, and what `plugins` does.
    """
    if not repair:
        return await _verify(store, emit)
    with content_lock(settings.data_dir):
        report = await _verify(store, emit)
        if not report.damaged:
            return report
        lost = await asyncio.to_thread(find_derived, report.damaged, store)
        loaded = plugins() if lost else None
        fetchable = [each for each in report.damaged if each.sha256 not in lost]
        mended = await _fetch(fetchable, store, catalog, settings, emit)
        problems: tuple[Problem, ...] = ()
        if loaded is not None:
            unusable = {each.sha256 for each in fetchable} - mended
            problems = await _derive(
                lost, unusable, loaded, store, catalog, settings=settings.plugins
            )
            mended |= {each for each in lost if store.blobs.has(each)}
        damaged = [each.sha256 for each in report.damaged]
        return msgspec.structs.replace(
            report,
            repaired=tuple(each for each in damaged if each in mended),
            beyond=tuple(each for each in damaged if each not in mended),
            problems=problems,
        )


async def _verify(store: Store, emit: Emit) -> RepairReport:
    found = await asyncio.to_thread(verify_store, store)
    hidden_anew = await asyncio.to_thread(store.restore_marks)
    if hidden_anew:
        emit(Note(f"{hidden_anew} blobs that are not free had no mark; they have now", "warning"))
    for damage in found.damaged:
        emit(Note(f"{damage.problem}: {damage.path} (blob {damage.sha256})", level="error"))
    return RepairReport(found.blobs, found.bytes, found.damaged)


async def _fetch(
    damaged: Iterable[Damage], store: Store, catalog: Catalog, settings: Settings, emit: Emit
) -> set[str]:
    """Fetch what a boot source has; return the digests of what is whole again."""
    sources = {each.name: each for each in catalog.sources()}
    states = await asyncio.to_thread(_states, store, damaged)
    by_source: dict[str, list[Wanted]] = {}
    for damage in damaged:
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
    return {each.sha256 for each in everything if store.blobs.has(each.sha256)}


async def _derive(
    lost: Lost,
    unusable: set[str],
    plugins: Plugins,
    store: Store,
    catalog: Catalog,
    *,
    settings: PluginSettings,
) -> tuple[Problem, ...]:
    """Let plugins derive what is lost; return why what could not be had again."""
    problems, subjects = await derive_again(lost, unusable, plugins, store, settings)
    if subjects:
        await asyncio.to_thread(_look_again, subjects, catalog)
    return tuple(problems.values())


def _look_again(subjects: Iterable[Subject], catalog: Catalog) -> None:
    """Let the next sync derive from these versions anew, though nothing else has changed."""
    catalog.validations.forget(each.key for each in subjects)
    catalog.remember(
        {
            source.name: msgspec.structs.replace(catalog.memory(source.name), settled="")
            for source in catalog.sources()
        }
    )


def _states(store: Store, damaged: Iterable[Damage]) -> dict[str, dict[str, SourceState]]:
    return {
        snapshot: store.snapshots.load(snapshot).sources
        for snapshot in {damage.snapshot for damage in damaged}
    }
