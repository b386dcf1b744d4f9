"""What /readyz says: whether to send clients here, and what a person should look at."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from mirror.model import JobState, utcnow
from mirror.signing.certificate import expiry

if TYPE_CHECKING:
    from pathlib import Path

    from mirror.server.published import Published
    from mirror.service import Mirror

SOON = timedelta(days=14)
"""A certificate that expires sooner is to be renewed."""

ENDED = (JobState.SUCCEEDED, JobState.PARTIAL, JobState.FAILED)


class Readiness(msgspec.Struct, frozen=True):
    """`reasons` make the server not ready; `warnings` do not: it serves what it has.

    reasons: no_snapshot, draining. warnings: store_unwritable, low_space, channel_stale,
    certificate_not_renewed, certificate_expiring, source_stale, source_failing, sync_failing,
    catalogue_unreadable. A server that is starting accepts no connection at all.
    `channels` is the snapshot that each channel serves, `problems` sentences by channel.
    """

    ready: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    channels: dict[str, str]
    problems: dict[str, str]


def readiness(published: Published, *, draining: bool, disk: tuple[str, ...]) -> Readiness:
    """Judge what is published; `disk` is what `disk_warnings` found."""
    reasons = []
    if not published.channels:
        reasons.append("no_snapshot")
    if draining:
        reasons.append("draining")
    warnings = (*disk, "channel_stale") if published.problems else disk
    return Readiness(
        ready=not reasons,
        reasons=tuple(reasons),
        warnings=warnings,
        channels={name: c.tree.snapshot for name, c in published.channels.items()},
        problems=dict(published.problems),
    )


def state_warnings(mirror: Mirror) -> tuple[str, ...]:
    """Return what a person should know of sources, syncs and the certificate. Blocks.

    None of it keeps anyone from being served what was published.
    """
    states = {each.state for each in mirror.sources.states().values()}
    last = mirror.catalog.jobs.page(limit=1, states=ENDED)
    certificate = mirror.settings.server.tls_certificate
    found = {
        "source_stale": "stale" in states,
        "source_failing": "failing" in states,
        "sync_failing": bool(last) and last[0].state is JobState.FAILED,
        "certificate_expiring": bool(certificate and expiry(certificate) - utcnow() < SOON),
    }
    return tuple(name for name, is_so in found.items() if is_so)


def disk_warnings(incoming: Path, min_free: int) -> tuple[str, ...]:
    """Return what would stop the next sync, by a look at the disk. Blocks."""
    warnings = []
    if not os.access(incoming, os.W_OK):
        warnings.append("store_unwritable")
    try:
        status = os.statvfs(incoming)
    except OSError:
        return tuple(warnings)
    if status.f_bavail * status.f_frsize < min_free:
        warnings.append("low_space")
    return tuple(warnings)
