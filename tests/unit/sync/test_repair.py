"""A tampered blob is found by verify, and repair fetches it from its source again."""

from __future__ import annotations

import pytest

from mirror.errors import Busy
from mirror.store import content_lock
from mirror.testing.bad_upstream import BadUpstream, flip_byte

PATH = "noble/amd64/20250715/squashfs"


@pytest.fixture
def upstream(sample_upstream):
    return BadUpstream(sample_upstream.root)


@pytest.fixture
def url(upstream):
    with upstream.serve_in_thread() as url:
        yield url


@pytest.fixture
def synced(mut, sample_upstream, url):
    mut.add_source(sample_upstream, url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    mut.sync_now()
    return mut


def blob(mut, path: str):
    snapshot = mut.mirror.store.snapshots.load(mut.mirror.channels.pointers()["stable"])
    return mut.mirror.store.blobs.path(snapshot.files[path].sha256)


def tamper(file) -> None:
    file.chmod(0o644)
    with file.open("r+b") as opened:
        opened.seek(100)
        opened.write(b"tampered")


async def verify(mut, *, repair: bool = False):
    return await mut.mirror.storage.verify(repair=repair, emit=mut.events.append)


async def test_all_is_well(synced):
    report = await verify(synced)
    assert (report.damaged, report.exit_status) == ((), 0)
    assert report.blobs > 20


async def test_a_tampered_blob_is_found_and_repaired(synced, sample_upstream):
    file = blob(synced, PATH)
    tamper(file)
    report = await verify(synced)
    assert [(d.problem, d.sha256) for d in report.damaged] == [("corrupt", file.name)]
    assert report.exit_status == 4
    repaired = await verify(synced, repair=True)
    assert (repaired.repaired, repaired.beyond, repaired.exit_status) == ((file.name,), (), 0)
    assert file.read_bytes() == (sample_upstream.root / PATH).read_bytes()
    assert (await verify(synced)).damaged == ()


async def test_a_missing_blob_is_fetched_again(synced):
    file = blob(synced, PATH)
    file.unlink()
    repaired = await verify(synced, repair=True)
    assert [each.problem for each in repaired.damaged] == ["missing"]
    assert repaired.exit_status == 0
    assert file.exists()


async def test_what_the_source_no_longer_has_right_is_beyond_repair(synced, upstream):
    file = blob(synced, PATH)
    tamper(file)
    upstream.on(PATH, flip_byte(), times=None)
    report = await verify(synced, repair=True)
    assert (report.repaired, report.beyond, report.exit_status) == ((), (file.name,), 4)
    assert not file.exists()  # wrong bytes are not served in the meantime
    upstream.behave()
    assert (await verify(synced, repair=True)).exit_status == 0


async def test_damaged_metadata_of_ours_is_beyond_repair(synced):
    tamper(blob(synced, "streams/v1/index.json"))
    report = await verify(synced, repair=True)
    assert [d.path.partition(".")[0] for d in report.damaged] == ["streams/v1/index-all"]
    assert (len(report.beyond), report.exit_status) == (1, 4)


async def test_a_source_that_was_removed_can_repair_nothing(synced):
    file = blob(synced, PATH)
    tamper(file)
    synced.mirror.catalog.remove_source("main")
    assert (await verify(synced, repair=True)).beyond == (file.name,)


async def test_repair_and_sync_exclude_each_other(synced):
    with content_lock(synced.root), pytest.raises(Busy):
        await verify(synced, repair=True)
