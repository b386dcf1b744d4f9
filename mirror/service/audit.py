"""The audit log: who changed what."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirror.model import AuditEntry
    from mirror.service.mirror import Mirror


class Audit:
    """The audit log of one mirror. There is no verb that changes it."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def list(self, *, before: int = 0, limit: int = 50) -> list[AuditEntry]:
        """Return entries, the newest first: those with an id below `before` (0: all)."""
        return self._mirror.catalog.audit.page(before=before, limit=limit)
