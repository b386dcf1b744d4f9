"""One SQLite file, in WAL mode: many processes read while one writes."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from mirror.catalog.schema import prepare
from mirror.errors import CatalogDamaged, MirrorError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T = TypeVar("T")

_BUSY_TIMEOUT = 30.0
"""Seconds that a write waits for another process's."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Database:
    """The open file. Any thread may call; a transaction keeps the other threads out."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.RLock()
        with explained(self._file):
            _make_private(file)
            self._connection = sqlite3.connect(
                file, timeout=_BUSY_TIMEOUT, check_same_thread=False, isolation_level=None
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            prepare(self._connection)

    def close(self) -> None:
        """Close the file, once no other thread is at it: SQLite would crash the process."""
        with self._lock:
            self._connection.close()

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a query finds. Raises `StoreError`."""
        with self._lock, explained(self._file):
            return self._connection.execute(sql, values).fetchall()

    def decode(self, document: str, kind: type[T]) -> T:
        """Return the value that a `document` column holds. Raises `StoreError`."""
        with explained(self._file):
            return msgspec.json.decode(document, type=kind)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write, all or nothing. Raises `StoreError`; another error undoes what was written."""
        with self._lock, explained(self._file):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _make_private(file: Path) -> None:
    """Make the file, where there is none, for our user only: it holds the hashes of tokens.

    SQLite gives the files beside it the same mode.
    """
    with suppress(OSError):  # SQLite says better what is wrong
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn what SQLite says into an error that names the file: `CatalogDamaged`, `StoreError`."""
    try:
        yield
    except MirrorError:
        raise
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        # the lower byte of an extended code is the plain one
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise CatalogDamaged(f"the catalogue {file} is damaged: {error}") from error
        raise StoreError(
            f"the catalogue {file} failed: {error}",
            remedy="Check the disk, and the file with `mirror catalog show`; images and snapshots "
            "do not depend on it.",
        ) from error


def text(value: object) -> str:
    """Write a value as the JSON that a `document` column holds."""
    return msgspec.json.encode(value).decode()
