"""The `updated` of metadata files, in the few forms that publishers write."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from mirror.errors import MetadataInvalid

_RFC_2822 = re.compile(
    r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:[+-]\d{4}|GMT|UTC|Z)",
    re.ASCII,
)


def parse_updated(text: str) -> datetime:
    """Return the time in UTC, to the second.

    Takes `Thu, 24 Jul 2025 08:01:48 +0000`, the same with `GMT`, and ISO 8601; without a zone it is
    UTC. Raises MetadataInvalid for anything else.
    """
    try:
        if _RFC_2822.fullmatch(text):
            moment = parsedate_to_datetime(text)
        else:
            moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).replace(microsecond=0)
    except (TypeError, ValueError, OverflowError) as error:
        what = f"not a time: {text[:60]!r} (wanted 'Thu, 24 Jul 2025 08:01:48 +0000')"
        raise MetadataInvalid(what) from error


def format_updated(moment: datetime) -> str:
    """Write an aware time as `Thu, 24 Jul 2025 08:01:48 +0000`: the one form that all MAAS read."""
    return format_datetime(moment.astimezone(UTC))
