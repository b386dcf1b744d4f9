"""Byte ranges and conditional requests (RFC 9110, sections 13 and 14), as pure functions."""

from __future__ import annotations

import re
from calendar import timegm
from email.utils import parsedate
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import hdrs

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_RANGES = 16
"""More ranges in one request, or ranges that overlap, get the whole file instead."""

_SPEC = re.compile(r"([0-9]{0,19})-([0-9]{0,19})", re.ASCII)
_ETAG = re.compile(r'(?:W/)?"[^"]*"')


class Span(NamedTuple):
    """Part of a file: `length` bytes from byte `start`."""

    start: int
    length: int


class Validators(NamedTuple):
    """What tells one state of a resource from another: a strong ETag, quoted, and its time.

    `modified` is in whole seconds since the epoch.
    """

    etag: str
    modified: int


def parse_range(text: str, size: int) -> list[Span] | None:
    """Return the parts of a file of `size` bytes that a Range header asks for.

    None: the header means nothing to us, send the whole file. An empty list: no part of it exists,
    answer 416.
    """
    unit, equals, specs = text.partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    spans = []
    for spec in specs.split(","):
        bounds = _SPEC.fullmatch(spec.strip())
        if bounds is None or bounds[0] == "-":
            return None
        span = _span(bounds[1], bounds[2], size)
        if span is None:
            return None
        if span.length > 0:
            spans.append(span)
    return None if _abusive(spans) else spans


def _span(first: str, last: str, size: int) -> Span | None:
    """Return one part; length 0 where it lies outside the file, None where it makes no sense."""
    if not first:
        length = min(int(last), size)
        return Span(size - length, length)
    if last and int(last) < int(first):
        return None
    end = min(int(last) + 1, size) if last else size
    return Span(int(first), max(0, end - int(first)))


def _abusive(spans: list[Span]) -> bool:
    if len(spans) > MAX_RANGES:
        return True
    ordered = sorted(spans)
    return any(a.start + a.length > b.start for a, b in pairwise(ordered))


def precondition(headers: Mapping[str, str], validators: Validators) -> int:
    """Return the status that the request's preconditions lead to: 200, 304 or 412."""
    wanted = headers.get(hdrs.IF_MATCH)
    before = _seconds(headers.get(hdrs.IF_UNMODIFIED_SINCE))
    if wanted is not None:
        if not _matches(wanted, validators.etag, weak=False):
            return 412
    elif before is not None and validators.modified > before:
        return 412
    if (known := headers.get(hdrs.IF_NONE_MATCH)) is not None:
        return 304 if _matches(known, validators.etag, weak=True) else 200
    since = _seconds(headers.get(hdrs.IF_MODIFIED_SINCE))
    return 304 if since is not None and validators.modified <= since else 200


def range_applies(headers: Mapping[str, str], validators: Validators) -> bool:
    """Say whether If-Range, when there is one, still names what we have."""
    condition = headers.get(hdrs.IF_RANGE)
    if condition is None:
        return True
    condition = condition.strip()
    if condition.startswith(('"', "W/")):
        return condition == validators.etag
    return _seconds(condition) == validators.modified


def _matches(header: str, etag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    tags = _ETAG.findall(header)
    return etag in (tag.removeprefix("W/") for tag in tags) if weak else etag in tags


def _seconds(date: str | None) -> int | None:
    """Return an HTTP date as seconds since the epoch; None where there is none to read."""
    parsed = parsedate(date) if date else None
    try:
        return timegm(parsed) if parsed else None
    except (ValueError, OverflowError):
        return None
