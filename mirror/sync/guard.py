"""The guard: no publish takes away much of what a channel has, unless someone says so.

What counts as gone:

- a product, unless another one of the same os, release, arch and kernel is in its place;
- a version of a product that stays, as far as the product has fewer versions than before: a new
  version that pushes out an old one takes nothing away. A pinned product has one version on
  purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.errors import WouldDropTooMuch
from mirror.sync.selecting import kernel_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mirror.model import Product
    from mirror.sync.offers import Planned

FEW = 4
"""So many products, and so many versions, may always go: a share of little says little."""


class Loss(msgspec.Struct, frozen=True):
    """What a publish would take away: names of `products`, and a count of `versions`."""

    products: tuple[str, ...]
    products_before: int
    versions: int
    versions_before: int


def loss(
    planned: Iterable[Planned],
    published: Mapping[str, Planned],
    pinned: Collection[str] = (),
    *,
    meant: Collection[str] = (),
) -> Loss:
    """Compare what is to be published with what is.

    What becomes of the products `meant` is what their operator asked for, one by one.
    """
    published = {name: each for name, each in published.items() if name not in meant}
    after = {each.product.name: each.product for each in planned}
    missing = [each.product for name, each in published.items() if name not in after]
    replaced = {_identity(product) for product in after.values()} if missing else set()
    versions = sum(
        max(0, len(each.product.versions) - len(after[name].versions))
        for name, each in published.items()
        if name in after and name not in pinned
    )
    return Loss(
        products=tuple(
            sorted(product.name for product in missing if _identity(product) not in replaced)
        ),
        products_before=len(published),
        versions=versions,
        versions_before=sum(len(each.product.versions) for each in published.values()),
    )


def too_much(lost: Loss, max_drop: float) -> WouldDropTooMuch | None:
    """Return the error to refuse the loss with, or None where it may be. `max_drop` is a share."""
    gone = len(lost.products)
    if gone > FEW and gone > max_drop * lost.products_before:
        named = ", ".join(lost.products[:3])
        return _refusal(f"{gone} of {lost.products_before} products ({named}, ...)", max_drop)
    if lost.versions > FEW and lost.versions > max_drop * lost.versions_before:
        return _refusal(f"{lost.versions} of {lost.versions_before} versions", max_drop)
    return None


def _refusal(what: str, max_drop: float) -> WouldDropTooMuch:
    return WouldDropTooMuch(
        f"the channel would lose {what}; at most {max_drop:.0%} may go at once",
        remedy="See what would go with `mirror sync --dry-run`. If it is meant (you removed a "
        "selection or a source): `mirror sync --accept-drop`. If not, look at `mirror select list` "
        "and `mirror source list`. [sync] max_drop sets the share.",
    )


def _identity(product: Product) -> tuple[str, ...]:
    about = product.attributes
    kind = str(about.get("bootloader-type") or "")
    return (product.os, product.release, product.arch, kernel_of(about), kind)
