from __future__ import annotations

import locale
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.errors import MetadataInvalid
from mirror.simplestreams.timestamps import format_updated, parse_updated

MOMENT = datetime(2025, 7, 24, 8, 1, 48, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Thu, 24 Jul 2025 08:01:48 +0000",
        "Thu, 24 Jul 2025 10:01:48 +0200",
        "Thu, 24 Jul 2025 08:01:48 GMT",
        "Thu, 24 Jul 2025 08:01:48 -0000",
        "24 Jul 2025 08:01:48 +0000",
        "2025-07-24T08:01:48Z",
        "2025-07-24T08:01:48+00:00",
        "2025-07-24T03:01:48.999-05:00",
        "2025-07-24 08:01:48",
    ],
)
def test_the_forms_that_publishers_write(text):
    assert parse_updated(text) == MOMENT
    assert parse_updated(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "Thu, 24 Jul 2025 08:01:48",
        "Thu, 24 Jul 2025 08:01:48 +0000 (and more)",
        "Thu, 32 Jul 2025 08:01:48 +0000",
        "Thu, 24 Jul 2025 08:01:48 +9999",
        "Thu, 24 Jui 2025 08:01:48 +0000",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "Thu, 24 Jul ٢٠٢٥ 08:01:48 +0000",
        "20250724080148" * 10,
    ],
)
def test_what_is_no_time_is_refused_with_the_form_that_is_wanted(text):
    with pytest.raises(MetadataInvalid, match="wanted 'Thu, 24 Jul 2025 08:01:48 \\+0000'"):
        parse_updated(text)


def test_written_as_maas_reads_it():
    assert format_updated(MOMENT) == "Thu, 24 Jul 2025 08:01:48 +0000"
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert format_updated(elsewhere) == "Thu, 24 Jul 2025 08:01:48 +0000"
    assert datetime.strptime(format_updated(MOMENT), "%a, %d %b %Y %H:%M:%S %z") == MOMENT


def test_the_locale_has_no_say():
    available = [name for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8", "C") if _has(name)]
    before = locale.setlocale(locale.LC_TIME)
    try:
        for name in available:
            locale.setlocale(locale.LC_TIME, name)
            assert format_updated(MOMENT) == "Thu, 24 Jul 2025 08:01:48 +0000"
            assert parse_updated("Thu, 24 Jul 2025 08:01:48 +0000") == MOMENT
    finally:
        locale.setlocale(locale.LC_TIME, before)


def _has(name: str) -> bool:
    before = locale.setlocale(locale.LC_TIME)
    try:
        locale.setlocale(locale.LC_TIME, name)
    except locale.Error:
        return False
    locale.setlocale(locale.LC_TIME, before)
    return True


@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_what_is_written_is_read_back_to_the_second(moment):
    assert parse_updated(format_updated(moment)) == moment.replace(microsecond=0)
