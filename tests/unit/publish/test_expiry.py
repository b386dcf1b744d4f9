from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mirror.publish.retention import Facts, Policy, decide

NOW = datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = Policy(keep=2, age=30 * DAY, unpulled=10 * DAY)


def snapshot(days: float) -> str:
    return f"{NOW - days * DAY:%Y%m%dT%H%M%SZ}-00000000"


def fate(days: float, *, needed: str = "", pulled: float | None = None):
    name = snapshot(days)
    facts = Facts(
        needed={name: needed} if needed else {},
        pulled={} if pulled is None else {name: NOW - pulled * DAY},
    )
    [found] = decide([name], facts, POLICY, NOW)
    assert found.snapshot == name
    return found


@pytest.mark.parametrize(
    ("found", "goes", "why"),
    [
        (fate(99, needed="channel stable publishes it"), False, "channel stable publishes it"),
        (fate(29), False, "younger than 30 days"),
        (fate(31), True, "31 days old, not among the last 2 of any channel, never pulled"),
        (fate(31, pulled=9), False, "last pulled on 2026-12-23 00:00"),
        (fate(31, pulled=11), True, "last pulled on 2026-12-21 00:00"),
    ],
)
def test_why_one_stays_or_goes(found, goes: bool, why: str) -> None:
    assert found.goes is goes
    assert why in found.why


def test_every_snapshot_is_decided_on_oldest_first() -> None:
    ids = [snapshot(days) for days in (1, 50, 40)]
    facts = Facts(needed={ids[2]: "a reason"}, pulled={})
    found = decide(ids, facts, POLICY, NOW)
    assert [each.snapshot for each in found] == sorted(ids)
    assert [each.goes for each in found] == [True, False, False]
