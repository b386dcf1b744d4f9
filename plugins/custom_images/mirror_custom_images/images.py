"""The operator's own images, as a distribution: each question goes to the module that knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import CUSTOM_CONTENT_ID, Distribution

if TYPE_CHECKING:
    from mirror.api import Product


class CustomImages(Distribution):
    """Images that an operator has built, of any operating system."""

    id = "custom-images"

    def claims(self, product: Product) -> bool:
        """Claim what no boot source has."""
        return product.content_id == CUSTOM_CONTENT_ID

    def describe(self, product: Product) -> str:
        """Name it as the operator did."""
        title = product.attributes.get("release_title") or f"{product.os}/{product.release}"
        subarch = product.attributes.get("subarch", "generic")
        return f"{title}, {product.arch}/{subarch}"
