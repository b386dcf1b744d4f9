"""Checks of what the distribution says about a product, by its attributes alone."""

from __future__ import annotations

import time
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from mirror.model import Finding, Kind, Severity
from mirror.simplestreams.kinds import kind_of
from mirror.testing.conformance.findings import fault_of
from mirror.testing.conformance.foreign import hostile_products, others, spoiled_products
from mirror.testing.conformance.looking import outside_calls
from mirror.testing.conformance.specimen import must, names
from mirror.testing.conformance.streams import is_taken

if TYPE_CHECKING:
    from mirror.model import Product
    from mirror.testing.conformance.specimen import Specimen

_LONGEST_TITLE = 120
_MANY = 10_000
_SECONDS = 3.0
"""Of processor time, for that many products: room for a slow machine."""
_DAYS = (
    date(1, 1, 1),
    date(1999, 12, 31),
    date(2026, 2, 28),
    date(2040, 2, 29),
    date(9999, 12, 31),
)
_MOST_NOTICES = 10


class ClaimingChecks:
    """What it calls its own, and what it says of it."""

    def test_claims_its_own_products(self, specimen: Specimen) -> None:
        """`claims` must return True for every product of the sample."""
        for product in specimen.products:
            said = specimen.distribution.claims(product)
            must(said is True, f"claims({product.name}) is {said!r}, not True")

    def test_claims_no_product_of_others(self, specimen: Specimen) -> None:
        """`claims` must return False for what other distributions publish, and for nonsense."""
        own = {product.os for product in specimen.products}
        for product in others(own):
            said = specimen.distribution.claims(product)
            must(said is False, f"claims({product.name}) is {said!r}, not False: it is another's")
        for why, product in hostile_products():
            said = specimen.distribution.claims(product)
            must(said is False, f"of a product with {why}, claims says {said!r}, not False")

    def test_claims_by_attributes_alone(self, specimen: Specimen) -> None:
        """`claims` must always say the same: whatever the versions, the order, the day."""
        for product in specimen.products:
            for why, same in _same_products(product):
                said = {specimen.distribution.claims(same) for _ in range(20)}
                must(said == {True}, f"{product.name}, {why}: claims says {said}, not True alone")

    def test_survives_strange_attributes(self, specimen: Specimen) -> None:
        """Attributes come from the network: a missing or strange one must not raise anywhere."""
        distribution = specimen.distribution
        for product in specimen.products:
            for why, spoiled in spoiled_products(product):
                where = f"{product.name[:100]} {why}"
                said = distribution.claims(spoiled)
                must(isinstance(said, bool), f"{where}: claims returned {said!r}")
                if said:
                    _look_at(specimen, where, spoiled)

    def test_describes_each_product(self, specimen: Specimen) -> None:
        """`describe` must give a short line for each product, another one for each."""
        titles: dict[str, str] = {}
        for product in specimen.products:
            title = specimen.distribution.describe(product)
            must(
                isinstance(title, str) and title.strip() and title.isprintable(),
                f"describe({product.name}) is no line of text: {title!r}",
            )
            must(
                len(title) <= _LONGEST_TITLE,
                f"describe({product.name}) has {len(title)} letters (limit {_LONGEST_TITLE})",
            )
            must(title == specimen.distribution.describe(product), f"describe changes: {title!r}")
            other = titles.setdefault(title, product.name)
            must(other == product.name, f"{other} and {product.name} are both called {title!r}")

    def test_requires_what_maas_can_not_do_without(self, specimen: Specimen) -> None:
        """`required` must be True for bootloaders that MAAS takes, and False for every image."""
        for product in specimen.products:
            said, *changes = {specimen.distribution.required(product) for _ in range(20)}
            must(isinstance(said, bool), f"required({product.name}) is {said!r}, not a bool")
            must(not changes, f"required({product.name}) is {said!r}, and then {changes[:1]}")
            if kind_of(product) is not Kind.BOOTLOADER:
                must(
                    not said, f"{product.name} is required: every selection would fetch this image"
                )
            elif is_taken(product):
                must(said, f"{product.name} is not required: no machine boots without bootloaders")

    def test_notices_are_well_formed(self, specimen: Specimen) -> None:
        """`notices` must be the same for the same day, no error ever, no warning in the year 1."""
        distribution, spoken = specimen.distribution, False
        for product in specimen.products:
            for day in _DAYS:
                said = list(distribution.notices(product, day))
                again = list(distribution.notices(product, day))
                where = f"notices({product.name}, {day})"
                must(said == again, f"{where} are {said}, and then {again}")
                loud = [f for f in said if getattr(f, "severity", "") != Severity.NOTE]
                must(not loud or day > _DAYS[0], f"{where}: that is no day to speak of {loud}")
                must(len(said) <= _MOST_NOTICES, f"{where} are {len(said)}: nobody reads as many")
                for each in said:
                    _check_notice(specimen, where, each)
                spoken = spoken or bool(said)
        must(
            spoken or not specimen.overrides("notices"),
            "notices is overridden and has nothing to say of the sample, even in the year 9999",
        )

    def test_looks_at_values_alone(self, specimen: Specimen) -> None:
        """What is asked in the mirror's processes must not look at files, hosts or the clock."""
        for product in specimen.products:
            called = outside_calls(partial(_look_at, specimen, product.name, product))
            said = names(sorted(called))
            must(not called, f"asked about {product.name}, it calls {said}: look at values alone")

    def test_is_quick(self, specimen: Specimen) -> None:
        """Asking about 10,000 products must take a second or so: each sync asks about all."""
        products = [
            msgspec.structs.replace(product, name=f"{product.name}:{number}")
            for number in range(_MANY // len(specimen.products))
            for product in specimen.products
        ]
        distribution = specimen.distribution
        begun = time.process_time()
        for product in products:
            distribution.claims(product)
            distribution.describe(product)
            distribution.required(product)
            for version in product.versions:
                list(distribution.choose_items(product, version))
        took = time.process_time() - begun
        must(took < _SECONDS, f"claims, describe, choose_items: {took:.1f} s for {_MANY} products")


def _same_products(product: Product) -> list[tuple[str, Product]]:
    reverse = dict(reversed(product.attributes.items()))
    return [
        ("as it is", product),
        ("attributes in another order", msgspec.structs.replace(product, attributes=reverse)),
        ("without versions", msgspec.structs.replace(product, versions=())),
        ("one version", msgspec.structs.replace(product, versions=product.versions[:1])),
    ]


def _look_at(specimen: Specimen, where: str, product: Product) -> None:
    """Ask all that is asked of a claimed product in the mirror's own processes."""
    distribution = specimen.distribution
    distribution.claims(product)
    title = distribution.describe(product)
    must(isinstance(title, str) and title, f"{where}: describe returned {title!r}")
    must(isinstance(distribution.required(product), bool), f"{where}: required is no bool")
    for day in (_DAYS[0], _DAYS[-1]):
        list(distribution.notices(product, day))
    for version in product.versions:
        list(distribution.choose_items(product, version))
        list(distribution.lay_out(product, version))


def _check_notice(specimen: Specimen, where: str, notice: object) -> None:
    must(isinstance(notice, Finding), f"{where}: {notice!r} is no Finding")
    if isinstance(notice, Finding):
        fault = fault_of(notice, specimen.distribution.id, ())
        must(not fault, f"{where}: {fault}")
        must(
            notice.severity is not Severity.ERROR,
            f"{where}: an error quarantines, and a day in the calendar must not: {notice}",
        )
