"""status, plugins and key: how the mirror is."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version

import msgspec

from mirror.access.rights import Right
from mirror.model import Job
from mirror.plugin_manager import PluginRecord
from mirror.server.api.inputs import Paged
from mirror.server.api.pages import Page, page
from mirror.server.api.route import Call, Route
from mirror.server.readiness import Readiness


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How this server is (`server`, as /readyz has it), what runs, and what is due.

    `next_sync` is null where the schedule is off.
    """

    version: str
    server: Readiness
    running: Job | None
    next_sync: datetime | None


class PublicKey(msgspec.Struct, frozen=True):
    """The key that signs what the mirror publishes. `armored` is what `gpg --import` takes."""

    fingerprint: str
    armored: str


def status(call: Call) -> Status:
    """Return how the mirror is."""
    return Status(
        version=version("maas-image-mirror"),
        server=call.readiness(),
        running=call.mirror.jobs.running(),
        next_sync=call.mirror.schedule.next_run(),
    )


def plugins(call: Call) -> Page[PluginRecord]:
    """Return what became of each plugin."""
    return page(call.mirror.plugins.records, lambda record: record.name, call.query)


def key(call: Call) -> PublicKey:
    """Return the public key."""
    ours = call.mirror.key
    return PublicKey(ours.fingerprint, ours.public_armored().decode())


ROUTES = (
    Route(
        method="GET",
        path="/status",
        right=Right.READ_STATE,
        handler=status,
        summary="Show how the server is, which job runs, and when the next one is due.",
        tag="status",
        returns=Status,
    ),
    Route(
        method="GET",
        path="/plugins",
        right=Right.READ_STATE,
        handler=plugins,
        summary="List the plugins, and what became of each.",
        tag="status",
        query=Paged,
        returns=Page[PluginRecord],
    ),
    Route(
        method="GET",
        path="/key",
        right=Right.READ_STATE,
        handler=key,
        summary="Show the key that signs what the mirror publishes.",
        tag="status",
        returns=PublicKey,
    ),
)
