"""What MAAS makes of products: they are written as the mirror writes them, and linted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.model import utcnow
from mirror.simplestreams.lint import lint_stream
from mirror.simplestreams.write import write_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.model import Item, Product, Version


_HARMLESS = frozenset({"bootloader-unknown", "item-ftype"})
"""What MAAS leaves out without a word, and an author may want to publish for others."""


def objections(products: Iterable[Product]) -> str:
    """Say what any MAAS would choke on, or leave out, in a stream of these products; '' if nothing.

    Raises what `write_stream` raises.
    """
    return objections_to(_written(products))


def objections_to(documents: Mapping[str, bytes]) -> str:
    """Say the same of a stream: its plain JSON by path."""
    return "; ".join(
        f"MAAS {each.maas} {each.effect}: {each.where}: {each.message}"
        for each in lint_stream(documents)
        if each.effect == "fails" or each.code not in _HARMLESS
    )


def is_taken(product: Product) -> bool:
    """Say whether MAAS would import the product as a whole."""
    return not lint_stream(_written([product]))


def _written(products: Iterable[Product]) -> dict[str, bytes]:
    return {f"{each.path}.json": each.json for each in write_stream(products, utcnow())}


def with_items(product: Product, version: Version, items: Iterable[Item]) -> Product:
    """Return the product with just this version, of just these items."""
    only = msgspec.structs.replace(version, items=tuple(items))
    return msgspec.structs.replace(product, versions=(only,))
