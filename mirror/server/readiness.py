"""What /readyz says: whether to send clients here, and what a person should look at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from mirror.server.published import Published


class Readiness(msgspec.Struct, frozen=True):
    """`reasons` make the server not ready; `warnings` do not: it serves what it has.

    reasons: no_snapshot, draining. warnings: store_unwritable, low_space, channel_stale,
    certificate_not_renewed.
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
