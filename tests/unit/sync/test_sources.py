"""Reading several sources: what it costs when nothing is new, and what is written down of each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from mirror.testing import bad_upstream as bad
from mirror.testing.sample import SampleUpstream

if TYPE_CHECKING:
    from pathlib import Path

INDEX = "/streams/v1/index.sjson"


@pytest.fixture
async def five(mut, signing_key, tmp_path: Path, misbehave):
    """A mirror that has synced from five sources, and what serves them, by name."""
    upstreams = {}
    for number in range(5):
        sample = SampleUpstream.create(tmp_path / f"up{number}", key=signing_key, versions=1)
        url, upstream = misbehave(sample.root)
        mut.add_source(sample, url, name=f"source-{number}", priority=number)
        upstreams[f"source-{number}"] = upstream
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    await mut.sync()
    for upstream in upstreams.values():
        upstream.requests.clear()
    return upstreams


async def test_with_nothing_new_each_of_five_is_asked_once_and_conditionally(mut, five):
    result = await mut.sync()
    assert result.status == "unchanged"
    for name, upstream in five.items():
        [request] = upstream.requests
        assert request.path == INDEX, name
        assert request.headers["If-None-Match"]


async def test_five_sources_with_nothing_new_cost_little_cpu(mut, five):
    await mut.sync()
    started = time.process_time()
    for _ in range(5):
        await mut.sync()
    # the servers are threads of this process: what they spend is in it too
    assert (time.process_time() - started) / 5 < 0.1


async def test_one_bad_source_does_not_hold_up_the_others(mut, five):
    five["source-4"].on("*", bad.status(500), times=None)
    result = await mut.sync()
    assert [problem.about for problem in result.sources] == ["source-4"]
    states = {name: status.state for name, status in mut.mirror.sources.states().items()}
    assert states == {**dict.fromkeys(five, "good"), "source-4": "failing"}
    checked = {status.checked for status in mut.mirror.sources.states().values()}
    assert len(checked) == 1


async def test_a_source_that_is_left_out_keeps_what_was_written_of_it(mut, five):
    before = mut.mirror.sources.state("source-2")
    mut.mirror.sources.update("source-2", {"enabled": False}, by="test")
    await mut.sync()
    after = mut.mirror.sources.state("source-2")
    assert (after.state, after.checked, after.products) == (
        "disabled",
        before.checked,
        before.products,
    )
    assert five["source-2"].requests == []


async def test_what_is_written_of_a_source_goes_with_it(mut, five):
    mut.mirror.sources.remove("source-0", by="test")
    assert set(mut.mirror.catalog.statuses.all()) == set(five) - {"source-0"}
