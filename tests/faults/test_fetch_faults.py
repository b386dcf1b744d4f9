"""Each misbehaviour of an upstream while files are fetched: recovered from, or said with a code."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import pytest
from fetching import QUICK, Pool, make_file, wanted_of
from msgspec.structs import replace

from mirror.sync.events import Discarded, FileDone, FileFailed, Retrying
from mirror.testing import bad_upstream as bad
from mirror.testing.bad_upstream import BadUpstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SIZE = 60_000


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path / "pool")


@pytest.fixture
def upstream(tmp_path: Path) -> BadUpstream:
    return BadUpstream(tmp_path / "upstream")


@pytest.fixture
def data(upstream: BadUpstream) -> bytes:
    return make_file(upstream.root, "file", SIZE)


@pytest.fixture
async def url(upstream: BadUpstream) -> AsyncIterator[str]:
    async with upstream.serve() as address:
        yield address


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


PASSING = {
    "500": bad.status(500),
    "503 with Retry-After": bad.status(503, retry_after="0"),
    "429": bad.status(429),
    "408": bad.status(408),
    "cut before the answer": bad.cut(),
    "cut at the first byte": bad.cut(after=0),
    "cut in the middle": bad.cut(after=SIZE // 2),
    "cut at the last byte": bad.cut(after=SIZE - 1),
    "Content-Length too long": bad.claim_length(100),
    "Content-Length too short": bad.claim_length(-100),
    "first byte wrong": bad.flip_byte(0),
    "last byte wrong": bad.flip_byte(SIZE - 1),
    "no Content-Length": bad.chunked(),
    "endless": bad.endless(),
    "web page": bad.web_page(),
    "gzip that was not asked for": bad.gzipped(),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
async def test_what_happens_once_is_recovered_from(
    fault: bad.Fault, pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", fault)
    assert await pool.fetch(url, [wanted_of(url, "file", data)]) == []
    assert pool.blobs.path(sha(data)).read_bytes() == data
    assert pool.leftovers() == []
    assert pool.progress() == SIZE
    assert pool.of(FileDone) == [FileDone("file", SIZE)]
    assert pool.of(FileFailed) == []


LASTING = {
    "500": (bad.status(500), "MIR-402", 3),
    # aiohttp by itself asks once more when a connection is closed before the answer
    "cut before the answer": (bad.cut(), "MIR-404", 6),
    "Content-Length too long": (bad.claim_length(100), "MIR-213", 2),
    "Content-Length too short": (bad.claim_length(-100), "MIR-213", 2),
    "byte wrong": (bad.flip_byte(9), "MIR-212", 2),
    "endless": (bad.endless(), "MIR-213", 2),
    "web page": (bad.web_page(), "MIR-213", 2),
    "gzip that was not asked for": (bad.gzipped(), "MIR-213", 2),
    "404": (bad.status(404), "MIR-402", 1),
    "403": (bad.status(403), "MIR-402", 1),
    "401": (bad.status(401), "MIR-402", 1),
    "410": (bad.status(410), "MIR-402", 1),
    "redirect in circles": (bad.redirect(), "MIR-405", 6),
    "redirect out of HTTP": (bad.redirect("ftp://host"), "MIR-400", 3),
}


@pytest.mark.parametrize(("fault", "code", "requests"), LASTING.values(), ids=LASTING)
async def test_what_lasts_fails_that_file_alone(
    fault: bad.Fault,
    code: str,
    requests: int,
    pool: Pool,
    upstream: BadUpstream,
    url: str,
    data: bytes,
) -> None:
    other = make_file(upstream.root, "other", 500)
    upstream.on("file", fault, times=None)
    wanted = wanted_of(url, "file", data)
    failures = await pool.fetch(url, [wanted, wanted_of(url, "other", other)])
    assert [(failure.wanted, failure.error.code) for failure in failures] == [(wanted, code)]
    assert f"{url}/file" in failures[0].error.what
    assert [event.code for event in pool.of(FileFailed)] == [code]  # type: ignore[attr-defined]
    assert not pool.blobs.has(sha(data))
    assert pool.blobs.has(sha(other))
    assert upstream.paths().count("/file") == requests
    assert pool.leftovers() == []


async def test_a_cut_transfer_goes_on_where_it_stopped(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", bad.cut(after=20_000))
    upstream.on("file", bad.cut(after=20_000))
    assert await pool.fetch(url, [wanted_of(url, "file", data)]) == []
    asked = [request.headers for request in upstream.requests]
    assert "Range" not in asked[0]
    starts = [int(headers["Range"][6:].split("-")[0]) for headers in asked[1:3]]
    assert 0 < starts[0] <= 20_000 < starts[1] <= 40_000
    assert all(headers["If-Range"].startswith('"') for headers in asked[1:])
    assert pool.of(Discarded) == []


async def test_an_interrupted_run_is_resumed_by_the_next(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", bad.cut(after=30_000))
    upstream.on("file", bad.status(403))
    wanted = wanted_of(url, "file", data)
    assert len(await pool.fetch(url, [wanted])) == 1
    kept = (pool.incoming.partial(wanted.sha256)).stat().st_size
    assert kept == 30_000
    assert await pool.fetch(url, [wanted]) == []
    assert upstream.requests[-1].headers["Range"].startswith("bytes=30000-")
    assert upstream.requests[-1].headers["If-Range"]
    assert pool.blobs.path(wanted.sha256).read_bytes() == data
    assert pool.leftovers() == []


async def test_a_rotten_prefix_of_an_earlier_run_is_dropped(
    pool: Pool, url: str, data: bytes
) -> None:
    wanted = wanted_of(url, "file", data)
    pool.incoming.partial(wanted.sha256).write_bytes(b"rotten" * 1000)
    assert await pool.fetch(url, [wanted]) == []
    assert pool.of(Discarded)
    assert pool.progress() == SIZE


async def test_what_is_longer_than_the_file_is_dropped(pool: Pool, url: str, data: bytes) -> None:
    wanted = wanted_of(url, "file", data)
    pool.incoming.partial(wanted.sha256).write_bytes(data + b"more")
    assert await pool.fetch(url, [wanted]) == []
    assert pool.progress() == SIZE


async def test_what_an_earlier_run_got_whole_is_not_asked_for_again(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    wanted = wanted_of(url, "file", data)
    pool.incoming.partial(wanted.sha256).write_bytes(data)
    assert await pool.fetch(url, [wanted]) == []
    assert upstream.requests == []
    assert pool.blobs.has(wanted.sha256)


async def test_a_source_that_ignores_range_is_read_from_the_start(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", bad.cut(after=30_000))
    upstream.on("file", bad.ignore_range(), times=None)
    assert await pool.fetch(url, [wanted_of(url, "file", data)]) == []
    assert pool.progress() == SIZE
    assert ["Range" in request.headers for request in upstream.requests] == [False, True, False]


async def test_a_source_that_ignores_range_and_always_cuts_fails(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", bad.ignore_range(after=30_000), times=None)
    failures = await pool.fetch(url, [wanted_of(url, "file", data)])
    assert [failure.error.code for failure in failures] == ["MIR-404"]


async def test_a_file_that_changes_underway_is_read_from_the_start(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    wrong = bytes(SIZE)
    (upstream.root / "file").write_bytes(wrong)
    upstream.on("file", bad.cut(after=30_000))
    upstream.on("file", bad.status(403))
    wanted = wanted_of(url, "file", data)
    assert len(await pool.fetch(url, [wanted])) == 1
    (upstream.root / "file").write_bytes(data)
    assert await pool.fetch(url, [wanted]) == []
    assert pool.blobs.path(wanted.sha256).read_bytes() == data


@pytest.mark.parametrize("after", [None, 0, 10_000])
async def test_silence_is_noticed(
    after: int | None, pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", bad.stall(after=after))
    assert await pool.fetch(url, [wanted_of(url, "file", data)], stall=0.2) == []
    reasons = [event.reason for event in pool.of(Retrying)]  # type: ignore[attr-defined]
    assert len(reasons) == 1
    assert "no byte came" in reasons[0]


async def test_silence_that_lasts_is_stalled(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", bad.stall(after=10), times=None)
    options = replace(QUICK, attempts=2)
    failures = await pool.fetch(url, [wanted_of(url, "file", data)], options, stall=0.1)
    assert [failure.error.code for failure in failures] == ["MIR-403"]


async def test_a_trickle_is_stalled(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", bad.trickle(chunk=1, every=0.01), times=None)
    options = replace(QUICK, attempts=2, low_speed=10_000, low_speed_time=0.2)
    failures = await pool.fetch(url, [wanted_of(url, "file", data)], options)
    assert [failure.error.code for failure in failures] == ["MIR-403"]
    assert "bytes came in" in failures[0].error.what


async def test_progress_starts_the_count_of_attempts_anew(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    """Twice as many cuts as attempts: each brings bytes, so the file is had in the end."""
    upstream.on("file", bad.cut(after=8_000), times=6)
    options = replace(QUICK, connections=1, low_speed=1000, low_speed_time=5)
    assert await pool.fetch(url, [wanted_of(url, "file", data)], options) == []
    assert len(upstream.requests) == 7


async def test_the_source_is_waited_for_as_long_as_it_asks(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", bad.status(503, retry_after="1"))
    before = time.monotonic()
    assert await pool.fetch(url, [wanted_of(url, "file", data)]) == []
    assert time.monotonic() - before >= 1
    assert [event.wait for event in pool.of(Retrying)] == [1.0]  # type: ignore[attr-defined]


async def test_a_source_that_is_gone_does_not_cost_a_wait_for_each_file(
    pool: Pool, unused_tcp_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    wanted = [wanted_of(url, f"f{n}", str(n).encode()) for n in range(200)]
    options = replace(QUICK, wait_initial=0.2, wait_max=0.2)
    before = time.monotonic()
    failures = await pool.fetch(url, wanted, options)
    assert time.monotonic() - before < 10
    assert {failure.error.code for failure in failures} == {"MIR-401"}
    assert len(failures) == 200


async def test_the_second_address_of_a_file_is_used(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    make_file(upstream.root, "copy", 1)
    (upstream.root / "copy").write_bytes(data)
    upstream.on("file", bad.status(404), times=None)
    wanted = [wanted_of(url, "file", data), wanted_of(url, "copy", data)]
    assert await pool.fetch(url, wanted) == []
    assert pool.of(FileDone) == [FileDone("copy", SIZE)]


async def test_redirects_are_followed_without_the_credentials(
    tmp_path: Path, pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    elsewhere = BadUpstream(upstream.root)
    async with elsewhere.serve() as other:
        upstream.on("file", bad.redirect(other))
        failures = await pool.fetch(
            url, [wanted_of(url, "file", data)], username="me", password_file=str(password)
        )
    assert failures == []
    assert upstream.requests[0].headers["Authorization"] == "Basic bWU6c2VjcmV0"
    assert "Authorization" not in elsewhere.requests[0].headers
