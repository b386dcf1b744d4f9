"""The file of the catalogue: is it there, is it whole, a copy of it, and out of the way with it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.database import explained
from mirror.catalog.schema import VERSION
from mirror.errors import CatalogMissing
from mirror.model import utcnow
from mirror.store.durable import TEMP_SUFFIX, disk_errors, sync_dir, sync_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.store.layout import DataDir

_COUNTED = ("sources", "selections", "pins", "jobs", "tokens", "audit")
_BESIDE = ("", "-wal", "-shm")
"""SQLite's files: the first is the catalogue, the others are what was not yet written into it."""

_PATIENCE = 30.0
"""Seconds to wait for a process that writes."""


class CatalogState(msgspec.Struct, frozen=True):
    """The catalogue's file: its size in bytes, and how many rows each of its tables has.

    `problem` is what is wrong with it ('': it is whole).
    """

    file: str
    bytes: int
    version: int
    rows: dict[str, int]
    problem: str = ""

    @property
    def is_new(self) -> bool:
        """Say whether nobody has decided anything in it yet."""
        return not any(self.rows.values())


def require(layout: DataDir) -> None:
    """Raise `CatalogMissing` where a mirror that has published has no catalogue.

    SQLite would make an empty one: no sources, no selections, no tokens, and nobody told.
    """
    if layout.catalog.exists():
        return
    if any(layout.snapshots.glob("*.zst")):
        raise CatalogMissing(f"{layout.catalog} is not there, but snapshots are")


def inspect(layout: DataDir) -> CatalogState:
    """Look at the file, all of it, and change nothing. Raises `CatalogMissing`."""
    file = layout.catalog
    if not file.exists():
        raise CatalogMissing(f"{file} is not there")
    version, rows = 0, dict[str, int]()
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            [[version]] = database.execute("PRAGMA user_version")
            [[said], *_] = database.execute("PRAGMA quick_check")
            for table in _COUNTED if version == VERSION else ():
                [[rows[table]]] = database.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
        problem = "" if said == "ok" else f"SQLite says: {said}"
    except sqlite3.Error as error:
        problem = f"SQLite says: {error}"
    if not problem and version == 0:
        problem = "it has no tables"
    return CatalogState(str(file), file.stat().st_size, version, rows, problem)


def back_up(layout: DataDir, target: Path) -> int:
    """Write a copy of the catalogue, of one instant, while it is in use; return its size in bytes.

    Only this user may read it: it holds the hashes of tokens. Raises `CatalogMissing`,
    `CatalogDamaged`, `StoreError`, `NoSpace`, `DataDirNotWritable`.
    """
    if not layout.catalog.exists():
        raise CatalogMissing(f"{layout.catalog} is not there")
    with (
        replacing(target) as temporary,
        explained(layout.catalog),
        closing(sqlite3.connect(layout.catalog, timeout=_PATIENCE)) as database,
    ):
        database.execute("VACUUM INTO ?", (str(temporary),))
    return target.stat().st_size


def set_aside(layout: DataDir) -> str:
    """Move the catalogue and what is beside it out of the way; return its new name ('': none).

    Nothing is deleted. Names stay in step, so that SQLite's tools can read what was moved.
    """
    name = f"{layout.catalog.name}.aside-{utcnow():%Y%m%dT%H%M%SZ}"
    moved = ""
    with disk_errors(layout.catalog):
        for suffix in _BESIDE:
            file = layout.catalog.with_name(layout.catalog.name + suffix)
            if file.exists():
                file.rename(file.with_name(name + suffix))
                moved = name
        sync_dir(layout.root)
    return moved


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give an empty private file (0600), which takes the target's place, durably, in the end."""
    with disk_errors(target):
        fd, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=TEMP_SUFFIX, dir=target.absolute().parent
        )
        os.close(fd)
        temporary = Path(name)
        try:
            yield temporary
            sync_file(temporary)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_dir(target.absolute().parent)
