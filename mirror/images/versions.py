"""Names of versions: the day, then a serial number, each greater than all that came before."""

from __future__ import annotations

from datetime import date, timedelta

_MOST = 99
"""Versions of a day after its first: with a third digit, they would no longer sort as texts."""


def next_version(newest: str, today: date) -> str:
    """Return the name of the version after `newest` ('': there was none), made today.

    `20261124`, then `20261124.01` ... A clock that goes back makes no older version.
    """
    day = f"{today:%Y%m%d}"
    if newest < day:
        return day
    last, _, serial = newest.partition(".")
    number = int(serial or 0) + 1
    if number <= _MOST:
        return f"{last}.{number:02d}"
    after = date(int(last[:4]), int(last[4:6]), int(last[6:])) + timedelta(days=1)
    return f"{after:%Y%m%d}"
