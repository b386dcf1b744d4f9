"""Products that nobody would publish in earnest, and those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mirror.model import Item, Product, Version
from mirror.testing.sample_products import sample_products

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_DIGEST = "0" * 64
_LONG = "x" * 1_000_000
STRANGE: dict[str, Any] = {
    "null": None,
    "a number": 7,
    "a list": ["amd64"],
    "an object": {"amd64": None},
    "nothing": "",
    "a million letters": _LONG,
    "control characters": "\x1b[2J\r\n\0",
    "a path that climbs": "../../etc/passwd",
    "a field of a format string": "{0.__class__}%s%n",
}
"""Values that an attribute may have: the reader takes any JSON for most of them."""


def hostile_products() -> Iterator[tuple[str, Product]]:
    """Yield products that no distribution should claim, with what is odd about each."""
    yield "no attributes at all", _product({})
    for said, value in STRANGE.items():
        every = dict.fromkeys(("os", "release", "version", "label", "arch", "subarch"), value)
        yield f"every attribute is {said}", _product(every)
    yield "an unknown operating system", _product({"os": "plan9", "arch": "amd64"})
    yield "a very long name", msgspec.structs.replace(_product({}), name=_LONG)


def spoiled_products(product: Product) -> Iterator[tuple[str, Product]]:
    """Yield the product with each attribute missing, or strange, one at a time."""
    for key in product.attributes:
        rest = {k: v for k, v in product.attributes.items() if k != key}
        yield f"without {key}", msgspec.structs.replace(product, attributes=rest)
        for said, value in STRANGE.items():
            attributes = {**product.attributes, key: value}
            yield f"{key} is {said}", msgspec.structs.replace(product, attributes=attributes)
    yield "without versions", msgspec.structs.replace(product, versions=())


def others(own: Collection[str]) -> list[Product]:
    """Return the products of this project's sample that are of none of those operating systems."""
    return [
        Product(each.name, each.content_id, dict(each.attributes), _versions())
        for each in sample_products()
        if each.attributes["os"] not in own
    ]


def _product(attributes: dict[str, Any]) -> Product:
    return Product("org.example:strange:1", "org.example:strange", attributes, _versions())


def _versions() -> tuple[Version, ...]:
    item = Item("something", "root-tgz", "some/where", _DIGEST, 1)
    return (Version("20250615", (item,)),)
