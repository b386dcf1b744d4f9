"""How each boot source was when it was last read: one document a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.catalog.database import text
from mirror.model import SourceStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.catalog.database import Database

_PREFIX = "source-status:"


class SourceStatuses:
    """The statuses in one catalogue. `state` is not stored: it depends on the time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, SourceStatus]:
        """Return the status of each source that was ever read, by its name."""
        rows = self._database.rows(
            "SELECT document FROM documents WHERE name >= ? AND name < ?",
            *(_PREFIX, _PREFIX[:-1] + ";"),
        )
        found = (self._database.decode(document, SourceStatus) for (document,) in rows)
        return {each.name: each for each in found}

    def store(self, statuses: Mapping[str, SourceStatus]) -> None:
        """Store statuses, all in one transaction."""
        rows = [(_PREFIX + name, text(status)) for name, status in statuses.items()]
        with self._database.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?)", rows)

    def remove(self, name: str) -> None:
        """Forget a source's status, if there is one."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM documents WHERE name = ?", (_PREFIX + name,))
