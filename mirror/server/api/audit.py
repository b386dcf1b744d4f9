"""audit: who changed what. Nothing changes it."""

from __future__ import annotations

from mirror.access.rights import Right
from mirror.model import AuditEntry
from mirror.server.api.inputs import Counted
from mirror.server.api.pages import Page, window
from mirror.server.api.route import Call, Route


def list_(call: Call) -> Page[AuditEntry]:
    """Return entries, the newest first."""
    query = call.query
    found = call.mirror.audit.list(before=int(query.after or 0), limit=query.limit + 1)
    return window(found, lambda entry: entry.id, query.limit)


ROUTES = (
    Route(
        method="GET",
        path="/audit",
        right=Right.ADMINISTER,
        handler=list_,
        summary="List the changes that were made, the newest first.",
        tag="audit",
        query=Counted,
        returns=Page[AuditEntry],
    ),
)
