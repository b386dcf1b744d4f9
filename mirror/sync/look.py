"""Look at the boot sources without taking anything: what would a selection bring, what is there.

Nothing that a later sync relies on is remembered.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from mirror.model import Problem  # noqa: TC001  (msgspec looks at it)
from mirror.sync.available import store_available
from mirror.sync.result import problem, version_names
from mirror.sync.situation import Situation, SyncOptions, Tools
from mirror.sync.take import Judge, Needs, VersionKey, find_needs

if TYPE_CHECKING:
    from mirror.errors import MirrorError
    from mirror.model import Selection, Snapshot
    from mirror.sync.events import Emit
    from mirror.sync.plan import Plan, Planned
    from mirror.sync.sources import SourcesRead


class SelectionPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a selection would change about the next sync.

    `files` of together `bytes` would be fetched besides those that come anyway. `added` and
    `dropped` are versions, as `PRODUCT VERSION`. `sources` are those that could not be read: what
    they have is not counted.
    """

    files: int = 0
    bytes: int = 0
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    sources: tuple[Problem, ...] = ()


async def preview(
    tools: Tools, channel: str, selections: tuple[Selection, ...], emit: Emit
) -> SelectionPreview:
    """Compare the next sync of the channel with one for `selections`; the sources are read once.

    Raises `NothingSelected` where there is no enabled boot source.
    """
    situation, sources = await _read(tools, channel, emit)
    return await asyncio.to_thread(_compare, situation, sources, selections)


async def list_offers(tools: Tools, channel: str, emit: Emit) -> tuple[Problem, ...]:
    """Bring the list of available images up to date; return which sources could not be read.

    Raises `NothingSelected` where there is no enabled boot source.
    """
    situation, sources = await _read(tools, channel, emit)
    await asyncio.to_thread(_list, situation, sources)
    return _problems(sources)


async def _read(tools: Tools, channel: str, emit: Emit) -> tuple[Situation, SourcesRead]:
    situation = await asyncio.to_thread(Situation.find, tools, SyncOptions(channel=channel))
    return situation, await situation.read(situation.chosen, frozenset(), emit)


def _compare(
    situation: Situation, sources: SourcesRead, selections: tuple[Selection, ...]
) -> SelectionPreview:
    snapshot = situation.snapshot()
    published = situation.published(sources, snapshot)
    judge = Judge(situation.tools.catalog, situation.tools.plugins)
    (before, had), (after, needs) = (
        _planned(situation, sources, snapshot, published, selections=chosen, judge=judge)
        for chosen in (situation.selections, selections)
    )
    anyway = {wanted.sha256 for _, wanted in had.missing}
    more = [wanted for _, wanted in needs.missing if wanted.sha256 not in anyway]
    old, new = version_names(before.products), version_names(after.products)
    return SelectionPreview(
        files=len(more),
        bytes=sum(wanted.size for wanted in more),
        added=tuple(sorted(new - old)),
        dropped=tuple(sorted(old - new)),
        sources=_problems(sources),
    )


def _planned(
    situation: Situation,
    sources: SourcesRead,
    snapshot: Snapshot | None,
    published: dict[str, Planned],
    *,
    selections: tuple[Selection, ...],
    judge: Judge,
) -> tuple[Plan, Needs]:
    """Plan without what earlier syncs found to be bad."""
    here = frozenset(ref.sha256 for ref in snapshot.files.values()) if snapshot else frozenset()
    condemned: dict[VersionKey, MirrorError] = {}
    while True:
        plan = situation.plan(sources, published, selections=selections, condemned=condemned)
        failed = judge.condemned(plan.products)
        if not failed:
            blobs = situation.tools.store.blobs
            return plan, find_needs(plan.products, sources.offers, here, blobs)
        condemned |= failed


def _list(situation: Situation, sources: SourcesRead) -> None:
    published = situation.published(sources, situation.snapshot())
    plan = situation.plan(sources, published)
    store_available(
        situation.tools.catalog,
        plan.considered,
        {offer.source.name for offer in sources.offers},
        [source.name for source in situation.configured],
        published=published,
    )


def _problems(sources: SourcesRead) -> tuple[Problem, ...]:
    return tuple(problem(name, error) for name, error in sources.problems.items())
