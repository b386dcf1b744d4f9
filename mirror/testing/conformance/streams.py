"""What MAAS makes of products: they are written as the mirror writes them, and linted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.model import utcnow
from mirror.simplestreams.lint import lint_stream
from mirror.simplestreams.write import write_stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.model import Item, Product, Version
    from mirror.simplestreams.lint import MaasFinding


def maas_findings(products: Iterable[Product]) -> list[MaasFinding]:
    """Return what each MAAS would choke on, or leave out, in a stream of these products.

    Raises what `write_stream` raises.
    """
    documents = write_stream(products, utcnow())
    return lint_stream({f"{each.path}.json": each.json for each in documents})


def is_taken(product: Product) -> bool:
    """Say whether MAAS would import the product."""
    return not maas_findings([product])


def with_items(product: Product, version: Version, items: Iterable[Item]) -> Product:
    """Return the product with just this version, of just these items."""
    only = msgspec.structs.replace(version, items=tuple(items))
    return msgspec.structs.replace(product, versions=(only,))
