"""One sync, from boot sources to a published snapshot.

    read every source -> plan -> fetch -> validate -> (what failed is condemned: plan again)
    -> build -> save -> switch the channel -> remember

Nothing is remembered before the channel was switched: a process that is killed at any instant
leaves the old snapshot published, the bytes fetched so far, and a next sync that goes on from them.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import Busy, IntegrityError, MirrorError, NotFound, NothingSelected
from mirror.model import Snapshot, utcnow
from mirror.store import content_lock
from mirror.sync.build import build_snapshot
from mirror.sync.events import Note
from mirror.sync.plan import Plan, Planned, make_plan
from mirror.sync.published import published_products
from mirror.sync.result import SyncResult, describe
from mirror.sync.sources import SourcesRead, merge, read_sources, remember, source_states
from mirror.sync.take import Judge, Needs, VersionKey, fetch_needs, find_needs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mirror.catalog import Catalog, SourceMemory
    from mirror.model import BootSource, Selection
    from mirror.plugin_manager import Plugins
    from mirror.settings import Settings
    from mirror.signing.key import SigningKey
    from mirror.store import Store
    from mirror.sync.events import Emit

_LOCK_POLL = 0.5
"""Seconds between two looks at whether another process's sync is done."""


@dataclass(frozen=True)
class Tools:
    """What a sync works with."""

    store: Store
    catalog: Catalog
    plugins: Plugins
    key: SigningKey
    settings: Settings


class SyncOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to sync. `only` names boot sources; the others stay as published."""

    channel: str = "stable"
    dry_run: bool = False
    accept_rollback: bool = False
    only: tuple[str, ...] = ()
    wait: bool = True
    """Wait for a sync of another process to end, instead of raising `Busy`."""


async def run_sync(tools: Tools, options: SyncOptions, emit: Emit) -> SyncResult:
    """Sync once and return what came of it.

    Raises `NothingSelected`, `Busy`, `NoSpace` and the like, and a source's error if none could be
    read. One bad version or source among others is in the result instead.
    """
    async with _turn(tools, options, emit):
        return await (await _Sync.begin(tools, options, emit)).run()


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
    """One sync under way. The values here are where it set out from; none of them changes."""

    def __init__(
        self,
        tools: Tools,
        options: SyncOptions,
        emit: Emit,
        configured: tuple[BootSource, ...],
        selections: tuple[Selection, ...],
    ) -> None:
        self._tools = tools
        self._options = options
        self._emit = emit
        self._configured = configured
        self._chosen = _choose(configured, options.only)
        self._selections = selections
        self._memories: dict[str, SourceMemory] = {
            source.name: tools.catalog.memory(source.name) for source in self._chosen
        }
        self._settled = _settled_key(configured, selections, tools.plugins, options.channel)
        self._current = tools.store.channels.current(options.channel) or ""

    @classmethod
    async def begin(cls, tools: Tools, options: SyncOptions, emit: Emit) -> _Sync:
        configured = [each for each in tools.catalog.sources() if each.enabled]
        selections = tools.catalog.selections()
        if not configured:
            raise NothingSelected("there is no enabled boot source")
        if not selections:
            raise NothingSelected("nothing is selected")
        return await asyncio.to_thread(
            cls, tools, options, emit, tuple(configured), tuple(selections)
        )

    async def run(self) -> SyncResult:
        sources = await self._read()
        if not sources.read:
            if sources.problems and not sources.unchanged:
                raise _worst(sources.problems)
            return describe("unchanged", self._options.channel, sources, snapshot=self._current)
        snapshot = await asyncio.to_thread(self._load)
        published = await asyncio.to_thread(self._published, sources, snapshot)
        plan, needs, judge = await self._settle(sources, snapshot, published)
        planned = judge.with_derived(plan.products)
        if not self._options.dry_run:
            self._current = await self._publish(sources, plan, planned, published, snapshot)
            settled = "" if plan.left_out else self._settled
            await asyncio.to_thread(remember, self._tools.catalog, sources, settled)
        return self._result(sources, plan, needs, planned, published)

    async def _read(self) -> SourcesRead:
        """Read the sources: conditionally where the last sync took all, then all if any changed."""
        settled = frozenset(
            name
            for name, memory in self._memories.items()
            if self._current and memory.settled == self._settled
        )
        sources = await self._read_some(self._chosen, settled)
        if not sources.read or not sources.unchanged:
            return sources
        again = [each for each in self._chosen if each.name in sources.unchanged]
        return merge(sources, await self._read_some(again, frozenset()))

    async def _read_some(
        self, chosen: tuple[BootSource, ...] | list[BootSource], conditional: frozenset[str]
    ) -> SourcesRead:
        return await read_sources(
            chosen,
            self._memories,
            conditional=conditional,
            now=datetime.now(UTC),
            accept_rollback=self._options.accept_rollback,
            stall=self._tools.settings.sync.stall_timeout.total_seconds(),
            emit=self._emit,
        )

    def _load(self) -> Snapshot | None:
        return self._tools.store.snapshots.load(self._current) if self._current else None

    def _published(self, sources: SourcesRead, snapshot: Snapshot | None) -> dict[str, Planned]:
        if snapshot is None:
            return {}
        offered = chain.from_iterable(offer.products for offer in sources.offers)
        return published_products(snapshot, self._tools.store.blobs, offered=offered)

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
            plan = await asyncio.to_thread(self._plan, sources, published, condemned)
            failed = await asyncio.to_thread(judge.condemned, plan.products)
            if not failed:
                needs = await asyncio.to_thread(
                    find_needs, plan.products, sources.offers, here, tools.store.blobs
                )
                first = first or needs
                if self._options.dry_run:
                    return plan, first, judge
                failed = await fetch_needs(
                    needs, sources.offers, tools.store, tools.settings, self._emit
                )
                failed |= await judge.judge(plan.products, published, failed, tools.store)
            if not failed:
                return plan, first or needs, judge
            condemned |= failed

    def _plan(
        self,
        sources: SourcesRead,
        published: Mapping[str, Planned],
        condemned: Mapping[VersionKey, MirrorError],
    ) -> Plan:
        read = {offer.source.name for offer in sources.offers}
        absent = frozenset(source.name for source in self._configured) - read
        return make_plan(
            sources.offers,
            self._selections,
            self._tools.plugins,
            published,
            absent=absent,
            condemned=condemned,
        )

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
            raise _nothing_to_publish(plan)
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
        await asyncio.to_thread(store.channels.switch, channel, snapshot_id, "sync")
        self._emit(Note(f"published {snapshot_id} on channel {channel}"))
        return snapshot_id

    def _result(
        self,
        sources: SourcesRead,
        plan: Plan,
        needs: Needs,
        planned: list[Planned],
        published: Mapping[str, Planned],
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
        )


def _choose(configured: tuple[BootSource, ...], only: tuple[str, ...]) -> tuple[BootSource, ...]:
    unknown = sorted(set(only) - {source.name for source in configured})
    if unknown:
        raise NotFound(f"there is no enabled boot source {unknown[0]!r}")
    return tuple(source for source in configured if not only or source.name in only)


def _settled_key(
    sources: tuple[BootSource, ...],
    selections: tuple[Selection, ...],
    plugins: Plugins,
    channel: str,
) -> str:
    """Name everything but the streams themselves that decides what a sync takes."""
    facts = msgspec.json.encode((sources, selections, plugins.versions, channel))
    return hashlib.sha256(facts).hexdigest()


def _same(planned: list[Planned], published: Mapping[str, Planned]) -> bool:
    """Say whether the channel publishes just these products, from just these sources."""
    return len(planned) == len(published) and all(
        each.product.name in published
        and each.source == published[each.product.name].source
        and each.product == published[each.product.name].product
        for each in planned
    )


def _newest(store: Store, snapshot: Snapshot | None) -> datetime:
    """Return the newest time published on any channel: what follows must be later."""
    ids = store.snapshots.ids()
    times = [datetime.strptime(ids[-1][:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)] if ids else []
    return max([*times, *([snapshot.updated] if snapshot else [])], default=utcnow())


def _worst(problems: Mapping[str, MirrorError]) -> MirrorError:
    """Return the error to end with: one of integrity before one of the network."""
    return min(problems.values(), key=lambda error: not isinstance(error, IntegrityError))


def _nothing_to_publish(plan: Plan) -> MirrorError:
    if plan.left_out:
        return plan.left_out[0].error
    return NothingSelected(
        "no product that the boot sources offer passes the selections",
        remedy="Look at `mirror select list`; filters match keys such as release, arch and label.",
    )
