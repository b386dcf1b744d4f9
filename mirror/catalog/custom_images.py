"""Custom images, as JSON of another package's types: a row for each product."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirror.catalog.database import Database


class CustomImages:
    """The custom images of one catalogue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[bytes]:
        """Return every document, by product."""
        rows = self._database.rows("SELECT document FROM custom_images ORDER BY product")
        return [document.encode() for (document,) in rows]

    def get(self, product: str) -> bytes:
        """Return the document of a product; empty where there is none."""
        rows = self._database.rows("SELECT document FROM custom_images WHERE product = ?", product)
        return rows[0][0].encode() if rows else b""

    def change(self, product: str, rewrite: Callable[[bytes], bytes]) -> bytes:
        """Store what `rewrite` makes of a product's document, in one transaction; return it.

        What it raises undoes all.
        """
        with self._database.transaction() as connection:
            document = rewrite(self.get(product))
            connection.execute(
                "INSERT OR REPLACE INTO custom_images (product, document) VALUES (?, ?)",
                (product, document.decode()),
            )
        return document
