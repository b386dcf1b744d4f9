"""Which snapshots may go: a pure function of what is known of each.

A snapshot stays while any of these holds:

- a channel publishes it, or still answers for its paths (the grace period);
- it is one of the last `keep` that a channel published: what a rollback needs;
- a pin needs a version that nothing newer has;
- it is younger than `age`;
- someone pulled it less than `unpulled` ago (at /snapshots/ID/, or while a channel published it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.store.snapshots import created_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta


class Policy(msgspec.Struct, frozen=True):
    """How long snapshots stay; the settings of [retention]."""

    keep: int
    age: timedelta
    unpulled: timedelta


class Facts(msgspec.Struct, frozen=True):
    """What decides, by the id of the snapshot. The values say why it stays, for a person."""

    needed: Mapping[str, str]
    pulled: Mapping[str, datetime]


class Fate(msgspec.Struct, frozen=True):
    """Whether a snapshot goes or stays, and why."""

    snapshot: str
    goes: bool
    why: str


def decide(ids: Iterable[str], facts: Facts, policy: Policy, now: datetime) -> tuple[Fate, ...]:
    """Decide on every snapshot, oldest first."""
    return tuple(_decide(each, facts, policy, now) for each in sorted(ids))


def _decide(snapshot_id: str, facts: Facts, policy: Policy, now: datetime) -> Fate:
    needed = facts.needed.get(snapshot_id)
    if needed:
        return Fate(snapshot_id, goes=False, why=needed)
    age = now - created_at(snapshot_id)
    if age < policy.age:
        return Fate(snapshot_id, goes=False, why=f"younger than {_days(policy.age)}")
    pulled = facts.pulled.get(snapshot_id)
    if pulled is not None and now - pulled < policy.unpulled:
        return Fate(snapshot_id, goes=False, why=f"last pulled on {pulled:%Y-%m-%d %H:%M}")
    last = f"last pulled on {pulled:%Y-%m-%d %H:%M}" if pulled else "never pulled"
    why = f"{_days(age)} old, not among the last {policy.keep} of any channel, {last}"
    return Fate(snapshot_id, goes=True, why=why)


def _days(span: timedelta) -> str:
    days = span.total_seconds() / 86400
    if days >= 2:
        return f"{days:.0f} days"
    return f"{days * 24:.0f} hours"
