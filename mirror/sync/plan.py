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
- A product that vanished from its source, or that no plugin claims any more, is kept as published;
  so is one that two plugins claim, until `prefer` settles it. A new one of that kind is left out.
"""

from __future__ import annotations

from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import PluginError
from mirror.simplestreams.collector import collector_paused
from mirror.sync.claims import Candidate, Claims
from mirror.sync.clashes import clashing_versions
from mirror.sync.contest import image_of
from mirror.sync.offers import Condemned, Considered, LeftOut, Offer, Planned
from mirror.sync.pins import PinRules
from mirror.sync.selecting import NOTHING, Wish, make_rules
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
    `elsewhere` holds pinned versions of older snapshots. Raises `FilterInvalid`.
    """
    offers, absent, selections, pins = tuple(offers), tuple(absent), tuple(selections), tuple(pins)
    everything = chain(
        chain.from_iterable(offer.products for offer in offers),
        (each.product for each in published.values()),
    )
    claims = Claims(make_rules(selections, everything), plugins, published)
    claims.settle(offers, absent)
    planning = _Planning(claims, PinRules(pins, elsewhere or {}), published, condemned or {})
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
    """The plan as it grows: `decide` about each product, then `plan`."""

    def __init__(
        self,
        claims: Claims,
        pins: PinRules,
        published: Mapping[str, Planned],
        condemned: Condemned,
    ) -> None:
        self.products: list[Planned] = []
        self.anything_new = False
        self._claims = claims
        self._pins = pins
        self._published = published
        self._condemned = condemned
        self._left_out: list[LeftOut] = []
        self._notes = claims.notes
        self._reasons: dict[str, str] = {}
        self._gave_way: list[tuple[Planned, Distribution, Wish]] = []

    # --- what is published of it ------------------------------------------------------------------

    def decide(self) -> None:
        """Decide about each product, by name."""
        for name in sorted({*self._claims.winners, *self._published}):
            winner, ours = self._claims.winners.get(name), self._published.get(name)
            if winner is None:
                self._leave_or_keep(self._published[name])
            elif winner.distribution is None:
                self._keep_unclaimed(self._published[name])
            elif winner.absent or not winner.product.versions:
                self._keep_of(winner, ours)
            else:
                self._take(winner, winner.distribution, ours)
        self._take_back()

    def _take_back(self) -> None:
        """Keep what gave way to a source of which nothing can be published after all."""
        provided = {image_of(each.product) for each in self.products} if self._gave_way else set()
        for published, distribution, wish in self._gave_way:
            if image_of(published.product) not in provided:
                self._notes[published.product.name].append("kept: its new source has nothing good")
                self._keep(published, distribution, wish)

    def _take(
        self, winner: Candidate, distribution: Distribution, published: Planned | None
    ) -> None:
        """Plan a product that its source offers."""
        product, source = winner.product, winner.source.name
        failures = self._claims.rejected.pop((source, product.name), [])
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
        elif published is not None and published.source in self._claims.sources:
            self._keep_what_is_whole(published)

    def _keep_what_is_whole(self, published: Planned) -> None:
        """Keep what is published when nothing better can be: it is whole, whatever plugins say."""
        product = published.product
        whole = tuple(
            version
            for version in product.versions
            if isinstance(self._condemned.get((product.name, version.name)), PluginError | NoneType)
        )
        if whole:
            kept = msgspec.structs.replace(product, versions=whole)
            self.products.append(Planned(kept, published.source))

    def _stored(self, winner: Candidate, newest: str) -> dict[str, Version]:
        """Return the published versions that may stay beside what the source lists."""
        product, passing = winner.product, winner.wish.passing
        published = self._published.get(product.name)
        if published is None:
            return {}
        old = published.product.versions
        source = winner.source.name
        # another source's builds do not mix with these
        if published.source != source or source in self._claims.complete:
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

    def _keep_of(self, winner: Candidate, published: Planned | None) -> None:
        """Keep what is published of a source that could not be read, or not this product of it."""
        key = (winner.source.name, winner.product.name)
        failures = [] if winner.absent else self._claims.rejected.pop(key, [])
        self._left_out += failures
        if failures:
            self._reasons[winner.product.name] = _why_left_out(failures)
        if published is not None and published.source in self._claims.sources:
            self._keep(published, winner.distribution, winner.wish)

    def _leave_or_keep(self, published: Planned) -> None:
        """Let go what no selection wants, or another source provides; keep what has vanished."""
        name, source = published.product.name, published.source
        key = (source, name)
        if source not in self._claims.sources or source in self._claims.complete:
            return
        if key in self._claims.offered and key not in self._claims.lost:
            return
        distribution, wish = self._claims.look_at(published.product, source)
        if distribution is None:
            if key not in self._claims.lost:
                self._keep_unclaimed(published)
            return
        if not wish.keep:
            return
        if key in self._claims.lost or not self._claims.contest.is_free_for(
            published.product, source
        ):
            self._gave_way.append((published, distribution, wish))
            return
        if key not in self._claims.rejected:
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
        """Keep a product that no plugin has: whether it is still wanted, only that could say."""
        name = published.product.name
        failure = self._claims.failures.get(name)
        if failure is None:
            self._notes[name].append("no plugin claims it now: kept as it was")
        else:
            self._reasons[name] = f"kept as it was: {failure.what} [{failure.code}]"
            self._notes[name].append(f"kept as it was: {failure.what}")
        self.products.append(published)

    # --- what came of it --------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Return the plan."""
        self.products.sort(key=lambda each: each.product.name)
        taken = {each.product.name: each.source for each in self.products}
        considered = tuple(self._considered(taken))
        for each in self._claims.offered:
            # of what is not taken, rejections are nobody's business
            self._claims.rejected.pop(each, None)
        unreadable = chain.from_iterable(self._claims.rejected.values())
        return Plan(
            products=tuple(self.products),
            left_out=(*self._claims.missed.values(), *self._left_out, *unreadable),
            notes=dict(self._notes),
            considered=considered,
            sought=frozenset(self._pins.sought),
            pinned=frozenset(self._pins.decided),
        )

    def _considered(self, taken: Mapping[str, str]) -> Iterator[Considered]:
        for (source, name), each in self._claims.offered.items():
            is_taken = taken.get(name) == source
            reason = self._claims.lost.get((source, name)) or self._reason(each)
            yield Considered(each.product, source, each.distribution, is_taken, reason)

    def _reason(self, candidate: Candidate) -> str:
        product = candidate.product
        if self._claims.winners.get(product.name) is candidate:
            return self._reasons.get(product.name, "")
        if failure := self._claims.failures.get(product.name):
            wanted = candidate.wish.keep
            return f"left out: {failure.what} [{failure.code}]" if wanted else "not selected"
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
