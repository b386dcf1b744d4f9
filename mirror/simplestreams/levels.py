"""Attributes at the level where MAAS looks for them.

simplestreams lets a publisher write an attribute once, at the top of the file, at the product or at
the version, and abbreviate with `_aliases`. MAAS 3.7+ sees none of that: what describes a product
must be on the product, what describes a file on the item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirror.errors import MetadataInvalid, MetadataTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.model import Attributes, Version

OF_AN_ITEM = frozenset({"ftype", "kpackage", "src_package", "src_release", "src_version"})
OF_A_PRODUCT = frozenset(
    {
        "arch",
        "arches",
        "bootloader-type",
        "kflavor",
        "krel",
        "label",
        "os",
        "release",
        "release_codename",
        "release_title",
        "subarch",
        "subarches",
        "support_eol",
        "version",
    }
)
_OF_THE_FILE = frozenset({"_aliases", "content_id", "datatype", "format", "products", "updated"})


class Aliases:
    """The `_aliases` of a file, `{key: {value: {attribute: value}}}`, expanded within a budget."""

    def __init__(self, table: object, budget: int) -> None:
        self._left = budget
        self._table = _checked(table)

    def __bool__(self) -> bool:
        return bool(self._table)

    def expand(self, attributes: dict[str, Any]) -> None:
        """Add, in place, what the aliases in `attributes` stand for. An alias wins over a key."""
        for key in [key for key in self._table if key in attributes]:
            value = attributes[key]
            meaning = self._table[key].get(value) if isinstance(value, str) else None
            if meaning:
                self._left -= len(meaning)
                if self._left < 0:
                    raise MetadataTooLarge("the _aliases of the file expand to too many attributes")
                attributes.update(meaning)


def of_the_file(data: Mapping[str, Any]) -> Attributes:
    """Return the attributes at the top of a products file that its products inherit."""
    return {
        key: value
        for key, value in data.items()
        if key not in _OF_THE_FILE and isinstance(value, str | int | float)
    }


def of_items(attributes: Mapping[str, Any]) -> Attributes:
    """Return the attributes that belong to items, but were written further up."""
    return {key: attributes[key] for key in OF_AN_ITEM & attributes.keys()}


def lift(attributes: Attributes, versions: Iterable[Version]) -> None:
    """Give a product, in place, what it lacks and has written on its versions instead.

    `versions` are sorted, oldest first: where they disagree, the newest is right.
    """
    lacking = OF_A_PRODUCT - attributes.keys()
    for version in versions:
        for key in lacking & version.attributes.keys():
            attributes[key] = version.attributes[key]


def _checked(table: object) -> dict[str, dict[str, Attributes]]:
    if not isinstance(table, dict):
        raise MetadataInvalid("the _aliases of the file are not an object")
    for key, values in table.items():
        if not isinstance(values, dict) or not all(map(_is_flat, values.values())):
            what = f"_aliases[{key[:60]!r}] is not an object of objects with plain values"
            raise MetadataInvalid(what)
    return table


def _is_flat(meaning: object) -> bool:
    return isinstance(meaning, dict) and not any(
        isinstance(value, dict | list) for value in meaning.values()
    )
