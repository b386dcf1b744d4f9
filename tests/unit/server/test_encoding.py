from __future__ import annotations

import pytest

from mirror.server.encoding import choose

BOTH = frozenset({"gzip", "zstd"})


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("zstd;q=0, gzip;q=0.2", "gzip"),
        ("*", "zstd"),
        ("*;q=0.5, zstd;q=0", "gzip"),
        ("identity, gzip;q=0.5", ""),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("gzip;q=0", ""),
        ("gzip;q=much", ""),
        ("identity", ""),
        ("br", ""),
        ("", ""),
    ],
)
def test_the_client_ranks_first_then_we_do(header, coding):
    assert choose(header, BOTH) == coding


def test_only_what_is_there_is_chosen():
    assert choose("zstd, gzip", frozenset({"gzip"})) == "gzip"
    assert choose("zstd, gzip", frozenset()) == ""
