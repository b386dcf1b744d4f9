"""Pins: products of which just one version is published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mirror.model import Version
from mirror.simplestreams.filters import parse_filter
from mirror.sync.selecting import passes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.model import Pin, Product

Elsewhere = Mapping[tuple[str, str], Version]
"""(product, version) -> a version that only an older snapshot has."""


def hold_of(pins: Iterable[Pin]) -> Pin | None:
    """Return the pin that holds the whole channel where it is, if there is one."""
    return next((pin for pin in pins if not pin.version), None)


class PinRules:
    """The pins of a channel with their filters parsed; a pin that holds the channel is none.

    `decided` are the products that a pin decides about; `sought` the (product, version) pairs that
    were asked for and are not `elsewhere`.
    """

    def __init__(self, pins: Iterable[Pin], elsewhere: Elsewhere) -> None:
        """Parse the pins. Raises `FilterInvalid`."""
        rules = [
            (tuple(parse_filter(text) for text in pin.filters), pin.version)
            for pin in pins
            if pin.version
        ]
        self._rules = rules[::-1]
        self._elsewhere = elsewhere
        self.decided: set[str] = set()
        self.sought: set[tuple[str, str]] = set()

    def version_of(self, product: Product) -> str:
        """Return the version that the last pin about a product names, or ''."""
        for conditions, version in self._rules:
            if passes(conditions, product):
                self.decided.add(product.name)
                return version
        return ""

    def from_elsewhere(self, product: str, version: str) -> Version | None:
        """Return a version from an older snapshot, if it was found there."""
        found = self._elsewhere.get((product, version))
        if found is None:
            self.sought.add((product, version))
        return found
