"""Where a sync sets out from: what was decided, what is remembered, what is published."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import NotFound, NothingSelected
from mirror.sync.own_images import own_images
from mirror.sync.plan import Plan, Planned, make_plan
from mirror.sync.published import find_versions, published_products
from mirror.sync.sources import SourcesRead, read_sources, with_own

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.catalog import Catalog, SourceMemory
    from mirror.model import BootSource, Pin, Selection, Snapshot, Version
    from mirror.plugin_manager import Plugins
    from mirror.settings import Settings
    from mirror.signing.key import SigningKey
    from mirror.store import Store
    from mirror.sync.events import Emit
    from mirror.sync.offers import Condemned
    from mirror.sync.own_images import OwnImages


@dataclass(frozen=True)
class Tools:
    """What a sync works with. `job` is what it is recorded as (0: it is not)."""

    store: Store
    catalog: Catalog
    plugins: Plugins
    key: SigningKey
    settings: Settings
    job: int = 0


class SyncOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to sync. `only` names boot sources; the others stay as published."""

    channel: str = "stable"
    dry_run: bool = False
    accept_rollback: bool = False
    accept_drop: bool = False
    """Publish even if much of what the channel has would be gone."""
    only: tuple[str, ...] = ()
    wait: bool = True
    """Wait for a sync of another process to end, instead of raising `Busy`."""


@dataclass(frozen=True)
class Situation:
    """What a sync starts with. None of it changes under way.

    `configured` are the enabled sources, `chosen` those to read this time; `current` is the
    channel's snapshot ('': it has none yet). The operator's `own` images are one more source.
    """

    tools: Tools
    options: SyncOptions
    configured: tuple[BootSource, ...]
    chosen: tuple[BootSource, ...]
    selections: tuple[Selection, ...]
    pins: tuple[Pin, ...]
    memories: Mapping[str, SourceMemory]
    current: str
    own: OwnImages | None = None

    @classmethod
    def find(cls, tools: Tools, options: SyncOptions) -> Situation:
        """Look it up. Raises `NothingSelected`, and `NotFound` for an unknown source of `only`."""
        catalog = tools.catalog
        own = own_images(catalog, tools.settings.images.keep)
        configured = tuple(each for each in catalog.sources() if each.enabled)
        if own is not None:
            configured = (*configured, own.source)
        if not configured:
            raise NothingSelected("there is no enabled boot source")
        chosen = _choose(configured, options.only)
        return cls(
            tools=tools,
            options=options,
            configured=configured,
            chosen=chosen,
            selections=_with_own(tuple(catalog.selections()), own),
            pins=tuple(catalog.pins(options.channel)),
            memories={source.name: catalog.memory(source.name) for source in chosen},
            current=tools.store.channels.current(options.channel) or "",
            own=own,
        )

    def settled_key(self, current: str) -> str:
        """Name everything but the streams that decides what a sync takes, and what came of it."""
        plugins = self.tools.plugins.versions
        own = self.own.offer.products if self.own else ()
        facts = (self.configured, self.selections, plugins, self.options.channel, self.pins, own)
        return hashlib.sha256(msgspec.json.encode((facts, current))).hexdigest()

    def settled(self) -> frozenset[str]:
        """Name the sources of which the last sync took all there was, into what is published."""
        key = self.settled_key(self.current)
        return frozenset(
            name for name, memory in self.memories.items() if self.current and memory.settled == key
        )

    async def read(
        self, sources: Iterable[BootSource], conditional: frozenset[str], emit: Emit
    ) -> SourcesRead:
        """Read sources; those named in `conditional` only if they changed."""
        sources = tuple(sources)
        own = self.own if self.own is not None and self.own.source in sources else None
        read = await read_sources(
            (each for each in sources if own is None or each is not own.source),
            self.memories,
            conditional=conditional,
            now=datetime.now(UTC),
            accept_rollback=self.options.accept_rollback,
            stall=self.tools.settings.sync.stall_timeout.total_seconds(),
            attempts=self.tools.settings.sync.attempts,
            emit=emit,
        )
        return read if own is None else with_own(read, own.offer, conditional)

    def snapshot(self) -> Snapshot | None:
        """Load what the channel publishes."""
        return self.tools.store.snapshots.load(self.current) if self.current else None

    def published(self, sources: SourcesRead, snapshot: Snapshot | None) -> dict[str, Planned]:
        """Return what the channel publishes, by product name."""
        if snapshot is None:
            return {}
        offered = chain.from_iterable(offer.products for offer in sources.offers)
        return published_products(snapshot, self.tools.store.blobs, offered=offered)

    def plan(
        self,
        sources: SourcesRead,
        published: Mapping[str, Planned],
        *,
        selections: tuple[Selection, ...] | None = None,
        condemned: Condemned | None = None,
    ) -> Plan:
        """Plan the next snapshot, with other selections if they are given.

        A pinned version that is neither offered nor published is looked for in older snapshots.
        """
        read = {offer.source.name for offer in sources.offers}

        def planned(elsewhere: Mapping[tuple[str, str], Version] | None) -> Plan:
            return make_plan(
                sources.offers,
                self.selections if selections is None else _with_own(selections, self.own),
                self.tools.plugins,
                published,
                absent=[source for source in self.configured if source.name not in read],
                condemned=condemned,
                pins=self.pins,
                elsewhere=elsewhere,
            )

        plan = planned(None)
        found = find_versions(plan.sought, self.tools.store) if plan.sought else {}
        return planned(found) if found else plan


def _with_own(selections: tuple[Selection, ...], own: OwnImages | None) -> tuple[Selection, ...]:
    return selections if own is None else (*selections, own.selection)


def _choose(configured: tuple[BootSource, ...], only: tuple[str, ...]) -> tuple[BootSource, ...]:
    unknown = sorted(set(only) - {source.name for source in configured})
    if unknown:
        raise NotFound(f"there is no enabled boot source {unknown[0]!r}")
    return tuple(source for source in configured if not only or source.name in only)
