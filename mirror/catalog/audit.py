"""The audit log: every change that someone made. Rows are only ever added; a trigger holds it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mirror.catalog.database import text
from mirror.model import AuditEntry, utcnow

if TYPE_CHECKING:
    from mirror.catalog.database import Database


class AuditLog:
    """The audit log of one catalogue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self, actor: str, action: str, subject: str, before: object = None, after: object = None
    ) -> None:
        """Write down a change: `actor` did `action` (`source.add`) to `subject`."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO audit (at, actor, action, subject, before, after) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (utcnow().isoformat(), actor, action, subject, text(before), text(after)),
            )

    def page(self, *, before: int = 0, limit: int = 50) -> list[AuditEntry]:
        """Return entries, the newest first: those with an id below `before` (0: all)."""
        rows = self._database.rows(
            "SELECT id, at, actor, action, subject, before, after FROM audit "
            "WHERE (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?",
            *(before, before, limit),
        )
        return [_entry(row) for row in rows]


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    number, at, actor, action, subject, before, after = row
    return AuditEntry(
        id=number,
        at=datetime.fromisoformat(at),
        actor=actor,
        action=action,
        subject=subject,
        before=msgspec.Raw(before.encode()),
        after=msgspec.Raw(after.encode()),
    )
