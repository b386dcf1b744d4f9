"""Trying a boot source before it is added, and how each one is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from mirror.errors import (
    KeyNotTrusted,
    MirrorError,
    Rollback,
    Unreachable,
)
from mirror.model import BootSource
from mirror.simplestreams.verify import Seen
from mirror.testing import bad_upstream as bad

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = "http://127.0.0.1:9/"


@pytest.fixture
def sources(mut):
    return mut.mirror.sources


def audited(mut) -> list[tuple[str, str, str]]:
    return [(e.actor, e.action, e.subject) for e in mut.mirror.catalog.audit.page()]


def seen_of(mut, name: str = "main") -> dict[str, Seen]:
    return msgspec.json.decode(mut.mirror.catalog.memory(name).seen, type=dict[str, Seen])


async def test_trying_a_source_says_what_it_has_and_stores_nothing(
    mut, sources, sample_upstream, serve
):
    served = serve(sample_upstream.root)
    tried = BootSource(
        name="main",
        url=served.url,
        fallback_urls=(NOBODY,),
        keyring=str(sample_upstream.keyring),
    )
    report = await sources.check(tried)
    assert report.fingerprint == sample_upstream.fingerprint
    assert report.signer == "Sample upstream"
    assert [(each.url, bool(each.problem)) for each in report.addresses] == [
        (served.url + "/", False),
        (NOBODY, True),
    ]
    noble = next(each for each in report.offered if each.release == "noble")
    assert (noble.os, noble.arches, noble.labels) == ("ubuntu", ("amd64", "arm64"), ("stable",))
    assert report.products == sum(each.products for each in report.offered)
    assert timedelta(0) < report.age < timedelta(days=1)
    assert not [path for path in served.paths() if not path.startswith("/streams/")]
    assert sources.list() == []
    assert mut.mirror.catalog.statuses.all() == {}
    assert seen_of(mut) == {}
    assert audited(mut) == []


async def test_trying_a_source_that_no_address_has(sources, sample_upstream):
    tried = BootSource(name="x", url=NOBODY, keyring=str(sample_upstream.keyring))
    with pytest.raises(Unreachable):
        await sources.check(tried)


async def test_a_url_can_be_tried_with_every_key_that_is_known(
    mut, sources, sample_upstream, serve
):
    served = serve(sample_upstream.root)
    with pytest.raises(KeyNotTrusted) as raised:
        await sources.check(sources.to_try(served.url))
    assert sample_upstream.fingerprint in raised.value.what
    assert "compare" in raised.value.remedy
    mut.add_source(sample_upstream, NOBODY)
    report = await sources.check(sources.to_try(served.url))
    assert report.fingerprint == sample_upstream.fingerprint


async def test_what_was_seen_of_a_source_counts_when_it_is_tried(
    mut, sources, sample_upstream, tmp_path: Path, serve
):
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, served.url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    await mut.sync()
    sample_upstream.set_updated(sample_upstream.updated - timedelta(days=1))
    sample_upstream.write()
    with pytest.raises(Rollback):
        await sources.check(sources.get("main"))


# --- how they are ---------------------------------------------------------------------------------


async def test_the_state_of_a_source_from_unread_to_failing_and_back(
    mut, sources, sample_upstream, misbehave
):
    url, upstream = misbehave(sample_upstream.root)
    mut.add_source(sample_upstream, url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    assert sources.state("main").state == "unread"
    await mut.sync()
    good = sources.state("main")
    assert (good.state, good.url, good.products) == ("good", url + "/", 14)
    assert good.fingerprint == sample_upstream.fingerprint
    assert good.updated == sample_upstream.updated
    upstream.on("*", bad.status(503), times=None)
    with pytest.raises(MirrorError):
        await mut.sync()
    failing = sources.state("main")
    assert (failing.state, failing.problem.code) == ("failing", "MIR-402")
    assert failing.failing_since
    assert (failing.believed, failing.updated) == (good.believed, good.updated)
    upstream.behave()
    assert (await mut.sync()).status == "unchanged"
    again = sources.state("main")
    assert (again.state, again.problem, again.failing_since) == ("good", None, None)
    assert (again.products, again.fingerprint) == (good.products, good.fingerprint)


async def test_a_stream_that_got_old_is_stale(mut, sources, sample_upstream, serve):
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    await mut.sync()
    sources.update("main", {"max_staleness": timedelta(minutes=5)}, by="test")
    assert sources.state("main").state == "stale"
    sources.update("main", {"enabled": False}, by="test")
    assert sources.states()["main"].state == "disabled"
