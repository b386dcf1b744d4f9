"""The time, as it is published."""

from __future__ import annotations

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return the time, aware, to the second: no finer time is published anywhere."""
    return datetime.now(UTC).replace(microsecond=0)
