"""Tokens: what is said of each, and the hash of its secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.catalog.database import text
from mirror.errors import NotFound
from mirror.model import Token

if TYPE_CHECKING:
    from mirror.catalog.database import Database


class Tokens:
    """The tokens of one catalogue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, token: Token, secret_hash: str) -> None:
        """Store a new token."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO tokens (id, secret_hash, document) VALUES (?, ?, ?)",
                (token.id, secret_hash, text(token)),
            )

    def update(self, token: Token) -> None:
        """Store what is said of a token anew."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE tokens SET document = ? WHERE id = ?", (text(token), token.id)
            )

    def find(self, token_id: str) -> tuple[Token, str] | None:
        """Return a token and the hash of its secret; None when there is no such token."""
        rows = self._database.rows(
            "SELECT document, secret_hash FROM tokens WHERE id = ?", token_id
        )
        return (self._token(rows[0][0]), rows[0][1]) if rows else None

    def get(self, token_id: str) -> Token:
        """Return a token, or raise `NotFound`."""
        found = self.find(token_id)
        if found is None:
            raise NotFound(f"there is no token {token_id!r}")
        return found[0]

    def list(self) -> list[Token]:
        """Return every token, the oldest first."""
        rows = self._database.rows("SELECT document FROM tokens")
        return sorted(
            (self._token(row[0]) for row in rows), key=lambda each: (each.created, each.id)
        )

    def _token(self, document: str) -> Token:
        return self._database.decode(document, Token)
