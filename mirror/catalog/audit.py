"""The audit log: every change that someone made. Rows are only ever added; a trigger holds it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mirror.catalog.database import text
from mirror.logs import redact
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
        """Write down a change: `actor` did `action` (`source.add`) to `subject`.

        No secret is written: a password in the address of a proxy becomes `***`.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO audit (at, actor, action, subject, before, after) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (utcnow().isoformat(), actor, action, subject, _text(before), _text(after)),
            )

    def page(self, *, before: int = 0, limit: int = 50, action: str = "") -> list[AuditEntry]:
        """Return entries, the newest first: those with an id below `before` (0: all).

        With `action` only those of that kind.
        """
        rows = self._database.rows(
            "SELECT id, at, actor, action, subject, before, after FROM audit "
            "WHERE (? = 0 OR id < ?) AND (? = '' OR action = ?) ORDER BY id DESC LIMIT ?",
            *(before, before, action, action, limit),
        )
        return [_entry(row) for row in rows]


def _text(value: object) -> str:
    return text(_without_secrets(msgspec.json.decode(msgspec.json.encode(value))))


def _without_secrets(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_secrets(each) for key, each in value.items()}
    return value


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
