"""Snapshots expire, and what only they had goes with them; what is needed stays."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import msgspec
import pytest
from harness import MirrorUnderTest

from mirror.errors import Busy
from mirror.model import utcnow
from mirror.service import Mirror
from mirror.settings import RetentionSettings, StoreSettings
from mirror.store import content_lock
from mirror.store.pulls import Pulls
from mirror.store.reach import references
from mirror.store.snapshots import created_at
from mirror.store.verify import verify_store

FIRST = "20250615"


@pytest.fixture
def strict(mut):
    """Return the mirror with settings that let everything go that may."""
    settings = mut.mirror.settings.model_copy(
        update={
            "retention": RetentionSettings(keep=2, age=timedelta(0), unpulled=timedelta(days=9)),
            "store": StoreSettings(min_free=0, grace=timedelta(0)),
        }
    )
    with Mirror.open(settings) as mirror:
        yield mirror


@pytest.fixture
def four(mut, sample_upstream, serve) -> list[str]:
    """Sync four times; each time noble has a newer version, and two are kept."""
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    for _ in range(4):
        mut.sync_now()
        sample_upstream.add_version(only="24.04:amd64")
        sample_upstream.write()
    ids = mut.mirror.store.snapshots.ids()
    while utcnow() <= created_at(ids[-1]):  # no two have one time: some are a little ahead
        time.sleep(0.1)
    return ids


def age_all(mirror) -> None:
    hour_ago = utcnow().timestamp() - 3600
    for file in mirror.dir.blobs.rglob("*"):
        os.utime(file, (hour_ago, hour_ago))


def test_a_dry_run_says_what_would_go_and_why_and_does_nothing(strict, four):
    age_all(strict)
    before = strict.storage.state()
    planned = strict.storage.gc(dry_run=True, by="me")
    assert [(fate.snapshot, fate.goes) for fate in planned.snapshots] == [
        (four[0], True),
        (four[1], True),
        (four[2], False),
        (four[3], False),
    ]
    assert "never pulled" in planned.snapshots[0].why
    assert planned.snapshots[2].why == "among the last 2 of channel stable"
    assert planned.snapshots[3].why == "channel stable publishes it"
    assert planned.blobs > 0
    assert {each.why for each in planned.dropped} <= {
        f"only snapshot {four[0]} named it",
        f"only snapshot {four[1]} named it",
    }
    assert strict.store.snapshots.ids() == four
    after = strict.storage.state()
    assert (after.blobs, after.bytes) == (before.blobs, before.bytes)
    done = strict.storage.gc(by="me")
    assert done == msgspec.structs.replace(planned, dry_run=False)
    assert strict.store.snapshots.ids() == four[2:]
    assert verify_store(strict.store).damaged == ()
    after = strict.storage.state()
    assert before.bytes - after.bytes == done.bytes
    removed = [each.subject for each in strict.audit.list() if each.action == "snapshot.remove"]
    assert removed == [four[1], four[0]]
    assert strict.storage.gc(by="me").dropped == ()


def test_what_somebody_pulls_stays(strict, four):
    pulls = Pulls(strict.dir.pulls)
    pulls.note([four[0], four[1]])
    long_ago = utcnow().timestamp() - 20 * 86400
    os.utime(strict.dir.pulls / four[1], (long_ago, long_ago))
    strict.storage.gc(by="me")
    assert strict.store.snapshots.ids() == [four[0], *four[2:]]
    assert set(pulls.times()) == {four[0]}


def test_a_channel_in_its_grace_period_keeps_what_it_answers_for(mut, strict, four):
    graceful = strict.settings.model_copy(update={"store": mut.mirror.settings.store})
    with Mirror.open(graceful) as mirror:
        assert [fate.goes for fate in mirror.storage.expire()] == [False] * 4
        assert "still answers" in mirror.storage.expire()[0].why


def test_the_snapshot_of_a_pinned_version_stays_when_its_channel_went_back(strict, four):
    channels = strict.channels
    channels.create("site-a", four[3], by="me")
    channels.pin("site-a", ["release=noble"], FIRST, by="me")
    pinned = channels.current("site-a")
    assert strict.storage.expire()[-1].why == "channel site-a publishes it"
    channels.rollback("site-a", by="me")
    channels.unpin("site-a", by="me")  # the hold; the pin counts again with the next promotion
    for at in (four[2], four[3]):
        strict.store.channels.switch("site-a", at, "as syncs would")
    strict.storage.gc(by="me")
    assert pinned in strict.store.snapshots.ids()
    fates = {fate.snapshot: fate.why for fate in strict.storage.expire()}
    assert fates[pinned] == f"channel site-a is pinned to a version of it ({FIRST})"
    assert channels.promote("site-a", "stable", by="me")
    assert {i.version for i in strict.snapshots.show("site-a").items if "noble" in i.path} == {
        FIRST
    }


def test_not_while_a_sync_runs(strict, four):
    with content_lock(strict.settings.data_dir):
        with pytest.raises(Busy):
            strict.storage.gc(by="me")
        strict.storage.tidy(published=True)
        strict.storage.gc(dry_run=True, by="me")
    assert strict.store.snapshots.ids() == four


def test_a_sync_lets_go_what_retention_does(strict, four):
    MirrorUnderTest(strict).sync_now()
    left = strict.store.snapshots.ids()
    assert left[:-1] == four[3:]
    assert strict.audit.list()[0].actor == "retention"


def test_a_damaged_snapshot_goes_as_others_do(strict, four):
    (strict.dir.snapshots / f"{four[2]}.json.zst").write_bytes(b"damaged")
    assert MirrorUnderTest(strict).sync_now().status == "published"
    assert strict.store.snapshots.ids()[:-1] == [four[3]]


def test_a_damaged_snapshot_that_stays_stops_gc_and_not_the_sync(strict, four, caplog):
    strict.channels.create("site-a", four[0], by="me")
    (strict.dir.snapshots / f"{four[0]}.json.zst").write_bytes(b"damaged")
    blobs = set(strict.store.blobs.hashes())
    assert MirrorUnderTest(strict).sync_now().status == "published"
    assert "could not tidy up" in caplog.text
    assert blobs <= set(strict.store.blobs.hashes())
    assert four[0] in strict.store.snapshots.ids()


def test_the_state_is_counted_now_and_then(mut, four):
    first = mut.mirror.storage.state()
    blobs = mut.mirror.store.blobs
    assert first.blobs == len(list(blobs.hashes()))
    assert first.bytes == sum(blobs.size(each) for each in blobs.hashes())
    assert {each.id for each in first.snapshots} == set(four)
    blobs.add_bytes(b"one more")
    assert mut.mirror.storage.state().blobs == first.blobs
    assert first.free > 0


@pytest.mark.slow
def test_gc_may_be_killed_at_any_instant(strict, four, cli):
    age_all(strict)
    (cli.data_dir / "mirror.toml").write_text(
        '[retention]\nkeep = 1\nage = "0 s"\nunpulled = "0 s"\n[store]\ngrace = "0 s"\n'
    )
    for wait in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        process = cli.start("gc")
        time.sleep(wait)
        process.kill()
        process.communicate(timeout=30)
        assert verify_store(strict.store).damaged == ()
        assert strict.channels.current("stable") == four[3]
    ran = cli("gc", "--json")
    assert ran.status == 0, ran.err
    assert strict.store.snapshots.ids() == four[3:]
    needed = {ref.sha256 for _, ref in references(strict.store.snapshots.load(four[3]))}
    assert set(strict.store.blobs.hashes()) == needed
