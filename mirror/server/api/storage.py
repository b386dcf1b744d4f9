"""storage: bytes at rest."""

from __future__ import annotations

import msgspec

from mirror.access.rights import Right
from mirror.errors import Busy, SnapshotInvalid
from mirror.publish.retention import Fate
from mirror.server.api.inputs import Paged
from mirror.server.api.pages import Page, page
from mirror.server.api.route import Call, Route
from mirror.service.storage import CleanReport, StorageState

TAG = "storage"


class CleanWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether to say only what would go. It has no default: nothing goes by mistake."""

    dry_run: bool


def show(call: Call) -> StorageState:
    """Return how full the store is."""
    return call.mirror.storage.state()


def expiry(call: Call) -> Page[Fate]:
    """Return which snapshots the next gc drops, and why."""
    return page(call.mirror.storage.expire(), lambda fate: fate.snapshot, call.query)


def collect(call: Call) -> CleanReport:
    """Drop what nothing needs."""
    return call.mirror.storage.gc(dry_run=call.body.dry_run, by=call.by)


ROUTES = (
    Route(
        method="GET",
        path="/storage",
        right=Right.READ_STATE,
        handler=show,
        summary="Show how full the store is.",
        tag=TAG,
        returns=StorageState,
    ),
    Route(
        method="GET",
        path="/storage/expiry",
        right=Right.READ_STATE,
        handler=expiry,
        summary="Show which snapshots the next gc would drop, which stay, and why.",
        tag=TAG,
        query=Paged,
        returns=Page[Fate],
    ),
    Route(
        method="POST",
        path="/storage:gc",
        right=Right.OPERATE,
        handler=collect,
        summary="Drop the snapshots that retention lets go, and the files that nothing needs.",
        tag=TAG,
        body=CleanWanted,
        returns=CleanReport,
        errors=(Busy, SnapshotInvalid),
    ),
)
