"""Licences: who may have an image that is not free. Pure, no I/O.

Somebody has some *licences* (`subscription`, `proprietary`). What a file needs is written as a
text: `` is nothing, for it is free; `proprietary` is that licence; `proprietary+subscription` is
both of them; `proprietary|subscription` is one or the other.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from mirror.errors import NameInvalid
from mirror.model import Licence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mirror.model import Product

GRANTABLE = tuple(sorted(each.value for each in Licence if each is not Licence.FREE))
"""What a token can have and a channel can allow."""

FREE = ""


def may_have(needed: str, licences: Collection[str]) -> bool:
    """Say whether these licences are enough. What can't be read is for nobody."""
    if needed == FREE:
        return True
    return any(
        all(word in GRANTABLE and word in licences for word in each.split("+"))
        for each in needed.split("|")
    )


def needed_for(product: Product) -> str:
    """Return what one needs to have the files of a product."""
    return FREE if product.licence is Licence.FREE else product.licence.value


def needs_any(needed: Iterable[str]) -> str:
    """Return what one needs to have a file that can be had in each of these ways."""
    ways = {way for each in needed for way in each.split("|")}
    return FREE if FREE in ways else "|".join(sorted(ways))


def needs_all(licences: Iterable[str]) -> str:
    """Return what one needs to have a file that takes all of these licences."""
    return "+".join(sorted(set(licences)))


def combined(licences: Iterable[str]) -> list[frozenset[str]]:
    """Return every combination of these licences but the empty one, the smaller ones first."""
    known = sorted(set(licences))
    return [frozenset(each) for n in range(len(known)) for each in combinations(known, n + 1)]


def checked_licences(words: Iterable[str]) -> tuple[str, ...]:
    """Return the licences, each once, sorted. Raises `NameInvalid` for what is none."""
    wanted = sorted(set(words))
    for word in wanted:
        if word not in GRANTABLE:
            raise NameInvalid(
                f"{word[:80]!r} is not a licence that can be given",
                remedy=f"There are: {', '.join(GRANTABLE)}. Free images need none.",
            )
    return tuple(wanted)
