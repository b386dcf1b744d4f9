"""The audit log: who changed what, and who got an image that is not free."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.model import AuditEntry
    from mirror.service.mirror import Mirror


DOWNLOAD = "download"
"""The action of an entry that tells of no change."""


class Audit:
    """The audit log of one mirror. Verbs write their changes into it; none changes an entry."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def list(self, *, before: int = 0, limit: int = 50, action: str = "") -> list[AuditEntry]:
        """Return entries, the newest first: those with an id below `before` (0: all).

        With `action` (`channel.promote`, `download`) only those of that kind.
        """
        return self._mirror.catalog.audit.page(before=before, limit=limit, action=action)

    def record_download(self, actor: str, subject: str, facts: Mapping[str, object]) -> None:
        """Write down that `actor` is about to get `subject`, which is not free: no change, a use.

        Raises `StoreError`.
        """
        self._mirror.catalog.audit.record(actor, DOWNLOAD, subject, None, facts)
