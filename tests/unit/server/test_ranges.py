from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from mirror.server.ranges import (
    MAX_RANGES,
    Validators,
    parse_range,
    precondition,
    range_applies,
)

ETAG = '"abc"'
MODIFIED = 1753344108  # Thu, 24 Jul 2025 08:01:48 GMT
DATE = "Thu, 24 Jul 2025 08:01:48 GMT"
EARLIER = "Thu, 24 Jul 2025 08:01:47 GMT"
NOW = Validators(ETAG, MODIFIED)


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-99", [(0, 100)]),
        ("bytes=10-", [(10, 90)]),
        ("bytes=90-1000", [(90, 10)]),
        ("bytes=-1", [(99, 1)]),
        ("bytes=-1000", [(0, 100)]),
        ("Bytes = 5-6", [(5, 2)]),
        ("bytes=0-1, 4-5 ,-2", [(0, 2), (4, 2), (98, 2)]),
        ("bytes=4-5,0-1", [(4, 2), (0, 2)]),
        ("bytes=0-1,200-", [(0, 2)]),
    ],
)
def test_ranges_that_can_be_sent(header, spans):
    assert parse_range(header, 100) == spans


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=200-,300-"])
def test_ranges_outside_the_file_are_416(header):
    assert parse_range(header, 100) == []


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=+1-2",
        "bytes=1-2-3",
        "bytes=0-1,,3-4",
        "bytes=\u0661-2",
        "lines=0-1",
        "bytes=0-99999999999999999999999",
        "bytes=0-10,5-20",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(MAX_RANGES + 1)),
    ],
)
def test_a_header_that_makes_no_sense_or_asks_too_much_is_ignored(header):
    assert parse_range(header, 100) is None


def test_nothing_of_an_empty_file_can_be_sent():
    assert parse_range("bytes=0-", 0) == []
    assert parse_range("bytes=-5", 0) == []


@given(
    header=st.from_regex(
        r"bytes=([0-9]{0,4}-[0-9]{0,4})(,[0-9]{0,4}-[0-9]{0,4}){0,3}", fullmatch=True
    ),
    size=st.integers(0, 5000),
)
def test_every_span_lies_within_the_file_and_none_overlaps(header, size):
    seen = set()
    for start, length in parse_range(header, size) or []:
        assert length > 0
        assert start >= 0
        assert start + length <= size
        assert seen.isdisjoint(range(start, start + length))
        seen.update(range(start, start + length))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"if-none-match": ETAG}, 304),
        ({"If-None-Match": f'"x", W/{ETAG}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-None-Match": "abc"}, 200),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": EARLIER}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": "Thu, 99 Jul 2025 08:01:48 GMT"}, 304),
        ({"If-None-Match": '"x"', "If-Modified-Since": DATE}, 200),
        ({"If-Match": ETAG}, 200),
        ({"If-Match": f"W/{ETAG}"}, 412),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"x"'}, 412),
        ({"If-Unmodified-Since": DATE}, 200),
        ({"If-Unmodified-Since": EARLIER}, 412),
        ({"If-Match": ETAG, "If-Unmodified-Since": EARLIER}, 200),
        ({"If-Match": ETAG, "If-None-Match": ETAG}, 304),
    ],
)
def test_preconditions(headers, status):
    assert precondition(CIMultiDict(headers), NOW) == status


@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        (ETAG, True),
        (f"W/{ETAG}", False),
        ('"x"', False),
        (DATE, True),
        (EARLIER, False),
        ("nonsense", False),
    ],
)
def test_if_range(condition, applies):
    assert range_applies(CIMultiDict({"if-range": condition}), NOW) is applies


def test_a_range_without_a_condition_applies():
    assert range_applies(CIMultiDict(), NOW)
