"""The catalogue: what the operator decided, and what the mirror remembers of each source.

Values are stored as JSON of the types of `mirror.model`. What is lost with this file is what the
operator decided, and the newest time seen of each source (the rollback defence); images are not.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, TypeVar

import msgspec

from mirror.catalog.audit import AuditLog
from mirror.catalog.available import Available, Resources
from mirror.catalog.custom_images import CustomImages
from mirror.catalog.database import Database, text
from mirror.catalog.jobs import Jobs
from mirror.catalog.statuses import SourceStatuses
from mirror.catalog.tallies import Tallies
from mirror.catalog.tokens import Tokens
from mirror.catalog.validations import Validations
from mirror.errors import AlreadyExists, NotFound
from mirror.model import BootSource, Pin, Selection

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

T = TypeVar("T")
Numbered = TypeVar("Numbered", Selection, Pin)


class SourceMemory(msgspec.Struct, frozen=True):
    """What is remembered of a boot source between syncs, as JSON of other packages' types.

    `validators` make the next request conditional; `seen` holds the newest time and digest of each
    metadata file. `settled` names the selections and plugins for which the last sync took all that
    there was: with an unchanged source and the same key there is nothing to do.
    """

    validators: msgspec.Raw = msgspec.Raw(b"null")
    seen: msgspec.Raw = msgspec.Raw(b"{}")
    settled: str = ""


class Catalog:
    """The open catalogue. Methods block for about a millisecond; any thread may call them."""

    def __init__(self, file: Path) -> None:
        self.database = Database(file)
        self.jobs = Jobs(self.database)
        self.tokens = Tokens(self.database)
        self.audit = AuditLog(self.database)
        self.available = Available(self.database)
        self.resources = Resources(self.database)
        self.statuses = SourceStatuses(self.database)
        self.tallies = Tallies(self.database)
        self.validations = Validations(self.database)
        self.custom_images = CustomImages(self.database)

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    # --- boot sources -----------------------------------------------------------------------------

    def sources(self) -> list[BootSource]:
        """Return every boot source, the highest priority first, then by name."""
        found = self._documents("sources", BootSource)
        return sorted(found, key=lambda source: (-source.priority, source.name))

    def add_source(self, source: BootSource) -> None:
        """Add a boot source, or raise `AlreadyExists`."""
        with self.database.transaction() as connection:
            try:
                connection.execute(
                    "INSERT INTO sources (name, document) VALUES (?, ?)",
                    (source.name, text(source)),
                )
            except sqlite3.IntegrityError:
                raise AlreadyExists(f"there is a boot source {source.name!r} already") from None

    def update_source(self, source: BootSource) -> None:
        """Store a boot source anew, or raise `NotFound`."""
        with self.database.transaction() as connection:
            stored = connection.execute(
                "UPDATE sources SET document = ? WHERE name = ?", (text(source), source.name)
            )
        if not stored.rowcount:
            raise NotFound(f"there is no boot source {source.name!r}")

    def remove_source(self, name: str) -> None:
        """Remove a boot source and what is remembered of it, or raise `NotFound`."""
        with self.database.transaction() as connection:
            gone = connection.execute("DELETE FROM sources WHERE name = ?", (name,)).rowcount
            connection.execute("DELETE FROM source_memory WHERE name = ?", (name,))
            connection.execute("DELETE FROM available WHERE source = ?", (name,))
        if not gone:
            raise NotFound(f"there is no boot source {name!r}")
        self.statuses.remove(name)

    # --- selections and pins ----------------------------------------------------------------------

    def selections(self) -> list[Selection]:
        """Return every selection, in the order in which they were made."""
        return sorted(self._documents("selections", Selection), key=lambda each: each.id)

    def add_selection(self, selection: Selection) -> Selection:
        """Add a selection (its `id` is given here) and return it."""
        return self._add_numbered("selections", selection)

    def update_selection(self, selection: Selection) -> None:
        """Store a selection anew, or raise `NotFound`."""
        with self.database.transaction() as connection:
            stored = connection.execute(
                "UPDATE selections SET document = ? WHERE id = ?", (text(selection), selection.id)
            )
        if not stored.rowcount:
            raise NotFound(f"there is no selection {selection.id}")

    def remove_selection(self, number: int) -> None:
        """Remove a selection, or raise `NotFound`."""
        self._remove_numbered("selections", number, f"there is no selection {number}")

    def pins(self, channel: str = "") -> list[Pin]:
        """Return the pins of a channel ('': of all), in the order in which they were made."""
        pins = sorted(self._documents("pins", Pin), key=lambda each: each.id)
        return [pin for pin in pins if channel in ("", pin.channel)]

    def add_pin(self, pin: Pin) -> Pin:
        """Add a pin (its `id` is given here) and return it."""
        return self._add_numbered("pins", pin)

    def remove_pin(self, number: int) -> None:
        """Remove a pin, or raise `NotFound`."""
        self._remove_numbered("pins", number, f"there is no pin {number}")

    # --- what is remembered -----------------------------------------------------------------------

    def memory(self, source: str) -> SourceMemory:
        """Return what is remembered of a source (nothing, for one never synced)."""
        rows = self.database.rows("SELECT document FROM source_memory WHERE name = ?", source)
        return self.database.decode(rows[0][0], SourceMemory) if rows else SourceMemory()

    def remember(self, memories: Mapping[str, SourceMemory]) -> None:
        """Store what is remembered of each source, all in one transaction."""
        rows = [(name, text(memory)) for name, memory in memories.items()]
        with self.database.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO source_memory VALUES (?, ?)", rows)

    def document(self, name: str, kind: type[T]) -> T | None:
        """Return a value that there is one of (`schedule`), or None."""
        rows = self.database.rows("SELECT document FROM documents WHERE name = ?", name)
        return self.database.decode(rows[0][0], kind) if rows else None

    def store_document(self, name: str, value: object) -> None:
        """Store a value that there is one of."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?)", (name, text(value))
            )

    def _documents(self, table: str, kind: type[T]) -> list[T]:
        rows = self.database.rows(f"SELECT document FROM {table}")  # noqa: S608  (our own names)
        return [self.database.decode(document, kind) for (document,) in rows]

    def _add_numbered(self, table: str, value: Numbered) -> Numbered:
        with self.database.transaction() as connection:
            row = connection.execute(f"INSERT INTO {table} (document) VALUES ('')")  # noqa: S608
            numbered = msgspec.structs.replace(value, id=int(row.lastrowid or 0))
            connection.execute(
                f"UPDATE {table} SET document = ? WHERE id = ?",  # noqa: S608
                (text(numbered), numbered.id),
            )
        return numbered

    def _remove_numbered(self, table: str, number: int, missing: str) -> None:
        with self.database.transaction() as connection:
            gone = connection.execute(f"DELETE FROM {table} WHERE id = ?", (number,))  # noqa: S608
        if not gone.rowcount:
            raise NotFound(missing)
