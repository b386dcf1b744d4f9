"""Until when a release is supported: what to say of it today."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

from mirror_ubuntu.codes import finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from mirror.api import Finding

_is_date = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch


def notices(attributes: Mapping[str, Any], today: date, warn_days: int) -> Iterable[Finding]:
    """Say that support ends within `warn_days`, or has ended.

    `support_eol` is the last day of standard support, `support_esm_eol` that of Expanded Security
    Maintenance. A date that can't be read is none.
    """
    standard = _date(attributes.get("support_eol"))
    if standard is None:
        return
    esm = _date(attributes.get("support_esm_eol"))
    if esm is None or esm <= standard:
        yield from _about("support", standard, "", today, warn_days)
    elif today <= standard:
        pro = f"; ESM until {esm} needs Ubuntu Pro"
        yield from _about("standard support", standard, pro, today, warn_days)
    else:
        yield finding(
            "ubuntu-support-ended",
            "",
            f"standard support ended on {standard}; " + _esm(esm, today),
        )
        if today <= esm:
            yield from _about("ESM", esm, "", today, warn_days)


def _esm(end: date, today: date) -> str:
    return f"ESM until {end} needs Ubuntu Pro" if today <= end else f"ESM ended on {end}"


def _about(what: str, end: date, more: str, today: date, warn_days: int) -> Iterable[Finding]:
    if today > end:
        yield finding("ubuntu-support-ended", "", f"{what} ended on {end}{more}")
    elif end - today <= timedelta(days=warn_days):
        yield finding("ubuntu-support-ends", "", f"{what} ends on {end}{more}")


def _date(value: object) -> date | None:
    if not isinstance(value, str) or not _is_date(value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None
