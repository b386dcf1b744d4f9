"""Which boot source provides an image: of those that have it, the one with the highest priority.

An image is an os, a release and an arch, as it is to MAAS: all its kernels come from one source,
whatever the products are called there. With equal priorities, the first source by name wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from mirror.model import BootSource, Product

Image = tuple[str, str, str]
"""(os, release, arch). A bootloader's release is empty."""


def image_of(product: Product) -> Image | None:
    """Return the image that a product is of, or None for one that does not say."""
    about = product.attributes
    os, arch = about.get("os"), about.get("arch")
    return (str(os), str(about.get("release") or ""), str(arch)) if os and arch else None


def rank(source: BootSource) -> tuple[int, str]:
    """Return what to sort sources by, so that the winner comes first."""
    return (-source.priority, source.name)


class Contest(msgspec.Struct):
    """Who has won what so far. Sources enter in the order of their `rank`."""

    names: dict[str, BootSource] = {}
    images: dict[Image, BootSource] = {}

    def enter(self, product: Product, source: BootSource) -> str:
        """Let a source claim a product that is wanted of it; return why it can't have it, or ''."""
        image = image_of(product)
        winner = self.images.setdefault(image, source) if image else source
        if winner.name != source.name:
            return _why(" ".join(filter(None, image or ())), winner, source)
        winner = self.names.setdefault(product.name, source)
        return "" if winner.name == source.name else _why(product.name, winner, source)

    def is_free_for(self, product: Product, source: str) -> bool:
        """Say whether no other source has won the product or its image."""
        image = image_of(product)
        winners = (self.names.get(product.name), self.images.get(image) if image else None)
        return all(winner is None or winner.name == source for winner in winners)


def _why(what: str, winner: BootSource, loser: BootSource) -> str:
    if winner.priority == loser.priority:
        return f"{winner.name!r} offers {what} too, has the same priority, and is first by name"
    return f"{winner.name!r} offers {what} too, and has a higher priority"
