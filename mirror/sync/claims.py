"""Who provides what: the sources claim the products that are wanted of them."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import ClaimConflict, PluginError
from mirror.sync.contest import Contest, rank
from mirror.sync.offers import LeftOut
from mirror.sync.selecting import NOTHING, Rule, Wish, wish_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirror.api import Distribution
    from mirror.model import BootSource, Product
    from mirror.plugin_manager import Plugins
    from mirror.sync.offers import Offer, Planned

Key = tuple[str, str]
"""(source, product)."""


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A product that a source offers (or, `absent` this time, has published)."""

    product: Product
    source: BootSource
    distribution: Distribution | None
    wish: Wish
    absent: bool = False


class Claims:
    """What the sources offer, and which of them provides each product.

    `complete` names the sources that offer all that is wanted of them: what they don't list leaves.
    `winners` are by product name; `lost` says why a source may not provide a product that is wanted
    of it. `rejected` is what could not be read; `failures` says why no plugin has a product: one
    failed to look at it, or several claim it. Those that are wanted, or published, are `missed`.
    `notes` is what a person should know, by product name.
    """

    def __init__(
        self, rules: list[Rule], plugins: Plugins, published: Mapping[str, Planned]
    ) -> None:
        self.sources: dict[str, BootSource] = {}
        self.complete: set[str] = set()
        self.offered: dict[Key, Candidate] = {}
        self.winners: dict[str, Candidate] = {}
        self.lost: dict[Key, str] = {}
        self.rejected: dict[Key, list[LeftOut]] = {}
        self.failures: dict[str, PluginError] = {}
        self.missed: dict[str, LeftOut] = {}
        self.notes: defaultdict[str, list[str]] = defaultdict(list)
        self.contest = Contest({}, {})
        self._rules = rules
        self._plugins = plugins
        self._published = published

    def settle(self, offers: tuple[Offer, ...], absent: tuple[BootSource, ...]) -> None:
        """Let the sources claim what is wanted of them, the one with the highest priority first."""
        by_name = {offer.source.name: offer for offer in offers}
        for source in sorted([*absent, *(offer.source for offer in offers)], key=rank):
            self.sources[source.name] = source
            offer = by_name.get(source.name)
            if offer is not None and offer.complete:
                self.complete.add(source.name)
            for each in self._offers_of(offer) if offer else self._remains_of(source):
                self._enter(each)

    def _offers_of(self, offer: Offer) -> Iterator[Candidate]:
        name = offer.source.name
        for rejected in offer.rejected:
            failures = self.rejected.setdefault((name, rejected.product), [])
            failures.append(LeftOut(rejected.product, rejected.version, rejected.error))
        for product in offer.products:
            subject = product
            if not product.versions and (ours := self._ours(product.name, name)):
                subject = ours.product  # none of them could be read: ask about what is published
            distribution, wish = self.look_at(subject, name)
            candidate = Candidate(product, offer.source, distribution, wish)
            self.offered[name, product.name] = candidate
            yield candidate

    def _remains_of(self, source: BootSource) -> Iterator[Candidate]:
        for ours in self._published.values():
            if ours.source == source.name:
                distribution, wish = self.look_at(ours.product, source.name)
                yield Candidate(ours.product, source, distribution, wish, absent=True)

    def _enter(self, candidate: Candidate) -> None:
        product, source = candidate.product, candidate.source
        unclaimed = candidate.distribution is None
        kept = unclaimed and self._ours(product.name, source.name) is not None
        if not kept and (unclaimed or not candidate.wish.keep):
            return
        lost = self.contest.enter(product, source)
        if not lost:
            self.winners[product.name] = candidate
            return
        self.lost[source.name, product.name] = lost
        winner = self.winners.get(product.name)
        if winner is not None:
            order = "lower" if winner.source.priority > source.priority else "the same"
            note = f"also offered by {source.name!r}, of {order} priority"
            self.notes[product.name].append(note)

    def look_at(self, product: Product, source: str) -> tuple[Distribution | None, Wish]:
        """Return who claims a product and what is wanted of it.

        Nobody, where a plugin fails, or several claim it: `failures` has why.
        """
        try:
            distribution = self._plugins.claimant(product)
        except PluginError as error:
            return None, self._fail(product, source, error)
        try:
            return distribution, wish_for(product, source, self._rules, distribution)
        except Exception as error:  # noqa: BLE001  (a plugin's code: anything may come)
            who = distribution.id if distribution else ""
            what = f"product {product.name!r}: plugin {who!r} failed to look at it: {error!r}"
            return None, self._fail(product, source, PluginError(what))

    def _fail(self, product: Product, source: str, error: PluginError) -> Wish:
        """Remember why nobody has a product; return what would be wanted of it."""
        wish = self._wish_despite(product, source, error)
        self.failures[product.name] = error
        if wish.keep or product.name in self._published:
            self.missed[product.name] = LeftOut(product.name, "", error)
        return wish

    def _wish_despite(self, product: Product, source: str, error: PluginError) -> Wish:
        """Ask for each of those that claim the product: any of them may require it."""
        rivals: list[Distribution | None] = [None]
        if isinstance(error, ClaimConflict):
            rivals += self._plugins.claimants(product)
        wishes = [NOTHING]
        for each in rivals:
            with suppress(Exception):  # a plugin's code: anything may come
                wishes.append(wish_for(product, source, self._rules, each))
        return max(wishes, key=lambda wish: wish.keep)

    def _ours(self, product: str, source: str) -> Planned | None:
        """Return the product as it is published, if it came from this source."""
        ours = self._published.get(product)
        return ours if ours is not None and ours.source == source else None
