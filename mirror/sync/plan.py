"""What the next snapshot will hold: a pure function of offers, selections and what is published.

For each product, by name:

- Where several sources offer it, the one with the highest priority wins.
- It is taken when a selection's filters pass, or when its distribution requires it (bootloaders).
- The newest `keep` versions are taken, of those offered and those published: a version that the
  source no longer lists stays until newer ones push it out, unless it is newer than everything
  that is listed: then the source withdrew it, and so do we.
- A version that is condemned (it could not be fetched, or failed validation) is left out, and the
  published ones fill its place.
- A product that vanished from its source, or that no plugin claims any more, is kept as published.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import MetadataInvalid, MirrorError, PathConflict, PluginError
from mirror.model import BootSource, Product, Selection, Version, flatten
from mirror.simplestreams.collector import collector_paused
from mirror.simplestreams.conflicts import conflicting_path, conflicting_paths
from mirror.simplestreams.filters import Filter, matches, parse_filter

if TYPE_CHECKING:
    from mirror.api import Distribution
    from mirror.plugin_manager import Plugins
    from mirror.simplestreams.conflicts import Rejected

Condemned = Mapping[tuple[str, str], MirrorError]
"""(product, version) -> why it can't be published."""


class Offer(msgspec.Struct, frozen=True):
    """What one boot source has, and what of it could not be read. `base_url` ends in a slash."""

    source: BootSource
    base_url: str
    products: tuple[Product, ...]
    rejected: tuple[Rejected, ...] = ()


class Planned(msgspec.Struct, frozen=True):
    """A product with just the versions and items to publish, and where it comes from.

    `distribution` is None for one that is kept although no plugin claims it.
    """

    product: Product
    source: str
    distribution: Distribution | None = None


class LeftOut(msgspec.Struct, frozen=True):
    """A version that was selected and can't be published."""

    product: str
    version: str
    error: MirrorError


class Plan(msgspec.Struct, frozen=True):
    """The products of the next snapshot, what was left out, and what a person should know."""

    products: tuple[Planned, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: dict[str, list[str]] = {}


class _Rule(msgspec.Struct, frozen=True):
    """A selection with its filters parsed.

    `shallow` says that no version or item has an attribute that they ask for: a look at the product
    is enough.
    """

    filters: tuple[Filter, ...]
    shallow: bool
    source: str
    keep: int


@collector_paused()
def make_plan(
    offers: Iterable[Offer],
    selections: Iterable[Selection],
    plugins: Plugins,
    published: Mapping[str, Planned],
    *,
    absent: frozenset[str] = frozenset(),
    condemned: Condemned | None = None,
) -> Plan:
    """Plan the next snapshot.

    `published` is the last one, by product name; `absent` are the sources that could not be read
    this time: their products stay as published. Raises `FilterInvalid` and `ClaimConflict`.
    """
    offers = list(offers)
    inner = _inner_attributes(offers, published)
    rules = [_rule(selection, inner) for selection in selections]
    offered, notes = _winners(offers)
    state = _State(rules, plugins, condemned or {}, _rejections(offers), notes)
    readable = frozenset(offer.source.name for offer in offers)
    for name in sorted({*offered, *published}):
        ours, theirs = published.get(name), offered.get(name)
        if theirs is not None:
            state.add(theirs, ours)
        elif ours is not None and ours.source in readable | absent:
            state.keep(ours, vanished=ours.source in readable)
    clashes = _clashes(state.products, published) if state.anything_new else {}
    if clashes:
        worse = {**(condemned or {}), **clashes}
        return make_plan(offers, selections, plugins, published, absent=absent, condemned=worse)
    return Plan(
        products=tuple(state.products),
        left_out=(*state.left_out, *state.unreadable()),
        notes=dict(notes),
    )


def _rejections(offers: Iterable[Offer]) -> dict[str, list[Rejected]]:
    rejections: dict[str, list[Rejected]] = {}
    for offer in offers:
        for each in offer.rejected:
            rejections.setdefault(each.product, []).append(each)
    return rejections


def _inner_attributes(offers: Iterable[Offer], published: Mapping[str, Planned]) -> set[str]:
    """Return the names of all attributes that a version or an item has of its own."""
    products = chain(
        chain.from_iterable(offer.products for offer in offers),
        (each.product for each in published.values()),
    )
    names = {"ftype", "path", "sha256", "size", "version_name", "item_name"}
    for product in products:
        for version in product.versions:
            names.update(version.attributes)
            for item in version.items:
                names.update(item.attributes)
    return names


def _rule(selection: Selection, inner: set[str]) -> _Rule:
    filters = tuple(parse_filter(text) for text in selection.filters)
    shallow = inner.isdisjoint(each.key for each in filters)
    return _Rule(filters=filters, shallow=shallow, source=selection.source, keep=selection.keep)


def _winners(offers: Iterable[Offer]) -> tuple[dict[str, Planned], defaultdict[str, list[str]]]:
    """Settle which source provides each product; the losers are noted."""
    winners: dict[str, Planned] = {}
    notes: defaultdict[str, list[str]] = defaultdict(list)
    for offer in sorted(offers, key=lambda each: (-each.source.priority, each.source.name)):
        name = offer.source.name
        for product in offer.products:
            winner = winners.setdefault(product.name, Planned(product=product, source=name))
            if winner.source != name:
                notes[product.name].append(f"also offered by {name!r}, of lower priority")
    return winners, notes


class _State:
    """The plan as it grows, one product at a time."""

    def __init__(
        self,
        rules: list[_Rule],
        plugins: Plugins,
        condemned: Condemned,
        rejected: dict[str, list[Rejected]],
        notes: defaultdict[str, list[str]],
    ) -> None:
        self.products: list[Planned] = []
        self.left_out: list[LeftOut] = []
        self.anything_new = False
        self._rules = rules
        self._plugins = plugins
        self._condemned = condemned
        self._rejected = rejected
        self._notes = notes

    def add(self, offered: Planned, published: Planned | None) -> None:
        """Plan a product that its source offers."""
        product = offered.product
        rejected = self._rejected.pop(product.name, [])
        failures = [LeftOut(product.name, each.version, each.error) for each in rejected]
        distribution = self._claimant(product, published)
        if distribution is None and published is not None:
            self._keep_unclaimed(published)
            return
        if distribution is None:
            if _selected(product, offered.source, self._rules, None)[0]:
                self._notes[product.name].append("no plugin claims it: not taken")
            return
        if not product.versions:  # none of them could be read
            self.left_out += failures
            if published is not None:
                self.keep(published, vanished=False)
            return
        keep, passing = _selected(product, offered.source, self._rules, distribution)
        if not keep:
            return
        self.left_out += failures
        newest = max(product.versions[-1].name, *(each.version for each in rejected), "")
        old = published.product.versions if published else ()
        for version in old:
            if version.name > newest:
                self._notes[product.name].append(f"version {version.name} was withdrawn upstream")
        stored = {version.name: version for version in old if version.name <= newest}
        listed = {version.name: version for version in passing}
        versions = self._versions(product, distribution, keep, listed, stored)
        if versions:
            kept = msgspec.structs.replace(product, versions=tuple(versions))
            self.products.append(Planned(kept, offered.source, distribution))

    def keep(self, published: Planned, *, vanished: bool) -> None:
        """Keep a product that its source does not offer (any more), if it is still selected."""
        product = published.product
        distribution = self._claimant(product, published)
        if distribution is None:
            self._keep_unclaimed(published)
            return
        keep, passing = _selected(product, published.source, self._rules, distribution)
        if not keep:
            return
        if vanished and product.name not in self._rejected:
            self._notes[product.name].append("vanished upstream: kept as it was")
        versions = tuple(passing[-keep:])
        kept = msgspec.structs.replace(product, versions=versions)
        self.products.append(Planned(kept, published.source, distribution))

    def unreadable(self) -> list[LeftOut]:
        """Return what is left of the rejections: products of which nothing could be read."""
        return [
            LeftOut(each.product, each.version, each.error)
            for rejections in self._rejected.values()
            for each in rejections
        ]

    def _keep_unclaimed(self, published: Planned) -> None:
        """Keep a product whose plugin is gone: whether it is still wanted, only that could say."""
        self._notes[published.product.name].append("no plugin claims it now: kept as it was")
        self.products.append(published)

    def _claimant(self, product: Product, published: Planned | None) -> Distribution | None:
        try:
            return self._plugins.claimant(product)
        except MirrorError:
            raise
        except Exception as error:  # noqa: BLE001  (a plugin's code: anything may come)
            if published is not None:
                failed = PluginError(f"a plugin failed to look at {product.name!r}: {error!r}")
                self.left_out.append(LeftOut(product.name, "", failed))
            return None

    def _versions(
        self,
        product: Product,
        distribution: Distribution,
        keep: int,
        listed: Mapping[str, Version],
        stored: Mapping[str, Version],
    ) -> list[Version]:
        """Return the newest `keep` versions that can be published, oldest first."""
        names = sorted({*listed, *stored}, reverse=True)
        good: list[Version] = []
        for name in names[:keep]:
            version = self._usable(product, distribution, listed.get(name), stored.get(name))
            good += [version] if version else []
        spare = [stored[name] for name in names[keep:] if name in stored]
        return [*good, *spare[: keep - len(good)]][::-1]

    def _usable(
        self,
        product: Product,
        distribution: Distribution,
        listed: Version | None,
        stored: Version | None,
    ) -> Version | None:
        if listed is None:
            return stored
        error = self._condemned.get((product.name, listed.name))
        if error is None:
            chosen = _choose(product, listed, distribution)
            if isinstance(chosen, Version):
                version = _with_derived(chosen, stored) if stored else chosen
                self.anything_new |= version is not stored
                return version
            error = chosen
        self.left_out.append(LeftOut(product.name, listed.name, error))
        return stored if stored and stored.items != listed.items else None


def _with_derived(chosen: Version, stored: Version) -> Version:
    """Return the chosen version with what was derived from its files, if they are the stored ones.

    It is the stored version itself where nothing about it changed.
    """
    own = stored.items[: len(chosen.items)]
    if own == chosen.items and stored.attributes == chosen.attributes:
        return stored
    digests = {item.name: item.sha256 for item in stored.items}
    if any(digests.pop(item.name, "") != item.sha256 for item in chosen.items):
        return chosen
    derived = tuple(item for item in stored.items if item.name in digests)
    return msgspec.structs.replace(chosen, items=(*chosen.items, *derived))


def _choose(
    product: Product, version: Version, distribution: Distribution
) -> Version | MirrorError:
    try:
        items = tuple(distribution.choose_items(product, version))
    except Exception as error:  # noqa: BLE001  (a plugin's code: anything may come)
        return PluginError(
            f"plugin {distribution.id!r} failed to choose items of {product.name!r} "
            f"{version.name}: {error!r}"
        )
    if items == version.items:
        return version
    if items:
        return msgspec.structs.replace(version, items=items)
    listed = ", ".join(item.name for item in version.items)
    return MetadataInvalid(
        f"{product.name!r} {version.name} lacks items that {distribution.id!r} needs "
        f"(it has: {listed})",
        remedy="The version was left out. Ask the publisher; the next sync looks again.",
    )


def _selected(
    product: Product, source: str, rules: list[_Rule], distribution: Distribution | None
) -> tuple[int, list[Version]]:
    """Return how many versions to keep, and those that pass, oldest first; (0, []) for none."""
    concerned = [rule for rule in rules if rule.source in ("", source)]
    if concerned and distribution is not None and distribution.required(product):
        return max(rule.keep for rule in concerned), list(product.versions)
    keep = 0
    names: set[str] = set()
    for rule in concerned:
        passing = _passing(product, rule)
        if passing:
            keep = max(keep, rule.keep)
            names.update(passing)
    return keep, [version for version in product.versions if version.name in names]


def _passing(product: Product, rule: _Rule) -> list[str]:
    """Name the versions of which an item passes every filter of the rule."""
    if rule.shallow:
        about = {
            "content_id": product.content_id,
            **product.attributes,
            "product_name": product.name,
        }
        passed = matches(rule.filters, about)
        return [version.name for version in product.versions] if passed else []
    return [
        version.name
        for version in product.versions
        if any(matches(rule.filters, flatten(product, version, item)) for item in version.items)
    ]


def _clashes(
    planned: Iterable[Planned], published: Mapping[str, Planned]
) -> dict[tuple[str, str], MirrorError]:
    """Find every version that claims a path which another one claims with other content.

    A version that is published as it is keeps its path; otherwise both are wrong.
    """
    conflicts = conflicting_paths(each.product for each in planned)
    clashes: dict[tuple[str, str], MirrorError] = {}
    for each in planned if conflicts else ():
        name = each.product.name
        for version in each.product.versions:
            path = conflicting_path(version, conflicts)
            if path and not _is_published(published.get(name), version.name, path):
                what = f"{name!r} {version.name}: {path} is claimed with other content too"
                clashes[name, version.name] = PathConflict(what)
    return clashes


def _is_published(published: Planned | None, version: str, path: str) -> bool:
    return published is not None and any(
        item.path == path
        for each in published.product.versions
        if each.name == version
        for item in each.items
    )
