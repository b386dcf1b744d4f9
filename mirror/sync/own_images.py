"""The operator's own images, as one more source of products: nothing of it is ever fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.images.names import CUSTOM_SOURCE
from mirror.images.records import known_images, offered
from mirror.model import BootSource, Selection
from mirror.sync.offers import Offer

if TYPE_CHECKING:
    from mirror.catalog import Catalog

_SOURCE = BootSource(CUSTOM_SOURCE, "", trust="none", priority=2**31)
"""Before any boot source: what an operator has put in is meant."""

_SELECTION = Selection(0, source=CUSTOM_SOURCE, os="*", keep=10_000)
"""All of it: how many versions there are, the catalogue decides."""


class OwnImages(msgspec.Struct, frozen=True):
    """What the catalogue has. `known` names the products that there ever were, removed ones too."""

    offer: Offer
    known: frozenset[str]

    @property
    def source(self) -> BootSource:
        """What stands for a boot source."""
        return self.offer.source

    @property
    def selection(self) -> Selection:
        """What is wanted of it: everything."""
        return _SELECTION


def own_images(catalog: Catalog, keep: int) -> OwnImages | None:
    """Return the operator's own images; None where there never was one."""
    images = list(known_images(catalog))
    if not images:
        return None
    products = tuple(offered(each, keep) for each in images if each.versions)
    offer = Offer(_SOURCE, "", products, complete=True)
    return OwnImages(offer, frozenset(each.product for each in images))
