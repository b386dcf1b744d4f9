"""Pins: of some products, a channel publishes one version only.

MAAS always takes the greatest version that a stream lists. The only way to keep it at an older one
is to list no other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from mirror.sync.pins import PinRules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.model import Pin, Version
    from mirror.sync.plan import Planned

NOTE = "pinned to "
_BARE = re.compile(r"[\w.-]+")

Find = Callable[[str, str], "Planned | None"]
"""(product, version) -> the product as some snapshot has it, with that version alone."""


class Pinned(msgspec.Struct, frozen=True):
    """Products after the pins, and what a person should know of those that could not be pinned."""

    products: tuple[Planned, ...]
    notes: dict[str, str] = {}


def filters_of(words: Iterable[str]) -> tuple[str, ...]:
    """Return simplestreams filters for what a person wrote: a bare word is a release."""
    return tuple(f"release={word}" if _BARE.fullmatch(word) else word for word in words)


def apply_pins(
    products: Iterable[Planned],
    pins: Iterable[Pin],
    *,
    find: Find,
    before: Mapping[str, Planned],
) -> Pinned:
    """Return the products with just the pinned version of each that a pin is about.

    Where several pins are about a product, the one that was made last counts. `find` is asked for a
    version that the product has not. One that can't be had leaves the product as the channel has it
    in `before`, as it does in a sync.
    """
    rules = PinRules(sorted(pins, key=lambda pin: pin.id), elsewhere={})
    kept: list[Planned] = []
    notes: dict[str, str] = {}
    for each in products:
        name, version = each.product.name, rules.version_of(each.product)
        found = only(each, version) or find(name, version) if version else each
        if found is None:
            found = before.get(name)
            stays = "as it was" if found else "not published"
            notes[name] = f"{NOTE}{version}, which can't be had: {stays}"
        if found is not None:
            kept.append(_moved(each, found))
    return Pinned(tuple(kept), notes)


def only(planned: Planned, version: str) -> Planned | None:
    """Return the product with this version alone; itself if it has no other; None without it."""
    found = tuple(each for each in planned.product.versions if each.name == version)
    if not found or len(planned.product.versions) == 1:
        return planned if found else None
    return with_versions(planned, found)


def with_versions(planned: Planned, versions: tuple[Version, ...]) -> Planned:
    """Return the product with these versions instead of its own."""
    product = msgspec.structs.replace(planned.product, versions=versions)
    return msgspec.structs.replace(planned, product=product)


def _moved(now: Planned, found: Planned) -> Planned:
    """Return the found version under the product as it is described now."""
    if found is now or found.product.versions == now.product.versions:
        return now
    versions = with_versions(now, found.product.versions)
    return msgspec.structs.replace(versions, source=found.source)
