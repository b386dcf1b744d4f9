"""The tables of the catalogue, and how an older file gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirror.catalog.tallies import COUNT_JOBS
from mirror.errors import StoreError

if TYPE_CHECKING:
    import sqlite3

VERSION = 6
"""Of the schema; SQLite's `user_version`. Version 1 knew sources, selections and findings only."""

_VALIDATIONS_ANEW = 4
"""Until this version, findings were kept under a key that told nothing: no one can say now what
they are about. Plugins look at the published versions once more."""

_TABLES: tuple[tuple[str, dict[str, Any], Any], ...] = (
    ("sources", {"name": str, "document": str}, "name"),
    ("selections", {"id": int, "document": str}, "id"),
    ("source_memory", {"name": str, "document": str}, "name"),
    (
        "validations",
        {
            "product": str,
            "version": str,
            "digest": str,
            "judge": str,
            "errors": int,
            "findings": str,
            "gone": str,
        },
        ("product", "version", "digest"),
    ),
    ("custom_images", {"product": str, "document": str}, "product"),
    ("pins", {"id": int, "document": str}, "id"),
    ("documents", {"name": str, "document": str}, "name"),
    ("tallies", {"name": str, "value": float}, "name"),
    ("jobs", {"id": int, "state": str, "cancel": int, "document": str}, "id"),
    (
        "job_log",
        {"job": int, "number": int, "at": str, "level": str, "message": str},
        ("job", "number"),
    ),
    ("tokens", {"id": str, "secret_hash": str, "document": str}, "id"),
    (
        "audit",
        {
            "id": int,
            "at": str,
            "actor": str,
            "action": str,
            "subject": str,
            "before": str,
            "after": str,
        },
        "id",
    ),
    (
        "available",
        {
            "product": str,
            "source": str,
            "os": str,
            "release": str,
            "arch": str,
            "subarch": str,
            "label": str,
            "document": str,
        },
        ("product", "source"),
    ),
    (
        "resources",
        {
            "snapshot": str,
            "product": str,
            "os": str,
            "release": str,
            "arch": str,
            "subarch": str,
            "label": str,
            "document": str,
        },
        ("snapshot", "product"),
    ),
)

_APPEND_ONLY = """
CREATE TRIGGER IF NOT EXISTS audit_is_never_{verb}d BEFORE {verb} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
"""

_NOT_REPLACED = """
CREATE TRIGGER IF NOT EXISTS audit_is_never_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
"""
"""REPLACE deletes without a word to the trigger, unless a pragma says otherwise."""


def prepare(connection: sqlite3.Connection) -> None:
    """Bring the file to this version's tables. Raises `StoreError` for one of a later version."""
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise StoreError(
            f"the catalogue is of version {version}; this mirror knows {VERSION} and older",
            remedy="Run the newer mirror that made it, or restore the backup made before it.",
        )
    if version == VERSION:
        return
    import sqlite_utils

    _mend_validations(connection)
    database = sqlite_utils.Database(connection)
    for name, columns, key in _TABLES:
        database.table(name).create(columns, pk=key, if_not_exists=True)
    database.table("jobs").create_index(["state"], if_not_exists=True)
    # A page that few rows belong to is found in these, without a look at the documents.
    fields = ["os", "release", "arch", "subarch", "label"]
    database.table("available").create_index(["product", "source", *fields], if_not_exists=True)
    database.table("resources").create_index(["snapshot", "product", *fields], if_not_exists=True)
    if version < _VALIDATIONS_ANEW:
        # made anew when asked for: older lists don't say what their versions' findings are found by
        database.table("resources").delete_where()
    for verb in ("update", "delete"):
        connection.execute(_APPEND_ONLY.format(verb=verb))
    connection.execute(_NOT_REPLACED)
    connection.execute(COUNT_JOBS)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _mend_validations(connection: sqlite3.Connection) -> None:
    """Bring the table to its form, if it has an old one: another process may have done it."""
    connection.execute("BEGIN IMMEDIATE")
    columns = [row[1] for row in connection.execute("PRAGMA table_info(validations)")]
    if "key" in columns:
        connection.execute("DROP TABLE validations")
    elif columns and "gone" not in columns:
        connection.execute("ALTER TABLE validations ADD COLUMN gone TEXT")
    connection.execute("COMMIT")
