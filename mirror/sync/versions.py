"""Which versions of one product can be published, and with which items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.validations import content_digest
from mirror.errors import MetadataInvalid, MirrorError, PluginError
from mirror.model import Version
from mirror.sync.offers import LeftOut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.api import Distribution
    from mirror.model import Product
    from mirror.sync.offers import Condemned


class Versions:
    """The versions of one product: `listed` by its source, and `stored` here already.

    `left_out` fills with what can't be published; `anything_new` is whether something chosen is
    not just as it is stored.
    """

    def __init__(
        self,
        product: Product,
        distribution: Distribution,
        condemned: Condemned,
        *,
        listed: Mapping[str, Version],
        stored: Mapping[str, Version],
    ) -> None:
        self.left_out: list[LeftOut] = []
        self.anything_new = False
        self._product = product
        self._distribution = distribution
        self._condemned = condemned
        self._listed = listed
        self._stored = stored

    def newest(self, keep: int) -> tuple[Version, ...]:
        """Return the newest `keep` versions that can be published, oldest first."""
        names = sorted({*self._listed, *self._stored}, reverse=True)
        good = [version for name in names[:keep] if (version := self.only(name))]
        spare = [self._stored[name] for name in names[keep:] if name in self._stored]
        return tuple([*good, *spare[: keep - len(good)]][::-1])

    def only(self, name: str) -> Version | None:
        """Return one version as it can be published, or None."""
        listed, stored = self._listed.get(name), self._stored.get(name)
        if listed is None:
            return stored
        error = self._condemned.get((self._product.name, name))
        if error is None:
            chosen = _choose(self._product, listed, self._distribution)
            if isinstance(chosen, Version):
                version = _with_derived(chosen, stored) if stored else chosen
                self.anything_new |= version is not stored
                return version
            error = chosen
        self.left_out.append(LeftOut(self._product.name, name, error))
        return stored if stored and stored.items != listed.items else None


def _with_derived(chosen: Version, stored: Version) -> Version:
    """Return the chosen version with what was derived from its files, if they are the stored ones.

    It is the stored version itself where nothing about it changed.
    """
    if any(item.derived for item in chosen.items):  # it comes with what was derived from it
        return stored if stored == chosen else chosen
    own = tuple(item for item in stored.items if not item.derived)
    if own == chosen.items and stored.attributes == chosen.attributes:
        return stored
    if content_digest(chosen) != content_digest(stored):
        return chosen
    derived = tuple(item for item in stored.items if item.derived)
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
