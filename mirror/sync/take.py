"""Take what a plan needs: find what is missing, fetch it, let plugins look at it.

What fails condemns the versions that need it; the rest goes on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from mirror.access.licences import needed_for, needs_any
from mirror.catalog.tallies import reason_of
from mirror.catalog.validations import Validation, content_digest, short
from mirror.errors import BlobMissing, DerivedRefused, FetchError, MirrorError
from mirror.images.names import CUSTOM_SOURCE
from mirror.model import VersionFindings
from mirror.simplestreams.collector import collector_paused
from mirror.store.space import require_space
from mirror.sync.derived import clashing_derived
from mirror.sync.events import Planned as PlannedEvent
from mirror.sync.fetch import FetchOptions, Wanted, fetch_files
from mirror.sync.http import open_session
from mirror.sync.validate import failure, judges, look_at, subjects, with_derived

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.catalog import Catalog
    from mirror.catalog.validations import Key
    from mirror.model import BootSource, Item, Version
    from mirror.plugin_manager import Plugins
    from mirror.settings import Settings
    from mirror.store import Store
    from mirror.store.blobs import Blobs
    from mirror.sync.events import Emit
    from mirror.sync.plan import Offer, Planned
    from mirror.sync.situation import Tools
    from mirror.sync.validate import Subject, Verdict

VersionKey = tuple[str, str]
"""(product, version)."""


class Needs(msgspec.Struct, frozen=True):
    """The blobs that a plan needs: those missing, and how much is here already.

    `users` names the versions that need each missing blob, by its sha256; `licences` says what one
    needs to have it.
    """

    missing: tuple[tuple[str, Wanted], ...]
    """(boot source, file)."""
    users: dict[str, list[VersionKey]]
    files_here: int
    bytes_here: int
    licences: dict[str, str] = {}

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
    licences: dict[str, str] = {}
    found: dict[str, int] = {}
    for each in planned:
        licence = needed_for(each.product)
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
                licences[sha256] = needs_any((licences.get(sha256, licence), licence))
    here_bytes = sum(found.values())
    return Needs(tuple(missing.values()), users, len(found), here_bytes, licences)


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
    # before anyone can ask for them by their digests
    await asyncio.to_thread(store.restricted.protect, needs.licences)
    emit(PlannedEvent(len(needs.missing), needs.bytes))
    failed: dict[VersionKey, MirrorError] = {}
    for offer in offers:
        wanted = [each for source, each in needs.missing if source == offer.source.name]
        if not wanted:
            continue
        if offer.complete:
            failed.update(_gone(wanted, needs))
            continue
        for sha256, error in await fetch_from(offer.source, wanted, store, settings, emit):
            failed.update(dict.fromkeys(needs.users[sha256], error))
    return failed


def _gone(wanted: Iterable[Wanted], needs: Needs) -> dict[VersionKey, MirrorError]:
    """Say of own images whose files are not here any more that there is nowhere to get them."""
    return {
        key: BlobMissing(
            f"{key[0]!r} {key[1]}: {each.path} is gone from the store",
            remedy="Put the image in again: `mirror image add`.",
        )
        for each in wanted
        for key in needs.users[each.sha256]
    }


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
    """What plugins think of versions: asked once, remembered in the catalogue.

    `found` is what was found this time, of each version that was looked at.
    """

    def __init__(self, catalog: Catalog, plugins: Plugins) -> None:
        self.found: list[VersionFindings] = []
        self._catalog = catalog
        self._plugins = plugins
        self._judges = judges(plugins)
        named = set(self._judges.values())
        self._known = catalog.validations.judged(named)
        self._bad = {each.key: each for each in catalog.validations.condemned(named)}
        self._seen: set[Key] = set()
        self._derived: dict[Key, tuple[Item, ...]] = {}

    def condemned(self, planned: Iterable[Planned]) -> dict[VersionKey, MirrorError]:
        """Return the versions in which an error was found in an earlier sync."""
        bad: dict[VersionKey, MirrorError] = {}
        for subject in subjects(_to_judge(planned), self._judges) if self._bad else ():
            known = self._bad.get(subject.key)
            error = failure(subject, known.findings) if known is not None else None
            if known is not None and known.judge == subject.judge and error is not None:
                bad[_name(subject)] = error
        return bad

    async def judge(
        self,
        planned: Iterable[Planned],
        published: Mapping[str, Planned],
        failed: Mapping[VersionKey, MirrorError],
        tools: Tools,
    ) -> dict[VersionKey, MirrorError]:
        """Let plugins look at what is new; return the versions that are condemned, and why."""
        planned = tuple(planned)
        news = await asyncio.to_thread(self._news, planned, published, failed)
        if not news:
            return {}
        verdicts = await look_at(news, self._plugins, tools.store, tools.settings.plugins)
        return await asyncio.to_thread(self._take, verdicts, planned)

    def _take(
        self, verdicts: list[tuple[Subject, Verdict]], planned: Iterable[Planned]
    ) -> dict[VersionKey, MirrorError]:
        """Remember the verdicts, and return what they condemn."""
        condemned: dict[VersionKey, MirrorError] = {}
        for subject, verdict in verdicts:
            self._seen.add(subject.key)
            self.found.append(VersionFindings(*_name(subject), verdict.findings))
            if verdict.error is not None:
                condemned[_name(subject)] = verdict.error
            else:
                self._derived[subject.key] = verdict.derived
        self._catalog.validations.record(
            Validation(*subject.key, subject.judge, verdict.findings)
            for subject, verdict in verdicts
            # a plugin that failed found nothing: it is asked again next time
            if verdict.error is None or verdict.findings
        )
        self._catalog.tallies.count_failures(
            (subject.judge.partition("=")[0], reason_of(verdict.error))
            for subject, verdict in verdicts
            if verdict.error is not None
        )
        return condemned | self._clashing(planned)

    def _clashing(self, planned: Iterable[Planned]) -> dict[VersionKey, MirrorError]:
        """Forget what was made now for paths that are taken; return the versions, condemned."""
        made = {key for key, items in self._derived.items() if items}
        condemned: dict[VersionKey, MirrorError] = {}
        for key, path in clashing_derived(self.with_derived(planned)) if made else ():
            if key in made:
                del self._derived[key]
                what = f"{key[0]!r} {key[1]}: the path of a derived item is taken: {path}"
                condemned[key[:2]] = DerivedRefused(what)
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
            for subject in subjects(_to_judge(planned), self._judges)
            if _name(subject) not in failed
            and subject.key not in self._seen
            and (short(*subject.key) not in self._known or _name(subject) not in old)
        ]

    def with_derived(self, planned: Iterable[Planned]) -> list[Planned]:
        """Return the planned products with the items that plugins made from theirs."""
        return [self._with_derived(each) for each in planned] if self._derived else list(planned)

    def _with_derived(self, planned: Planned) -> Planned:
        product = planned.product
        versions = tuple(
            self._version_with_derived(product.name, each) for each in product.versions
        )
        if all(new is old for new, old in zip(versions, product.versions, strict=True)):
            return planned
        changed = msgspec.structs.replace(product, versions=versions)
        return msgspec.structs.replace(planned, product=changed)

    def _version_with_derived(self, product: str, version: Version) -> Version:
        derived = self._derived.get((product, version.name, content_digest(version)))
        return version if derived is None else with_derived(version, derived)


def _to_judge(planned: Iterable[Planned]) -> Iterable[Planned]:
    """Yield what a sync lets plugins look at: own images were looked at when they were put in.

    That may take an hour for each, and what was found, the operator has seen.
    """
    return (each for each in planned if each.source != CUSTOM_SOURCE)


def _name(subject: Subject) -> VersionKey:
    return subject.product.name, subject.version.name
