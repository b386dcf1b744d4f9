"""The catalogue: boot sources, selections, and what the mirror remembers of each source.

One SQLite file through sqlite-utils, in WAL mode, so that a command can write while a server reads.
Values are stored as JSON of the types of `mirror.model`. What is lost with this file is what the
operator decided, and the newest time seen of each source (the rollback defence); images are not.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import sqlite_utils

from mirror.errors import AlreadyExists, MirrorError, NotFound, StoreError
from mirror.model import BootSource, Finding, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")

_BUSY_TIMEOUT = 30.0
"""Seconds that a write waits for another process's."""

_TABLES: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("sources", {"name": str, "document": str}, "name"),
    ("selections", {"id": int, "document": str}, "id"),
    ("source_memory", {"name": str, "document": str}, "name"),
    ("validations", {"key": str, "findings": str}, "key"),
)


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
        with _explained(file):
            connection = sqlite3.connect(file, timeout=_BUSY_TIMEOUT, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            self._db = sqlite_utils.Database(connection)
            self._create_tables()
        self._file = file

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def sources(self) -> list[BootSource]:
        """Return every boot source, the highest priority first, then by name."""
        found = self._documents("sources", BootSource)
        return sorted(found, key=lambda source: (-source.priority, source.name))

    def add_source(self, source: BootSource) -> None:
        """Add a boot source, or raise `AlreadyExists`."""
        with _explained(self._file):
            try:
                self._db.table("sources").insert({"name": source.name, "document": _text(source)})
            except sqlite3.IntegrityError:
                raise AlreadyExists(f"there is a boot source {source.name!r} already") from None

    def remove_source(self, name: str) -> None:
        """Remove a boot source and what is remembered of it, or raise `NotFound`."""
        with _explained(self._file), self._db.conn:
            gone = self._db.conn.execute("DELETE FROM sources WHERE name = ?", (name,)).rowcount
            self._db.conn.execute("DELETE FROM source_memory WHERE name = ?", (name,))
        if not gone:
            raise NotFound(f"there is no boot source {name!r}")

    def selections(self) -> list[Selection]:
        """Return every selection, in the order in which they were made."""
        return sorted(self._documents("selections", Selection), key=lambda each: each.id)

    def add_selection(self, selection: Selection) -> Selection:
        """Add a selection (its `id` is given here) and return it."""
        with _explained(self._file):
            row: Any = self._db.table("selections").insert({"document": _text(selection)})
            numbered = msgspec.structs.replace(selection, id=int(row.last_pk))
            row.update(row.last_pk, {"document": _text(numbered)})
        return numbered

    def remove_selection(self, number: int) -> None:
        """Remove a selection, or raise `NotFound`."""
        with _explained(self._file), self._db.conn:
            gone = self._db.conn.execute("DELETE FROM selections WHERE id = ?", (number,)).rowcount
        if not gone:
            raise NotFound(f"there is no selection {number}")

    def memory(self, source: str) -> SourceMemory:
        """Return what is remembered of a source (nothing, for one never synced)."""
        with _explained(self._file):
            for row in self._db.table("source_memory").rows_where("name = ?", [source]):
                return msgspec.json.decode(row["document"], type=SourceMemory)
        return SourceMemory()

    def remember(self, memories: Mapping[str, SourceMemory]) -> None:
        """Store what is remembered of each source, all in one transaction."""
        rows = [{"name": name, "document": _text(memory)} for name, memory in memories.items()]
        with _explained(self._file):
            self._db.table("source_memory").upsert_all(rows, pk="name")

    def findings(self) -> dict[str, list[Finding]]:
        """Return what validation found, by the key of the validated version."""
        with _explained(self._file):
            return {
                row["key"]: msgspec.json.decode(row["findings"], type=list[Finding])
                for row in self._db.table("validations").rows
            }

    def record_findings(self, found: Mapping[str, list[Finding]]) -> None:
        """Store what validation found of each version, all in one transaction."""
        rows = [{"key": key, "findings": _text(findings)} for key, findings in found.items()]
        with _explained(self._file):
            self._db.table("validations").upsert_all(rows, pk="key")

    def _create_tables(self) -> None:
        for table, columns, key in _TABLES:
            self._db.table(table).create(columns, pk=key, if_not_exists=True)

    def _documents(self, table: str, kind: type[T]) -> list[T]:
        with _explained(self._file):
            rows = self._db.table(table).rows
            return [msgspec.json.decode(row["document"], type=kind) for row in rows]


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Turn what SQLite says into an error that names the file."""
    try:
        yield
    except MirrorError:
        raise
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        raise StoreError(
            f"the catalogue {file} failed: {error}",
            remedy="Check the disk. If the file is damaged, restore it from a backup; images and "
            "snapshots do not depend on it.",
        ) from error
