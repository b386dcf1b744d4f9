"""Windows of local time, and when the schedule runs next. No I/O.

A window is `[DAYS] [HH:MM-HH:MM]`: days first (`mon-fri`, `sat,sun`; none: every day), then a time
(none: the whole day). A time that ends before it begins goes on into the next day, and belongs to
the day on which it began. What counts is the clock on the wall: an hour that daylight saving skips
is in no window, one that it repeats is in it twice.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mirror.errors import ScheduleInvalid, WindowInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo
    from random import Random

    from mirror.model import Schedule

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_WEEK = 7 * _DAY
_TIME = re.compile(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)", re.ASCII)
_SHORTEST = timedelta(seconds=1)
_LONGEST = timedelta(days=366)
_HORIZON = 15 * _DAY
"""Minutes to look ahead: what is open in any week is open in one of two, whatever the clocks do."""


def minutes_of(window: str) -> Iterator[int]:
    """Yield the minutes of the week (0: Monday 00:00) that a window covers.

    Raises `WindowInvalid`.
    """
    words = window.lower().split()
    time = _TIME.fullmatch(words[-1]) if words else None
    days = words[:-1] if time else words
    if not words or len(days) > 1:
        raise WindowInvalid(f"{window!r} is not a window of time")
    begin, length = _span(time, window) if time else (0, _DAY)
    for day in _days(days[0], window) if days else range(7):
        first = day * _DAY + begin
        yield from (minute % _WEEK for minute in range(first, first + length))


def open_minutes(allowed: Iterable[str], quiet: Iterable[str]) -> bytes:
    """Return one byte for each minute of the week: 1 where a sync may start.

    Raises `WindowInvalid`.
    """
    allowed = tuple(allowed)
    week = bytearray(_WEEK) if allowed else bytearray(b"\1" * _WEEK)
    for window in allowed:
        for minute in minutes_of(window):
            week[minute] = 1
    for window in quiet:
        for minute in minutes_of(window):
            week[minute] = 0
    return bytes(week)


def check_schedule(schedule: Schedule) -> None:
    """Raise `WindowInvalid` or `ScheduleInvalid` for a schedule that can't be kept."""
    if not _SHORTEST <= schedule.interval <= _LONGEST:
        raise ScheduleInvalid(f"an interval of {schedule.interval} is not between 1 s and 366 days")
    if not timedelta(0) <= schedule.jitter <= _LONGEST:
        raise ScheduleInvalid(f"a jitter of {schedule.jitter} is not between 0 and 366 days")
    if not any(open_minutes(schedule.allowed, schedule.quiet)):
        raise ScheduleInvalid("the windows leave no time to sync in")


def may_start(schedule: Schedule, at: datetime, zone: tzinfo | None = None) -> bool:
    """Say whether the windows let a sync start `at`. Raises `WindowInvalid`."""
    return _is_open(open_minutes(schedule.allowed, schedule.quiet), at, zone)


def next_run(
    schedule: Schedule,
    last: datetime | None,
    now: datetime,
    rng: Random,
    zone: tzinfo | None = None,
) -> datetime | None:
    """Return when to sync next, not before `now`: always inside the windows.

    `last` is when the last run was started (None: never; the next is due now). Windows are in
    `zone` (None: the machine's). None when the schedule is off or its windows leave no time. Raises
    `WindowInvalid`.
    """
    week = open_minutes(schedule.allowed, schedule.quiet)
    if not schedule.enabled or not any(week):
        return None
    due = max(now, last + schedule.interval) if last else now
    opens = _first_open(week, due, zone)
    if opens is None:
        return None
    # after the opening, so that not every mirror starts when a window does
    late = opens + schedule.jitter * rng.random()
    return late if _is_open(week, late, zone) else opens


def _first_open(week: bytes, due: datetime, zone: tzinfo | None) -> datetime | None:
    if _is_open(week, due, zone):
        return due
    # in UTC, where no minute is missing
    minute = due.astimezone(UTC).replace(second=0, microsecond=0)
    for ahead in range(1, _HORIZON + 1):
        at = minute + timedelta(minutes=ahead)
        if _is_open(week, at, zone):
            return at
    return None


def _is_open(week: bytes, at: datetime, zone: tzinfo | None) -> bool:
    wall = at.astimezone(zone)
    return bool(week[wall.weekday() * _DAY + wall.hour * 60 + wall.minute])


def _span(time: re.Match[str], window: str) -> tuple[int, int]:
    """Return the minute of the day at which a time begins, and how many minutes it has."""
    hour, minute, last_hour, last_minute = map(int, time.groups())
    begin, end = hour * 60 + minute, last_hour * 60 + last_minute
    if minute > 59 or last_minute > 59 or begin >= _DAY or end > _DAY:
        raise WindowInvalid(f"{window!r} has a time that no clock shows")
    if begin == end:
        raise WindowInvalid(f"{window!r} ends when it begins; the whole day is 00:00-24:00")
    return begin, (end - begin) % _DAY or _DAY


def _days(words: str, window: str) -> Iterator[int]:
    for part in words.split(","):
        first, _, last = part.partition("-")
        unknown = [day for day in (first, last or first) if day not in _DAYS]
        if unknown or part.endswith("-"):
            raise WindowInvalid(f"{window!r}: {part!r} is not a day, nor days from one to another")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        yield from (day % 7 for day in range(begin, begin + (end - begin) % 7 + 1))
