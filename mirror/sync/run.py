"""One sync, from boot sources to a published snapshot.

    read every source -> plan -> fetch -> validate -> (what failed is condemned: plan again)
    -> build -> save -> switch the channel -> remember

Nothing is remembered before the channel was switched: a process that is killed at any instant
leaves the old snapshot published, the bytes fetched so far, and a next sync that goes on from them.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from mirror.errors import Busy, ChannelHeld, IntegrityError, MirrorError, NothingSelected
from mirror.model import utcnow
from mirror.store import content_lock
from mirror.sync.available import store_available
from mirror.sync.build import build_snapshot
from mirror.sync.events import Note
from mirror.sync.guard import loss, too_much
from mirror.sync.pins import hold_of
from mirror.sync.resources import published_now, resource_rows
from mirror.sync.result import SyncResult, describe
from mirror.sync.situation import Situation, SyncOptions, Tools
from mirror.sync.sources import SourcesRead, merge, record_statuses, remember, source_states
from mirror.sync.take import Judge, Needs, VersionKey, fetch_needs, find_needs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mirror.model import Snapshot
    from mirror.plugin_manager import Plugins
    from mirror.store import Store
    from mirror.sync.events import Emit
    from mirror.sync.plan import Plan, Planned

__all__ = ["SyncOptions", "Tools", "run_sync"]

_LOCK_POLL = 0.5
"""Seconds between two looks at whether another process's sync is done."""


async def run_sync(tools: Tools, options: SyncOptions, emit: Emit) -> SyncResult:
    """Sync once and return what came of it; of a channel that is held, just that it is.

    Raises `NothingSelected`, `Busy`, `NoSpace`, `WouldDropTooMuch` and the like, and a source's
    error if none could be read. One bad version or source among others is in the result instead.
    """
    held = await asyncio.to_thread(_held, tools, options)
    if held is not None:
        return held
    async with _turn(tools, options, emit):
        return await _held_or_synced(tools, options, emit)


async def _held_or_synced(tools: Tools, options: SyncOptions, emit: Emit) -> SyncResult:
    """Sync, unless the channel was held while this sync waited for its turn."""
    held = await asyncio.to_thread(_held, tools, options)
    if held is not None:
        return held
    situation = await asyncio.to_thread(Situation.find, tools, options)
    if not situation.selections:
        raise NothingSelected("nothing is selected")
    return await _Sync(situation, emit).run()


def _held(tools: Tools, options: SyncOptions) -> SyncResult | None:
    pin = hold_of(tools.catalog.pins(options.channel))
    if pin is None or options.dry_run:
        return None
    return SyncResult(
        status="held",
        channel=options.channel,
        snapshot=tools.store.channels.current(options.channel) or "",
        reason=pin.reason,
    )


@asynccontextmanager
async def _turn(tools: Tools, options: SyncOptions, emit: Emit) -> AsyncIterator[None]:
    """Be the only sync of this data directory. The lock is the kernel's: SIGKILL frees it."""
    with ExitStack() as held:
        said = False
        while True:
            try:
                held.enter_context(content_lock(tools.settings.data_dir))
                break
            except Busy as busy:
                if not options.wait:
                    raise
                if not said:
                    emit(Note(f"waiting for its turn: {busy.what}"))
                said = True
            await asyncio.sleep(_LOCK_POLL)
        yield


class _Sync:
    """One sync under way."""

    def __init__(self, situation: Situation, emit: Emit) -> None:
        self._situation = situation
        self._tools = situation.tools
        self._options = situation.options
        self._emit = emit
        self._current = situation.current

    async def run(self) -> SyncResult:
        sources = await self._read()
        if not sources.offers:
            if sources.has_failed:
                raise _worst(sources.problems)
            return describe("unchanged", self._options.channel, sources, snapshot=self._current)
        snapshot = await asyncio.to_thread(self._situation.snapshot)
        published = await asyncio.to_thread(self._situation.published, sources, snapshot)
        plan, needs, judge = await self._settle(sources, snapshot, published)
        planned = judge.with_derived(plan.products)
        if not self._options.dry_run:
            self._current = await self._publish(sources, plan, planned, published, snapshot)
            await asyncio.to_thread(self._remember, sources, plan, planned)
        return self._result(sources, plan, needs, planned, published, judge=judge)

    async def _read(self) -> SourcesRead:
        """Read the sources: conditionally where the last sync took all, then all if any changed."""
        situation = self._situation
        settled = await asyncio.to_thread(situation.settled)
        sources = await situation.read(situation.chosen, settled, self._emit)
        if sources.offers and sources.unchanged:
            again = [each for each in situation.chosen if each.name in sources.unchanged]
            sources = merge(sources, await situation.read(again, frozenset(), self._emit))
        now = datetime.now(UTC)
        await asyncio.to_thread(record_statuses, self._tools.catalog, sources, now)
        return sources

    def _remember(self, sources: SourcesRead, plan: Plan, planned: list[Planned]) -> None:
        """Remember what was read; list what the sources offer and what the channel publishes."""
        catalog = self._tools.catalog
        settled = "" if plan.left_out else self._situation.settled_key(self._current)
        remember(catalog, sources, settled)
        enabled = [source.name for source in self._situation.configured]
        read = {offer.source.name for offer in sources.offers}
        store_available(catalog, plan.considered, read, enabled)
        if snapshots := self._tools.store.snapshots.ids():
            offered = (each.product for each in plan.considered)
            there = {
                (product.name, version.name)
                for product in chain(offered, (each.product for each in planned))
                for version in product.versions
            }
            catalog.validations.note_gone(there, snapshots[-1])
        if not catalog.resources.has(self._current):
            rows = resource_rows(planned, plan.notes, self._tools.plugins)
            catalog.resources.add(self._current, rows, keep=published_now(self._tools.store))

    async def _settle(
        self, sources: SourcesRead, snapshot: Snapshot | None, published: Mapping[str, Planned]
    ) -> tuple[Plan, Needs, Judge]:
        """Plan, fetch and validate until nothing more fails; each round condemns at least one."""
        tools = self._tools
        judge = await asyncio.to_thread(Judge, tools.catalog, tools.plugins)
        here = frozenset(ref.sha256 for ref in snapshot.files.values()) if snapshot else frozenset()
        condemned: dict[VersionKey, MirrorError] = {}
        first: Needs | None = None
        while True:
            plan = await asyncio.to_thread(
                self._situation.plan, sources, published, condemned=condemned
            )
            failed = _news(await asyncio.to_thread(judge.condemned, plan.products), condemned)
            if not failed:
                needs = await asyncio.to_thread(
                    find_needs, plan.products, sources.offers, here, tools.store.blobs
                )
                first = first or needs
                if self._options.dry_run:
                    return plan, first, judge
                await asyncio.to_thread(self._guard, plan, published)
                failed = await fetch_needs(
                    needs, sources.offers, tools.store, tools.settings, self._emit
                )
                judged = await judge.judge(plan.products, published, failed, tools)
                failed |= _news(judged, condemned)
            if not failed:
                return plan, first or needs, judge
            condemned |= failed

    def _guard(self, plan: Plan, published: Mapping[str, Planned]) -> None:
        """Raise `WouldDropTooMuch` where that was not accepted."""
        refusal = self._refusal(plan, published)
        if refusal is not None and not self._options.accept_drop:
            raise refusal

    def _refusal(self, plan: Plan, published: Mapping[str, Planned]) -> MirrorError | None:
        own = self._situation.own
        lost = loss(plan.products, published, plan.pinned, meant=own.known if own else ())
        return too_much(lost, self._tools.settings.sync.max_drop)

    async def _publish(
        self,
        sources: SourcesRead,
        plan: Plan,
        planned: list[Planned],
        published: Mapping[str, Planned],
        snapshot: Snapshot | None,
    ) -> str:
        """Publish the planned products, unless the channel has just these; return the snapshot."""
        if not planned:
            raise _nothing_to_publish(plan, self._tools.plugins)
        store, channel = self._tools.store, self._options.channel
        if _same(planned, published):
            return self._current
        fresh = await build_snapshot(
            planned,
            blobs=store.blobs,
            key=self._tools.key,
            parent=self._current,
            not_before=_newest(store, snapshot),
            sources=await asyncio.to_thread(source_states, sources, snapshot, store.blobs),
            notes=plan.notes,
        )
        snapshot_id = await asyncio.to_thread(store.snapshots.save, fresh)
        if hold_of(self._tools.catalog.pins(channel)):
            raise ChannelHeld(f"channel {channel!r} was held while this sync ran")
        # a promotion meanwhile is newer than what this sync set out from: it wins
        moved_to = partial(store.channels.switch, channel, snapshot_id, "sync", job=self._tools.job)
        await asyncio.to_thread(moved_to, expected=self._current)
        self._emit(Note(f"published {snapshot_id} on channel {channel}"))
        return snapshot_id

    def _result(
        self,
        sources: SourcesRead,
        plan: Plan,
        needs: Needs,
        planned: list[Planned],
        published: Mapping[str, Planned],
        *,
        judge: Judge,
    ) -> SyncResult:
        return describe(
            "planned" if self._options.dry_run else "published",
            self._options.channel,
            sources,
            snapshot=self._current,
            plan=plan,
            needs=needs,
            planned=planned,
            published=published,
            judged=judge.found,
            refusal=self._refusal(plan, published) if self._options.dry_run else None,
        )


def _same(planned: list[Planned], published: Mapping[str, Planned]) -> bool:
    """Say whether the channel publishes just these products, from just these sources."""
    return len(planned) == len(published) and all(
        each.product.name in published
        and each.source == published[each.product.name].source
        and each.product == published[each.product.name].product
        for each in planned
    )


def _news(
    judged: dict[VersionKey, MirrorError], condemned: Mapping[VersionKey, MirrorError]
) -> dict[VersionKey, MirrorError]:
    """Return what was not condemned before: such a version is planned because it is published."""
    return {name: error for name, error in judged.items() if name not in condemned}


def _newest(store: Store, snapshot: Snapshot | None) -> datetime:
    """Return the newest time published on any channel: what follows must be later."""
    times = (store.snapshots.newest_time(), snapshot.updated if snapshot else None)
    return max((time for time in times if time), default=utcnow())


def _worst(problems: Mapping[str, MirrorError]) -> MirrorError:
    """Return the error to end with: one of integrity before one of the network."""
    return min(problems.values(), key=lambda error: not isinstance(error, IntegrityError))


def _nothing_to_publish(plan: Plan, plugins: Plugins) -> MirrorError:
    """Say why: a product that no plugin claims is as good as not selected."""
    if plan.left_out:
        return plan.left_out[0].error
    said = "no product that the boot sources offer passes the selections and has a plugin"
    failed = [each.name for each in plugins.records if each.status == "failed"]
    if failed:
        remedy = "`mirror plugin list` says why, and what to do."
        return NothingSelected(f"{said}; not loaded: {', '.join(failed)}", remedy=remedy)
    return NothingSelected(
        said,
        remedy="Look at `mirror select list`; filters match keys such as release, arch and label. "
        "`mirror plugin list` shows whether there is a plugin for what you select.",
    )
