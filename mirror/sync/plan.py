"""What the next snapshot will hold: a pure function of offers, selections and what is published.

For each product, by name:

- It is wanted when it passes a selection, or when its distribution requires it (bootloaders).
- Where several sources offer an image that is wanted of them, the one with the highest priority
  provides it (`contest`). One that could not be read this time keeps what it won before.
- The newest `keep` versions are taken, of those offered and those published: a version that the
  source no longer lists stays until newer ones push it out, unless it is newer than everything
  that is listed: then the source withdrew it, and so do we.
- A pinned product is published in just that version, wherever that can still be had.
- A version that is condemned (it could not be fetched, or failed validation) is left out, and the
  published ones fill its place.
- A product that vanished from its source, or that no plugin claims any more, is kept as published.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import MirrorError, PluginError
from mirror.simplestreams.collector import collector_paused
from mirror.sync.clashes import clashing_versions
from mirror.sync.contest import Contest, rank
from mirror.sync.offers import Condemned, Considered, LeftOut, Offer, Planned
from mirror.sync.pins import PinRules
from mirror.sync.selecting import NOTHING, Rule, Wish, make_rules, wish_for
from mirror.sync.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mirror.api import Distribution
    from mirror.model import BootSource, Pin, Product, Selection, Version
    from mirror.plugin_manager import Plugins
    from mirror.sync.pins import Elsewhere

__all__ = ["Condemned", "Considered", "LeftOut", "Offer", "Plan", "Planned", "make_plan"]


class Plan(msgspec.Struct, frozen=True):
    """The products of the next snapshot, what was left out, and what a person should know.

    `considered` is everything that the sources offer, with what became of it. `sought` are the
    (product, version) pairs that are pinned and neither offered nor published: older snapshots may
    have them. `pinned` are the products that a pin decides about.
    """

    products: tuple[Planned, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: dict[str, list[str]] = {}
    considered: tuple[Considered, ...] = ()
    sought: frozenset[tuple[str, str]] = frozenset()
    pinned: frozenset[str] = frozenset()


class _Candidate(msgspec.Struct, frozen=True, gc=False):
    """A product that a source offers (or, `absent` this time, has published)."""

    product: Product
    source: BootSource
    distribution: Distribution | None
    wish: Wish
    absent: bool = False


@collector_paused()
def make_plan(
    offers: Iterable[Offer],
    selections: Iterable[Selection],
    plugins: Plugins,
    published: Mapping[str, Planned],
    *,
    absent: Iterable[BootSource] = (),
    condemned: Condemned | None = None,
    pins: Iterable[Pin] = (),
    elsewhere: Elsewhere | None = None,
) -> Plan:
    """Plan the next snapshot.

    `published` is the last one, by product name; `absent` are the sources that could not be read
    this time: their products stay as published. Of `pins`, those with a version count;
    `elsewhere` holds pinned versions of older snapshots. Raises `FilterInvalid` and
    `ClaimConflict`.
    """
    offers, absent, selections, pins = tuple(offers), tuple(absent), tuple(selections), tuple(pins)
    everything = chain(
        chain.from_iterable(offer.products for offer in offers),
        (each.product for each in published.values()),
    )
    planning = _Planning(
        rules=make_rules(selections, everything),
        plugins=plugins,
        pins=PinRules(pins, elsewhere or {}),
        published=published,
        condemned=condemned or {},
    )
    planning.settle(offers, absent)
    planning.decide()
    clashes = clashing_versions(planning.products, published) if planning.anything_new else {}
    if clashes:
        return make_plan(
            offers,
            selections,
            plugins,
            published,
            absent=absent,
            condemned={**(condemned or {}), **clashes},
            pins=pins,
            elsewhere=elsewhere,
        )
    return planning.plan()


class _Planning:
    """The plan as it grows: `settle` who provides what, `decide` about each product, `plan`."""

    def __init__(
        self,
        rules: list[Rule],
        plugins: Plugins,
        pins: PinRules,
        published: Mapping[str, Planned],
        condemned: Condemned,
    ) -> None:
        self.products: list[Planned] = []
        self.anything_new = False
        self._rules = rules
        self._plugins = plugins
        self._pins = pins
        self._published = published
        self._condemned = condemned
        self._left_out: list[LeftOut] = []
        self._notes: defaultdict[str, list[str]] = defaultdict(list)
        self._reasons: dict[str, str] = {}
        self._sources: dict[str, BootSource] = {}
        self._rejected: dict[tuple[str, str], list[LeftOut]] = {}
        self._offered: dict[tuple[str, str], _Candidate] = {}
        self._lost: dict[tuple[str, str], str] = {}
        self._winners: dict[str, _Candidate] = {}
        self._contest = Contest({}, {})

    # --- who provides what ------------------------------------------------------------------------

    def settle(self, offers: tuple[Offer, ...], absent: tuple[BootSource, ...]) -> None:
        """Let the sources claim what is wanted of them, the one with the highest priority first."""
        by_name = {offer.source.name: offer for offer in offers}
        for source in sorted([*absent, *(offer.source for offer in offers)], key=rank):
            self._sources[source.name] = source
            offer = by_name.get(source.name)
            for each in self._offers_of(offer) if offer else self._remains_of(source):
                self._enter(each)

    def _offers_of(self, offer: Offer) -> Iterator[_Candidate]:
        name = offer.source.name
        for rejected in offer.rejected:
            failures = self._rejected.setdefault((name, rejected.product), [])
            failures.append(LeftOut(rejected.product, rejected.version, rejected.error))
        for product in offer.products:
            subject = product
            if not product.versions and (ours := self._ours(product.name, name)):
                subject = ours.product  # none of them could be read: ask about what is published
            distribution, wish = self._look_at(subject, name)
            candidate = _Candidate(product, offer.source, distribution, wish)
            self._offered[name, product.name] = candidate
            yield candidate

    def _remains_of(self, source: BootSource) -> Iterator[_Candidate]:
        for ours in self._published.values():
            if ours.source == source.name:
                distribution, wish = self._look_at(ours.product, source.name)
                yield _Candidate(ours.product, source, distribution, wish, absent=True)

    def _enter(self, candidate: _Candidate) -> None:
        product, source = candidate.product, candidate.source
        unclaimed = candidate.distribution is None
        kept = unclaimed and self._ours(product.name, source.name) is not None
        if not kept and (unclaimed or not candidate.wish.keep):
            return
        lost = self._contest.enter(product, source)
        if not lost:
            self._winners[product.name] = candidate
            return
        self._lost[source.name, product.name] = lost
        winner = self._winners.get(product.name)
        if winner is not None:
            order = "lower" if winner.source.priority > source.priority else "the same"
            note = f"also offered by {source.name!r}, of {order} priority"
            self._notes[product.name].append(note)

    def _look_at(self, product: Product, source: str) -> tuple[Distribution | None, Wish]:
        """Return who claims a product and what is wanted of it; a plugin that fails claims none."""
        try:
            distribution = self._plugins.claimant(product)
            return distribution, wish_for(product, source, self._rules, distribution)
        except MirrorError:
            raise
        except Exception as error:  # noqa: BLE001  (a plugin's code: anything may come)
            if product.name in self._published:
                failed = PluginError(f"a plugin failed to look at {product.name!r}: {error!r}")
                self._left_out.append(LeftOut(product.name, "", failed))
            return None, NOTHING

    def _ours(self, product: str, source: str) -> Planned | None:
        """Return the product as it is published, if it came from this source."""
        ours = self._published.get(product)
        return ours if ours is not None and ours.source == source else None

    # --- what is published of it ------------------------------------------------------------------

    def decide(self) -> None:
        """Decide about each product, by name."""
        for name in sorted({*self._winners, *self._published}):
            winner, ours = self._winners.get(name), self._published.get(name)
            if winner is None:
                self._leave_or_keep(self._published[name])
            elif winner.distribution is None:
                self._keep_unclaimed(self._published[name])
            elif winner.absent or not winner.product.versions:
                self._keep_of(winner, ours)
            else:
                self._take(winner, winner.distribution, ours)

    def _take(
        self, winner: _Candidate, distribution: Distribution, published: Planned | None
    ) -> None:
        """Plan a product that its source offers."""
        product, source = winner.product, winner.source.name
        failures = self._rejected.pop((source, product.name), [])
        self._left_out += failures
        newest = max(product.versions[-1].name, *(each.version for each in failures), "")
        stored = self._stored(winner, newest)
        pinned = self._pins.version_of(product)
        if pinned:
            version = self._only(pinned, product, distribution, published)
            chosen: tuple[Version, ...] = (version,) if version else ()
        else:
            listed = {version.name: version for version in winner.wish.passing}
            versions = Versions(
                product, distribution, self._condemned, listed=listed, stored=stored
            )
            chosen = versions.newest(winner.wish.keep)
            failures += self._heed(versions)
            if failures:
                self._reasons[product.name] = _why_left_out(failures)
        if chosen:
            kept = msgspec.structs.replace(product, versions=chosen)
            self.products.append(Planned(kept, source, distribution))
        elif published is not None and published.source in self._sources:
            self.products.append(msgspec.structs.replace(published, distribution=distribution))

    def _stored(self, winner: _Candidate, newest: str) -> dict[str, Version]:
        """Return the published versions that may stay beside what the source lists."""
        product, passing = winner.product, winner.wish.passing
        published = self._published.get(product.name)
        if published is None:
            return {}
        old = published.product.versions
        if published.source != winner.source.name:  # another source's builds do not mix with these
            listed = {version.name for version in product.versions}
            return {version.name: version for version in old if version.name in listed}
        unwanted: set[str] = set()
        if len(passing) < len(product.versions):
            unwanted = {version.name for version in product.versions}
            unwanted -= {version.name for version in passing}
        for version in old:
            if version.name > newest:
                self._notes[product.name].append(f"version {version.name} was withdrawn upstream")
        return {
            version.name: version
            for version in old
            if version.name <= newest and version.name not in unwanted
        }

    def _only(
        self,
        pinned: str,
        product: Product,
        distribution: Distribution,
        published: Planned | None,
    ) -> Version | None:
        """Return the version that a product is pinned to, or None: then it stays as it is."""
        name = product.name
        old = published.product.versions if published else ()
        versions = Versions(
            product,
            distribution,
            self._condemned,
            listed={version.name: version for version in product.versions},
            stored={version.name: version for version in old},
        )
        version = versions.only(pinned)
        self._heed(versions)
        if version is None:
            version = self._pins.from_elsewhere(name, pinned)
            self.anything_new |= version is not None
        if version is None:
            stays = "as it was" if old else "not published"
            missing = f"pinned to {pinned}, which can't be had: {stays}"
            self._notes[name].append(missing)
            self._reasons[name] = missing
        else:
            self._reasons[name] = f"pinned to {pinned}"
        return version

    def _heed(self, versions: Versions) -> list[LeftOut]:
        self._left_out += versions.left_out
        self.anything_new |= versions.anything_new
        return versions.left_out

    def _keep_of(self, winner: _Candidate, published: Planned | None) -> None:
        """Keep what is published of a source that could not be read, or not this product of it."""
        key = (winner.source.name, winner.product.name)
        failures = [] if winner.absent else self._rejected.pop(key, [])
        self._left_out += failures
        if failures:
            self._reasons[winner.product.name] = _why_left_out(failures)
        if published is not None and published.source in self._sources:
            self._keep(published, winner.distribution, winner.wish)

    def _leave_or_keep(self, published: Planned) -> None:
        """Let go what no selection wants, or another source provides; keep what has vanished."""
        name, source = published.product.name, published.source
        if source not in self._sources or (source, name) in self._offered:
            return
        if (source, name) in self._lost:
            return
        distribution, wish = self._look_at(published.product, source)
        if distribution is None:
            self._keep_unclaimed(published)
            return
        if not wish.keep or not self._contest.is_free_for(published.product, source):
            return
        if (source, name) not in self._rejected:
            self._notes[name].append("vanished upstream: kept as it was")
        self._keep(published, distribution, wish)

    def _keep(self, published: Planned, distribution: Distribution | None, wish: Wish) -> None:
        product = published.product
        pinned = self._pins.version_of(product) if distribution is not None else ""
        version = None
        if pinned and distribution is not None:
            unlisted = msgspec.structs.replace(product, versions=())
            version = self._only(pinned, unlisted, distribution, published)
        if version is not None:
            versions: tuple[Version, ...] = (version,)
        elif pinned:
            versions = product.versions
        else:
            versions = (wish.passing or product.versions)[-wish.keep :]
        kept = msgspec.structs.replace(product, versions=versions)
        self.products.append(Planned(kept, published.source, distribution))

    def _keep_unclaimed(self, published: Planned) -> None:
        """Keep a product whose plugin is gone: whether it is still wanted, only that could say."""
        self._notes[published.product.name].append("no plugin claims it now: kept as it was")
        self.products.append(published)

    # --- what came of it --------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Return the plan."""
        taken = {each.product.name: each.source for each in self.products}
        considered = tuple(self._considered(taken))
        for each in self._offered:
            self._rejected.pop(each, None)  # of what is not taken, rejections are nobody's business
        unreadable = chain.from_iterable(self._rejected.values())
        return Plan(
            products=tuple(self.products),
            left_out=(*self._left_out, *unreadable),
            notes=dict(self._notes),
            considered=considered,
            sought=frozenset(self._pins.sought),
            pinned=frozenset(self._pins.decided),
        )

    def _considered(self, taken: Mapping[str, str]) -> Iterator[Considered]:
        for (source, name), each in self._offered.items():
            is_taken = taken.get(name) == source
            reason = self._lost.get((source, name)) or self._reason(each)
            yield Considered(each.product, source, each.distribution, is_taken, reason)

    def _reason(self, candidate: _Candidate) -> str:
        product = candidate.product
        if self._winners.get(product.name) is candidate:
            return self._reasons.get(product.name, "")
        if candidate.distribution is None:
            note = "no plugin claims it: not taken"
            if candidate.wish.keep and note not in self._notes.get(product.name, ()):
                self._notes[product.name].append(note)
            return "no plugin claims it"
        if candidate.distribution.required(product) and candidate.wish == NOTHING:
            return "not selected: no selection brings the bootloaders of this source along"
        return "not selected"


def _why_left_out(failures: Iterable[LeftOut]) -> str:
    newest = max(failures, key=lambda each: each.version)
    return f"version {newest.version} is left out: {newest.error.what} [{newest.error.code}]"
