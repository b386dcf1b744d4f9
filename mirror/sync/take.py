"""Take what a plan needs: find what is missing, fetch it, let plugins look at it.

What fails condemns the versions that need it; the rest goes on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import FetchError, MirrorError
from mirror.simplestreams.collector import collector_paused
from mirror.store.space import require_space
from mirror.sync.events import Planned as PlannedEvent
from mirror.sync.fetch import FetchOptions, Wanted, fetch_files
from mirror.sync.http import open_session
from mirror.sync.validate import failure, look_at, subjects, with_derived

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.catalog import Catalog
    from mirror.model import BootSource, Finding, Item
    from mirror.plugin_manager import Plugins
    from mirror.settings import Settings
    from mirror.store import Store
    from mirror.store.blobs import Blobs
    from mirror.sync.events import Emit
    from mirror.sync.plan import Offer, Planned
    from mirror.sync.validate import Subject, Verdict

VersionKey = tuple[str, str]
"""(product, version)."""


class Needs(msgspec.Struct, frozen=True):
    """The blobs that a plan needs: those missing, and how much is here already.

    `users` names the versions that need each missing blob, by its sha256.
    """

    missing: tuple[tuple[str, Wanted], ...]
    """(boot source, file)."""
    users: dict[str, list[VersionKey]]
    files_here: int
    bytes_here: int

    @property
    def bytes(self) -> int:
        """Return the bytes that are missing."""
        return sum(wanted.size for _, wanted in self.missing)


@collector_paused()
def find_needs(
    planned: Iterable[Planned], offers: Iterable[Offer], here: frozenset[str], blobs: Blobs
) -> Needs:
    """Find what is missing; the blobs `here` (the last snapshot's) are not looked up again."""
    bases = {offer.source.name: offer.base_url for offer in offers}
    missing: dict[str, tuple[str, Wanted]] = {}
    users: dict[str, list[VersionKey]] = {}
    found: dict[str, int] = {}
    for each in planned:
        for version in each.product.versions:
            for item in version.items:
                sha256 = item.sha256
                if sha256 in here or (sha256 not in missing and blobs.has(sha256)):
                    found[sha256] = item.size
                    continue
                users.setdefault(sha256, []).append((each.product.name, version.name))
                url = bases.get(each.source, "") + item.path
                wanted = Wanted(sha256, item.size, item.path, url)
                missing.setdefault(sha256, (each.source, wanted))
    return Needs(tuple(missing.values()), users, len(found), sum(found.values()))


async def fetch_needs(
    needs: Needs, offers: Iterable[Offer], store: Store, settings: Settings, emit: Emit
) -> dict[VersionKey, MirrorError]:
    """Fetch what is missing; return the versions that lack a file, and why.

    Raises `NoSpace` before the first byte when it would not fit.
    """
    if not needs.missing:
        return {}
    await asyncio.to_thread(
        require_space, store.incoming.root, needs.bytes, int(settings.store.min_free)
    )
    emit(PlannedEvent(len(needs.missing), needs.bytes))
    failed: dict[VersionKey, MirrorError] = {}
    for offer in offers:
        wanted = [each for source, each in needs.missing if source == offer.source.name]
        if not wanted:
            continue
        for sha256, error in await fetch_from(offer.source, wanted, store, settings, emit):
            failed.update(dict.fromkeys(needs.users[sha256], error))
    return failed


async def fetch_from(
    source: BootSource, wanted: list[Wanted], store: Store, settings: Settings, emit: Emit
) -> list[tuple[str, MirrorError]]:
    """Fetch files of one source; return the digests of those that could not be had, and why."""
    chosen = settings.sync
    options = FetchOptions(
        connections=chosen.connections,
        attempts=chosen.attempts,
        low_speed=int(chosen.low_speed),
        low_speed_time=chosen.low_speed_time.total_seconds(),
    )
    stall = chosen.stall_timeout.total_seconds()
    try:
        async with open_session(source, stall=stall) as http:
            failures = await fetch_files(wanted, http, store, options=options, emit=emit)
    except FetchError as error:
        return [(each.sha256, error) for each in wanted if not store.blobs.has(each.sha256)]
    return [(failed.wanted.sha256, failed.error) for failed in failures]


class Judge:
    """What plugins think of versions: asked once, remembered in the catalogue."""

    def __init__(self, catalog: Catalog, plugins: Plugins) -> None:
        self._catalog = catalog
        self._plugins = plugins
        self._known: dict[str, list[Finding]] = catalog.findings()
        self._derived: dict[VersionKey, tuple[Item, ...]] = {}

    def condemned(self, planned: Iterable[Planned]) -> dict[VersionKey, MirrorError]:
        """Return the versions in which an error was found in an earlier sync."""
        known = (
            (subject, failure(subject, self._known[subject.key]))
            for subject in subjects(planned, self._plugins)
            if subject.key in self._known
        )
        return {_name(subject): error for subject, error in known if error is not None}

    async def judge(
        self,
        planned: Iterable[Planned],
        published: Mapping[str, Planned],
        failed: Mapping[VersionKey, MirrorError],
        store: Store,
    ) -> dict[VersionKey, MirrorError]:
        """Let plugins look at what is new; return the versions that are condemned, and why."""
        news = await asyncio.to_thread(self._news, planned, published, failed)
        if not news:
            return {}
        with store.incoming.scratch() as scratch:
            verdicts = await look_at(news, store.blobs, scratch)
        await asyncio.to_thread(self._remember, verdicts)
        condemned: dict[VersionKey, MirrorError] = {}
        for subject in news:
            verdict = verdicts[subject.key]
            if verdict.error is not None:
                condemned[_name(subject)] = verdict.error
            elif verdict.derived:
                self._derived[_name(subject)] = verdict.derived
        return condemned

    def _news(
        self,
        planned: Iterable[Planned],
        published: Mapping[str, Planned],
        failed: Mapping[VersionKey, MirrorError],
    ) -> list[Subject]:
        """Return what no plugin has looked at yet, or what is to be derived from again."""
        old = {
            (name, version.name)
            for name, each in published.items()
            for version in each.product.versions
        }
        return [
            subject
            for subject in subjects(planned, self._plugins)
            if _name(subject) not in failed
            and (subject.key not in self._known or _name(subject) not in old)
        ]

    def with_derived(self, planned: Iterable[Planned]) -> list[Planned]:
        """Return the planned products with the items that plugins made from theirs."""
        return [self._with_derived(each) for each in planned]

    def _with_derived(self, planned: Planned) -> Planned:
        product = planned.product
        versions = tuple(
            with_derived(version, self._derived.get((product.name, version.name), ()))
            for version in product.versions
        )
        if versions == product.versions:
            return planned
        changed = msgspec.structs.replace(product, versions=versions)
        return msgspec.structs.replace(planned, product=changed)

    def _remember(self, verdicts: Mapping[str, Verdict]) -> None:
        """Keep what was found. A plugin that failed found nothing: it is asked again next time."""
        found = {
            key: verdict.findings
            for key, verdict in verdicts.items()
            if verdict.error is None or verdict.findings
        }
        self._known.update(found)
        self._catalog.record_findings(found)


def _name(subject: Subject) -> VersionKey:
    return subject.product.name, subject.version.name
