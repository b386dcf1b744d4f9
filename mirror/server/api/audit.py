"""audit: who changed what, and who got an image that is not free. Nothing changes it."""

from __future__ import annotations

from typing import Annotated

from mirror.access.rights import Right
from mirror.model import AuditEntry
from mirror.server.api.inputs import Counted, matching
from mirror.server.api.pages import Page, window
from mirror.server.api.route import Call, Route


class EntriesWanted(Counted, frozen=True, forbid_unknown_fields=True):
    """Which entries: of this action alone (`channel.promote`, `download`; '': of any)."""

    action: Annotated[str, matching("[a-z._-]*", max_length=100)] = ""


def list_(call: Call) -> Page[AuditEntry]:
    """Return entries, the newest first."""
    query = call.query
    found = call.mirror.audit.list(
        before=int(query.after or 0), limit=query.limit + 1, action=query.action
    )
    return window(found, lambda entry: entry.id, query.limit)


ROUTES = (
    Route(
        method="GET",
        path="/audit",
        right=Right.ADMINISTER,
        handler=list_,
        summary="List the changes that were made and the downloads of what is not free.",
        tag="audit",
        query=EntriesWanted,
        returns=Page[AuditEntry],
    ),
)
