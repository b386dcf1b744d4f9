"""A source with several addresses: which is asked, when the next one is, and what never happens."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import pytest

from mirror.errors import (
    KeyNotTrusted,
    Rollback,
    SignatureInvalid,
    Stale,
    TlsFailed,
    Truncated,
)
from mirror.sync.events import Discarded, Note, Received, SourceChecked
from mirror.testing import bad_upstream as bad
from mirror.testing.sample import SampleUpstream

if TYPE_CHECKING:
    from pathlib import Path

INDEX = "/streams/v1/index.sjson"
NOBODY = "http://127.0.0.1:9/"


def images(paths: list[str]) -> list[str]:
    return [path for path in paths if not path.startswith("/streams/")]


def warnings(mut) -> list[str]:
    return [e.message for e in mut.events if isinstance(e, Note) and e.level == "warning"]


@pytest.fixture
def pair(sample_upstream, misbehave):
    """Two addresses of one stream: (url, what serves it), twice."""
    return misbehave(sample_upstream.root), misbehave(sample_upstream.root)


@pytest.fixture
def source(mut, sample_upstream, pair):
    """A mirror whose source has both addresses, and a selection."""
    (first, _), (second, _) = pair
    mut.add_source(sample_upstream, first, fallback_urls=(second + "/",))
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    return mut


async def test_while_the_first_answers_the_second_is_not_asked(source, pair):
    (_, first), (_, second) = pair
    await source.sync()
    await source.sync()
    assert second.requests == []
    assert first.paths()[-1] == INDEX
    assert warnings(source) == []


@pytest.mark.parametrize(
    "fault",
    [bad.status(404), bad.status(503), bad.status(403), bad.cut(), bad.stall(), bad.web_page()],
    ids=["404", "503", "403", "closed", "silent", "login page"],
)
async def test_what_the_first_has_not_comes_from_the_second(source, sample_upstream, pair, fault):
    (_, first), (second_url, second) = pair
    first.on("streams/*", fault, times=None)
    result = await source.sync()
    assert (result.status, result.exit_status) == ("published", 0)
    assert images(first.paths()) == []
    assert len(images(second.paths())) == len(result.to_fetch)
    assert any(f"asking {second_url}/ instead" in warning for warning in warnings(source))
    status = source.mirror.sources.state("main")
    assert (status.state, status.url) == ("good", second_url + "/")
    assert [problem.about for problem in status.passed_over] == [pair[0][0] + "/"]


async def test_a_first_address_that_is_gone_costs_the_second_one_conditional_request(
    mut, sample_upstream, serve
):
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, NOBODY, fallback_urls=(served.url,))
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    await mut.sync()
    served.requests.clear()
    result = await mut.sync()
    assert result.status == "unchanged"
    assert [(r.path, r.status) for r in served.requests] == [(INDEX, 304)]


async def test_a_certificate_that_is_not_trusted_is_passed_over(mut, sample_upstream, serve):
    plain = serve(sample_upstream.root).url
    mut.add_source(sample_upstream, plain.replace("http:", "https:"), fallback_urls=(plain,))
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    assert (await mut.sync()).status == "published"
    [problem] = mut.mirror.sources.state("main").passed_over
    assert problem.code in {TlsFailed.code, "MIR-404"}


async def test_a_stream_is_taken_whole_from_one_address(source, pair):
    (_, first), (_, second) = pair
    first.on("streams/v1/com.ubuntu*", bad.status(500), times=None)
    await source.sync()
    asked = [path for path in second.paths() if path.startswith("/streams/")]
    assert INDEX in asked
    assert len(asked) == len(set(first.paths()))  # the index and every products file, all again


@pytest.mark.parametrize(
    "addresses", [lambda url: url, lambda url: url + "/", lambda url: url + INDEX]
)
async def test_addresses_may_be_written_in_any_form(mut, sample_upstream, serve, addresses):
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, NOBODY, fallback_urls=(addresses(served.url),))
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    assert (await mut.sync()).status == "published"
    assert not [request for request in served.requests if "//" in request.path]


# --- what is not passed over ----------------------------------------------------------------------


async def test_a_forged_index_stops_the_source(source, pair):
    (_, first), (_, second) = pair
    first.on("streams/v1/index.sjson", bad.flip_byte(120), times=None)
    with pytest.raises(SignatureInvalid):
        await source.sync()
    assert second.requests == []
    assert source.mirror.sources.state("main").problem.code == "MIR-204"


async def test_another_key_stops_the_source(
    mut, sample_upstream, other_signing_key, tmp_path: Path, serve, misbehave
):
    other = SampleUpstream.create(tmp_path / "other", key=other_signing_key)
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, serve(other.root).url, fallback_urls=(served.url,))
    mut.select("os=ubuntu", "arch=amd64")
    with pytest.raises(KeyNotTrusted, match=other_signing_key.fingerprint):
        await mut.sync()
    assert served.requests == []


# --- nobody can force an older stream upon us -----------------------------------------------------


@pytest.fixture
def yesterday(sample_upstream, tmp_path: Path) -> Path:
    """The sample as it was, before it got another version."""
    old = tmp_path / "yesterday"
    shutil.copytree(sample_upstream.root, old)
    sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.write()
    return old


async def test_closing_the_first_address_does_not_bring_back_an_older_stream(
    source, pair, yesterday
):
    (first_url, first), (second_url, second) = pair
    published = await source.sync()
    before = source.versions()
    first.on("*", bad.cut(), times=None)
    second.on("*", bad.serve_from(yesterday), times=None)
    for accept_rollback in (False, True):
        with pytest.raises(Truncated) as raised:
            await source.sync(accept_rollback=accept_rollback)
        # the first address speaks for the source: nobody is invited to accept the older one
        assert first_url in raised.value.what
        assert f"{second_url}/: " in raised.value.what
        assert Rollback.code in raised.value.what
    assert source.mirror.channels.pointers()["stable"] == published.snapshot
    assert source.versions() == before


async def test_a_first_address_that_is_behind_is_passed_over_aloud(
    source, sample_upstream, pair, yesterday
):
    (_, first), (second_url, second) = pair
    await source.sync()
    first.on("*", bad.serve_from(yesterday), times=None)
    sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.write()
    result = await source.sync()
    assert len(result.added) == 1  # of the second, which has what is new
    assert any("MIR-207" in warning for warning in warnings(source))
    status = source.mirror.sources.state("main")
    assert (status.state, status.url) == ("good", second_url + "/")
    assert [problem.code for problem in status.passed_over] == ["MIR-207"]
    assert second.requests


async def test_when_every_address_is_behind_it_is_a_rollback(source, pair, yesterday):
    await source.sync()
    for _, upstream in pair:
        upstream.on("*", bad.serve_from(yesterday), times=None)
    with pytest.raises(Rollback):
        await source.sync()


async def test_a_frozen_first_address_does_not_freeze_us(
    mut, sample_upstream, tmp_path: Path, serve
):
    frozen = tmp_path / "frozen"
    SampleUpstream.create(frozen, key=sample_upstream.key, updated=datetime(2024, 1, 1, tzinfo=UTC))
    fresh = serve(sample_upstream.root)
    mut.add_source(sample_upstream, serve(frozen).url, fallback_urls=(fresh.url,))
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    assert (await mut.sync()).status == "published"
    [problem] = mut.mirror.sources.state("main").passed_over
    assert problem.code == Stale.code


# --- files ----------------------------------------------------------------------------------------


async def test_an_address_that_dies_in_the_middle_of_a_file_is_left_for_another(
    mut, signing_key, tmp_path: Path, misbehave
):
    large = SampleUpstream.create(tmp_path / "large", key=signing_key, size=5 << 20, versions=1)
    (first_url, first), (second_url, second) = misbehave(large.root), misbehave(large.root)
    mut.add_source(large, first_url, fallback_urls=(second_url,))
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    squashfs = next(path for path in large.files() if fnmatch(path, "noble/amd64/*/squashfs"))
    first.on(squashfs, bad.cut(after=3 << 20), times=1)
    first.on(squashfs, bad.cut(), times=None)
    result = await mut.sync()
    assert (result.status, result.exit_status) == ("published", 0)
    assert any("trying another address" in warning for warning in warnings(mut))
    assert mut.published()[squashfs] == large.files()[squashfs]
    [resumed] = [request for request in second.requests if request.path == "/" + squashfs]
    # what the first had sent is kept: the digest says in the end whether it was right
    start = int(resumed.headers["Range"].removeprefix("bytes=").partition("-")[0])
    assert 1 << 20 <= start <= 3 << 20
    assert "If-Range" not in resumed.headers
    received = sum(e.bytes for e in mut.events if isinstance(e, Received))
    taken_back = sum(e.bytes for e in mut.events if isinstance(e, Discarded))
    assert received - taken_back == result.bytes_to_fetch


@pytest.mark.parametrize(
    "fault",
    [bad.status(404), bad.status(500), bad.flip_byte(), bad.claim_length(-10), bad.stall()],
    ids=["404", "500", "wrong bytes", "short", "silent"],
)
async def test_a_file_that_one_address_has_not_right_comes_from_another(source, pair, fault):
    (_, first), (_, second) = pair
    first.on("noble/*/boot-kernel", fault, times=None)
    result = await source.sync()
    assert (result.status, result.left_out) == ("published", ())
    assert any("boot-kernel" in path for path in second.paths())


async def test_bytes_of_a_bad_address_do_not_spoil_those_of_a_good_one(
    mut, signing_key, tmp_path: Path, misbehave
):
    large = SampleUpstream.create(tmp_path / "large", key=signing_key, size=5 << 20, versions=1)
    lying = tmp_path / "lying"
    shutil.copytree(large.root, lying)
    for squashfs in lying.glob("noble/amd64/*/squashfs"):
        squashfs.write_bytes(b"hsqs" + bytes(squashfs.stat().st_size - 4))
    (first_url, first), (second_url, second) = misbehave(lying), misbehave(large.root)
    mut.add_source(large, first_url, fallback_urls=(second_url,))
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    for path in (path for path in large.files() if fnmatch(path, "noble/amd64/*/squashfs")):
        first.on(path, bad.cut(after=3 << 20), times=1)
        first.on(path, bad.cut(), times=None)
    result = await mut.sync()
    assert (result.status, result.left_out) == ("published", ())
    asked = [request for request in second.requests if request.path.endswith("/squashfs")]
    assert "Range" in asked[0].headers  # it went on from the lies, saw it, and began anew
    assert any("Range" not in request.headers for request in asked)


async def test_a_dead_address_is_not_tried_for_each_file_anew(source, pair):
    (_, first), (_, second) = pair
    first.on("[!s]*", bad.status(503), times=None)  # all but streams/
    started = time.monotonic()
    result = await source.sync()
    assert result.status == "published"
    files = len(result.to_fetch)
    connections = source.mirror.settings.sync.connections
    attempts = source.mirror.settings.sync.attempts
    assert len(images(first.paths())) <= connections * attempts
    assert len(images(second.paths())) == files
    assert time.monotonic() - started < 20


async def test_an_address_without_many_of_the_files_is_asked_last(source, pair):
    (_, first), _ = pair
    first.on("[!s]*", bad.status(404), times=None)
    result = await source.sync()
    assert result.status == "published"
    connections = source.mirror.settings.sync.connections
    assert len(images(first.paths())) <= 2 * connections < len(result.to_fetch)


async def test_a_file_that_no_address_has_costs_its_version_only(source, pair):
    for _, upstream in pair:
        upstream.on("noble/*/boot-kernel", bad.status(404), times=None)
    result = await source.sync()
    assert result.left_out
    assert all(problem.code == "MIR-402" for problem in result.left_out)
    assert [event for event in source.events if isinstance(event, SourceChecked)]
