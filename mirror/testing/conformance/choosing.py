"""Checks of what the distribution takes of a version."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import msgspec

from mirror.model import Item
from mirror.simplestreams.kinds import kind_of
from mirror.testing.conformance.making import derived_items
from mirror.testing.conformance.specimen import must
from mirror.testing.conformance.streams import objections, with_items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.model import Version
    from mirror.testing.conformance.specimen import Specimen

_EXTRAS = (
    Item("disk1.img", "disk1.img", "extra/disk1.img", "1" * 64, 5_000_000_000),
    Item("vagrant", "vagrant", "extra/box", "2" * 64, 1, {"kpackage": 7}),
)
"""Items that an upstream may add one day."""


class ChoosingChecks:
    """Which files of a version it takes."""

    def test_chooses_from_the_version(self, specimen: Specimen) -> None:
        """`choose_items` must return some of the version's items, each once, always the same."""
        for product in specimen.products:
            for version in product.versions:
                where = f"choose_items({product.name}, {version.name})"
                chosen = specimen.chosen(product, version)
                must(chosen, f"{where} chooses nothing: the sample can't be published")
                _check_subset(where, version, chosen)
                again = specimen.chosen(product, version)
                must(chosen == again, f"{where} is {_named(chosen)}, and then {_named(again)}")

    def test_chooses_in_whatever_order(self, specimen: Specimen) -> None:
        """`choose_items` must not depend on the order in which the items are listed."""
        for product, version in specimen.newest():
            backwards = msgspec.structs.replace(version, items=version.items[::-1])
            first, then = specimen.chosen(product, version), specimen.chosen(product, backwards)
            must(
                {item.name for item in first} == {item.name for item in then},
                f"{product.name}: of items backwards it takes {_named(then)}, not {_named(first)}",
            )

    def test_choice_passes_every_maas(self, specimen: Specimen) -> None:
        """What is chosen, and derived, must be what every MAAS takes: one bad one fails all."""
        derives = specimen.overrides("derive")
        for product, version in specimen.newest():
            made = derived_items(specimen, product, version) if derives else ()
            items = (*specimen.chosen(product, version), *made)
            said = objections([with_items(product, version, items)])
            must(not said, f"what it chooses is nothing for MAAS: {said}")

    def test_takes_a_whole_version_or_nothing(self, specimen: Specimen) -> None:
        """Of a version that lacks items, `choose_items` must take what is enough, or nothing."""
        derives = specimen.overrides("derive")
        for product, version in specimen.newest():
            whole = specimen.chosen(product, version)
            whole += derived_items(specimen, product, version) if derives else ()
            kind = kind_of(with_items(product, version, whole))
            for lacking in _lacking(version):
                chosen = specimen.chosen(product, lacking)
                where = f"{product.name}, of {_named(lacking.items) or 'nothing'}"
                _check_subset(where, lacking, chosen)
                if chosen:
                    made = derived_items(specimen, product, lacking) if derives else ()
                    now = kind_of(with_items(product, lacking, (*chosen, *made)))
                    must(
                        now is kind, f"{where}, it takes {_named(chosen)}: that is no {kind} image"
                    )

    def test_survives_further_items(self, specimen: Specimen) -> None:
        """Items that upstream adds one day must not change what `choose_items` takes."""
        chooses = specimen.overrides("choose_items")
        for product, version in specimen.newest():
            chosen = specimen.chosen(product, version)
            more = msgspec.structs.replace(version, items=(*_EXTRAS, *version.items))
            now = specimen.chosen(product, more)
            where = f"{product.name} with {_named(_EXTRAS)}"
            _check_subset(where, more, now)
            must(
                {i.name for i in now} >= {i.name for i in chosen},
                f"{where}: it takes {_named(now)}, no longer {_named(chosen)}",
            )
            unknown = {item.name for item in _EXTRAS} & {item.name for item in now}
            must(
                not (chooses and unknown),
                f"{where}: it chooses, and yet takes what it can't know: {sorted(unknown)}",
            )


def _check_subset(where: str, version: Version, chosen: tuple[Item, ...]) -> None:
    own = {id(item) for item in version.items}
    strangers = [item for item in chosen if id(item) not in own]
    must(not strangers, f"{where} has what is no item of the version: {strangers[:3]}")
    must(len({id(item) for item in chosen}) == len(chosen), f"{where} has an item twice")


def _lacking(version: Version) -> Iterator[Version]:
    """Yield the version with one item only, with one too few, with two too few, with none."""
    everything = version.items
    for number in {0, 1, len(everything) - 2, len(everything) - 1}:
        if 0 <= number < len(everything):
            for items in combinations(everything, number):
                yield msgspec.structs.replace(version, items=items)


def _named(items: tuple[Item, ...]) -> str:
    return ", ".join(item.name for item in items)
