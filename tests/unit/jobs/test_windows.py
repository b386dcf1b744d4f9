from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.errors import ScheduleInvalid, WindowInvalid
from mirror.jobs.windows import check_schedule, may_start, minutes_of, next_run
from mirror.model import Schedule

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
JANUARY = datetime(2024, 1, 1, tzinfo=UTC)
PLAIN = Schedule(jitter=timedelta(0))


class Late(random.Random):
    """Always draws the latest moment of the jitter."""

    def random(self):
        return 0.999999


def at(text, zone=BERLIN):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def windows(text):
    """Return a window's minutes as {(day, minute of the day)}."""
    return {(DAYS[minute // 1440], minute % 1440) for minute in minutes_of(text)}


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("sat,sun", [("sat", 0), ("sun", 1439)], [("fri", 1439), ("mon", 0)]),
        ("mon-fri", [("mon", 0), ("wed", 700), ("fri", 1439)], [("sat", 0), ("sun", 1439)]),
        ("fri-mon", [("fri", 0), ("sun", 5), ("mon", 1439)], [("tue", 0), ("thu", 1439)]),
        ("22:00-06:00", [("mon", 0), ("mon", 359), ("sun", 1320)], [("mon", 360), ("tue", 1319)]),
        (
            "mon-fri 22:00-06:00",
            [("mon", 1320), ("fri", 1439), ("sat", 359)],
            [("mon", 0), ("sat", 360), ("sat", 1320), ("sun", 100)],
        ),
        ("sun 23:30-00:30", [("sun", 1439), ("mon", 29)], [("sun", 29), ("mon", 30)]),
        ("SAT 9:00-17:30", [("sat", 540), ("sat", 1049)], [("sat", 539), ("sat", 1050)]),
        ("00:00-24:00", [("mon", 0), ("sun", 1439)], []),
    ],
)
def test_what_a_window_covers(window, inside, outside):
    covered = windows(window)
    assert covered.issuperset(inside)
    assert covered.isdisjoint(outside)


@pytest.mark.parametrize(
    "window",
    [
        "",
        "  ",
        "monday",
        "mon-",
        "-fri",
        "mon,,tue",
        "mon tue",
        "25:00-26:00",
        "24:00-06:00",
        "22:00-24:01",
        "10:60-11:00",
        "10:00",
        "10:00-10:00",
        "22:00 - 06:00",
        "mon-fri 22:00-06:00 sat",
        "٢٢:00-06:00",
    ],
)
def test_a_bad_window_is_refused_with_the_grammar(window):
    with pytest.raises(WindowInvalid) as refused:
        check_schedule(Schedule(quiet=(window,)))
    assert "mon-fri 22:00-06:00" in refused.value.remedy
    assert repr(window) in refused.value.what


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(interval=timedelta(0)),
        Schedule(interval=timedelta(days=400)),
        Schedule(jitter=timedelta(seconds=-1)),
        Schedule(allowed=("22:00-06:00",), quiet=("20:00-08:00",)),
        Schedule(quiet=("mon-sun",)),
    ],
)
def test_a_schedule_that_could_never_run_is_refused(schedule):
    with pytest.raises(ScheduleInvalid):
        check_schedule(schedule)


def test_the_first_run_is_now_and_the_next_an_interval_after_the_last():
    now = at("2026-06-10 12:00")
    rng = random.Random(1)
    assert next_run(PLAIN, None, now, rng) == now
    last = now - timedelta(minutes=10)
    assert next_run(PLAIN, last, now, rng) == last + timedelta(minutes=60)
    overdue = now - timedelta(days=3)
    assert next_run(PLAIN, overdue, now, rng) == now


def test_jitter_comes_on_top_and_never_more_than_it_may():
    schedule = Schedule(jitter=timedelta(minutes=5))
    now = at("2026-06-10 12:00")
    drawn = {next_run(schedule, None, now, random.Random(seed)) for seed in range(200)}
    assert len(drawn) > 100
    assert now <= min(drawn) < now + timedelta(seconds=10)
    assert now + timedelta(minutes=4, seconds=50) < max(drawn) <= now + timedelta(minutes=5)


def test_a_switched_off_schedule_has_no_next_run():
    assert next_run(Schedule(enabled=False), None, at("2026-06-10 12:00"), random.Random()) is None


def test_it_waits_for_the_window_and_jitter_does_not_leave_it():
    schedule = msgspec.structs.replace(PLAIN, allowed=("mon-fri 22:00-06:00",))
    saturday = at("2026-06-13 07:00")
    assert next_run(schedule, None, saturday, random.Random(), BERLIN) == at("2026-06-15 22:00")
    friday_night = at("2026-06-13 05:59")
    assert next_run(schedule, None, friday_night, random.Random(), BERLIN) == friday_night
    late = msgspec.structs.replace(schedule, jitter=timedelta(minutes=30))
    assert next_run(late, None, friday_night, Late(), BERLIN) == friday_night
    assert next_run(late, None, saturday, Late(), BERLIN) > at("2026-06-15 22:29")


def test_a_quiet_window_wins_over_an_allowed_one():
    schedule = msgspec.structs.replace(PLAIN, allowed=("20:00-24:00",), quiet=("mon 20:00-21:00",))
    monday = at("2026-06-15 20:10")
    assert next_run(schedule, None, monday, random.Random(), BERLIN) == at("2026-06-15 21:00")


def test_a_window_that_the_clock_change_skips_is_missed_that_day():
    # 2026-03-29: at 02:00 the clocks go to 03:00
    schedule = msgspec.structs.replace(PLAIN, allowed=("02:15-02:45",))
    before = at("2026-03-29 00:30")
    assert next_run(schedule, None, before, random.Random(), BERLIN) == at("2026-03-30 02:15")


def test_a_window_that_begins_in_the_skipped_hour_begins_after_it():
    schedule = msgspec.structs.replace(PLAIN, allowed=("02:30-04:00",))
    before = at("2026-03-29 01:00")
    due = next_run(schedule, None, before, random.Random(), BERLIN)
    assert due == at("2026-03-29 03:00")


def test_an_hour_that_comes_twice_is_in_its_window_twice():
    # 2026-10-25: at 03:00 the clocks go back to 02:00
    schedule = msgspec.structs.replace(PLAIN, allowed=("02:00-02:30",))
    first = datetime(2026, 10, 25, 0, 10, tzinfo=UTC)
    assert may_start(schedule, first, BERLIN)
    assert not may_start(schedule, first + timedelta(minutes=30), BERLIN)
    assert may_start(schedule, first + timedelta(minutes=60), BERLIN)
    due = next_run(schedule, None, first + timedelta(minutes=30), random.Random(), BERLIN)
    assert due == datetime(2026, 10, 25, 1, 0, tzinfo=UTC)


def test_without_a_zone_it_is_the_machines(monkeypatch):
    import time

    schedule = msgspec.structs.replace(PLAIN, allowed=("22:00-23:00",))
    monkeypatch.setenv("TZ", "Asia/Kolkata")  # UTC + 5:30
    time.tzset()
    try:
        due = next_run(schedule, None, datetime(2026, 6, 10, 12, 0, tzinfo=UTC), random.Random())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert due == datetime(2026, 6, 10, 16, 30, tzinfo=UTC)


times = st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 24), st.integers(0, 59))
spans = times.filter(lambda t: (t[2], t[3]) <= (24, 0) and t[:2] != t[2:]).map(
    lambda t: f"{t[0]:02}:{t[1]:02}-{t[2]:02}:{t[3]:02}"
)
days = st.one_of(
    st.sampled_from(DAYS),
    st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map("-".join),
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=3).map(",".join),
)
any_window = st.one_of(spans, days, st.tuples(days, spans).map(" ".join))
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
)


@settings(deadline=None, max_examples=300)
@given(
    allowed=st.lists(any_window, max_size=3),
    quiet=st.lists(any_window, max_size=2),
    now=st.integers(0, 6 * 366 * 86400).map(lambda s: JANUARY + timedelta(seconds=s)),
    since=st.timedeltas(timedelta(0), timedelta(days=40)),
    jitter=st.timedeltas(timedelta(0), timedelta(hours=5)),
    interval=st.timedeltas(timedelta(seconds=1), timedelta(days=10)),
    zone=zones.map(ZoneInfo),
    seed=st.integers(0, 2**32),
)
def test_a_run_is_always_inside_the_windows(
    allowed, quiet, now, since, jitter, interval, zone, seed
):
    schedule = Schedule(
        interval=interval, jitter=jitter, allowed=tuple(allowed), quiet=tuple(quiet)
    )
    last = now - since
    due = next_run(schedule, last, now, random.Random(seed), zone)
    covered = set().union(*map(windows, allowed)) if allowed else windows("mon-sun")
    open_at = covered - set().union(set(), *map(windows, quiet))
    if due is None:
        assert not open_at
        return
    wall = due.astimezone(zone)
    assert (DAYS[wall.weekday()], wall.hour * 60 + wall.minute) in open_at
    assert due >= max(now, last + interval)
