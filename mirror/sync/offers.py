"""What a plan is made from, and what it is made of: offers, planned products, what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import MirrorError

if TYPE_CHECKING:
    from mirror.api import Distribution
    from mirror.model import BootSource, Product
    from mirror.simplestreams.conflicts import Rejected

Condemned = Mapping[tuple[str, str], MirrorError]
"""(product, version) -> why it can't be published."""


class Offer(msgspec.Struct, frozen=True):
    """What one boot source has, and what of it could not be read. `base_url` ends in a slash.

    With `complete`, these are the operator's own images: what is not among them is not wanted, all
    of their files are here, and what plugins derive from them comes along.
    """

    source: BootSource
    base_url: str
    products: tuple[Product, ...]
    rejected: tuple[Rejected, ...] = ()
    complete: bool = False


class Planned(msgspec.Struct, frozen=True):
    """A product with just the versions and items to publish, and where it comes from.

    `distribution` is None for one that is kept although no plugin claims it.
    """

    product: Product
    source: str
    distribution: Distribution | None = None


class LeftOut(msgspec.Struct, frozen=True):
    """A version that was selected and can't be published. No `version` means the whole product."""

    product: str
    version: str
    error: MirrorError


class Considered(msgspec.Struct, frozen=True, gc=False):
    """A product that a source offers, whether it was `taken`, and why not (or not all of it)."""

    product: Product
    source: str
    distribution: Distribution | None
    taken: bool
    reason: str = ""
