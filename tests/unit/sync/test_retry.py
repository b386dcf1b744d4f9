"""Which errors are worth another try."""

from __future__ import annotations

import pytest

from mirror.errors import (
    DigestMismatch,
    FetchError,
    HttpStatus,
    SizeMismatch,
    Stalled,
    TlsFailed,
    TooManyRedirects,
    Truncated,
    Unreachable,
)
from mirror.sync.retry import backoff, worth_retrying
from mirror.sync.transfer import NotResumed


@pytest.mark.parametrize("error", [Stalled, Truncated, Unreachable, FetchError])
def test_what_the_network_does_passes(error: type[FetchError]) -> None:
    assert backoff(error("it happened")) is True


@pytest.mark.parametrize("error", [TlsFailed, TooManyRedirects, NotResumed, DigestMismatch])
def test_what_is_wrong_stays_wrong(error: type[Exception]) -> None:
    assert backoff(error("it happened")) is False
    assert not worth_retrying(SizeMismatch("it happened"))


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408, 425])
def test_a_busy_source_is_asked_again(status: int) -> None:
    assert backoff(HttpStatus("busy", status=status)) is True
    assert backoff(HttpStatus("busy", status=status, retry_after=7)) == 7


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_clear_no_is_taken_for_one(status: int) -> None:
    assert backoff(HttpStatus("no", status=status, retry_after=7)) is False


def test_nobody_waits_for_hours() -> None:
    assert backoff(HttpStatus("busy", status=503, retry_after=86400)) == 300
