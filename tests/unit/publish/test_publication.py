"""Publishing anew, with a real store, key and gpg: when a pointer moves, and when time goes on."""

from __future__ import annotations

import os
import random
import signal
import time

import msgspec
import pytest

from mirror.errors import (
    BlobMissing,
    Busy,
    ChannelMoved,
    NothingSelected,
    PathConflict,
)
from mirror.publish.archive import Archive
from mirror.publish.pins import Pinned, only
from mirror.publish.publication import Wanted, publish
from mirror.store import content_lock
from mirror.store.verify import verify_store

KILLS = int(os.environ.get("MIRROR_KILLS", "6"))


@pytest.fixture
def two(mut, sample_upstream, serve) -> list[str]:
    """Sync twice into channel stable; noble has a newer version the second time."""
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    mut.sync_now()
    sample_upstream.add_version(only="24.04:amd64")
    sample_upstream.write()
    mut.sync_now()
    return mut.mirror.store.snapshots.ids()


def wanted(mut, origin: str, channel: str = "stable", products=None) -> Wanted:
    published = Archive(mut.mirror.store).products(origin)
    pinned = Pinned(tuple(published.values()) if products is None else tuple(products))
    return Wanted(channel=channel, origin=origin, pinned=pinned, reason="test", by="me")


def go(mut, what: Wanted) -> str:
    return publish(mut.mirror.store, Archive(mut.mirror.store), what)


def test_a_newer_snapshot_is_published_as_it_is(mut, two) -> None:
    store = mut.mirror.store
    assert go(mut, wanted(mut, two[0], "site-a")) == two[0]
    with content_lock(mut.root):  # a pointer moves while a sync runs
        assert go(mut, wanted(mut, two[1], "site-a")) == two[1]
    assert store.snapshots.ids() == two
    assert [each.origin for each in store.channels.history("site-a")] == ["", ""]


def test_an_older_one_is_published_anew(mut, two) -> None:
    store = mut.mirror.store
    old, before = store.snapshots.load(two[0]), store.snapshots.load(two[1])
    third = go(mut, wanted(mut, two[0]))
    fresh = store.snapshots.load(third)
    assert fresh.updated > before.updated
    assert (fresh.parent, fresh.sources) == (two[1], old.sources)
    images = {path for path in old.files if not path.startswith("streams/")}
    assert {path: fresh.files[path] for path in images} == {
        path: old.files[path] for path in images
    }
    assert len(fresh.files) == len(old.files)
    assert store.channels.history("stable")[-1].origin == two[0]
    assert verify_store(store).damaged == ()


def test_what_is_published_already_is_left_alone(mut, two) -> None:
    third = go(mut, wanted(mut, two[0]))
    with content_lock(mut.root):
        assert go(mut, wanted(mut, two[0])) == third
        assert go(mut, wanted(mut, third)) == third
    assert mut.mirror.store.channels.current("stable") == third


def test_a_part_of_a_snapshot_is_published_anew(mut, two) -> None:
    products = Archive(mut.mirror.store).products(two[1]).values()
    pinned = [only(each, "20250814") or each for each in products]
    third = go(mut, wanted(mut, two[1], products=pinned))
    assert {version for product, version in mut.versions() if "24.04" in product} == {"20250814"}
    fresh = mut.mirror.store.snapshots.load(third)
    gone = set(mut.mirror.store.snapshots.load(two[1]).files) - set(fresh.files)
    assert gone
    assert all("20250715" in path for path in gone)


def test_while_a_sync_runs_nothing_is_written(mut, two) -> None:
    with content_lock(mut.root), pytest.raises(Busy):
        go(mut, wanted(mut, two[0]))
    assert mut.mirror.store.channels.current("stable") == two[1]


def test_a_file_that_is_gone_is_not_listed_again(mut, two) -> None:
    store = mut.mirror.store
    [path, *_] = [p for p in store.snapshots.load(two[0]).files if p.endswith("squashfs")]
    store.blobs.delete(store.snapshots.load(two[0]).files[path].sha256)
    with pytest.raises(BlobMissing):
        go(mut, wanted(mut, two[0]))
    assert store.channels.current("stable") == two[1]


def test_nothing_is_no_stream(mut, two) -> None:
    with pytest.raises(NothingSelected):
        go(mut, wanted(mut, two[1], products=[]))


def test_two_files_under_one_path_are_not_published(mut, two) -> None:
    def twin(planned, item):
        """Give a product that has the item's path for another of its files."""
        other = msgspec.structs.replace(planned.product.versions[0].items[-1], path=item.path)
        version = msgspec.structs.replace(planned.product.versions[0], items=(other,))
        product = msgspec.structs.replace(planned.product, name="x:1:y:z", versions=(version,))
        return msgspec.structs.replace(planned, product=product)

    products = list(Archive(mut.mirror.store).products(two[1]).values())
    kernel = products[-1].product.versions[0].items[0]
    with pytest.raises(PathConflict):
        go(mut, wanted(mut, two[1], products=[*products, twin(products[-1], kernel)]))
    assert mut.mirror.store.channels.current("stable") == two[1]
    assert mut.mirror.store.snapshots.ids() == two


def test_a_channel_that_someone_else_switched_is_not_switched_back(mut, two, monkeypatch) -> None:
    store = mut.mirror.store
    is_whole = Archive.is_whole

    def switched_meanwhile(archive, planned):
        if store.channels.current("stable") == two[1]:
            store.channels.switch("stable", two[0], "someone else")
        return is_whole(archive, planned)

    monkeypatch.setattr(Archive, "is_whole", switched_meanwhile)
    with pytest.raises(ChannelMoved):
        go(mut, wanted(mut, two[0]))
    assert store.channels.history("stable")[-1].reason == "someone else"


@pytest.mark.slow
def test_killed_at_any_instant_it_was_done_or_not(mut, two, cli) -> None:
    store = mut.mirror.store
    chance = random.Random(4)
    for _ in range(KILLS):
        before = store.channels.current("stable")
        process = cli.start("channel", "rollback", "stable", "--to", two[chance.randrange(2)])
        time.sleep(chance.uniform(0.1, 1.2))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        after = store.channels.current("stable")
        assert store.snapshots.load(after).updated >= store.snapshots.load(before).updated
        if after != before:  # what is published is held: no sync undoes it
            assert mut.mirror.channels.state("stable").held is not None
        assert verify_store(store).damaged == ()
    ran = cli("channel", "rollback", "stable", "--to", two[0])
    assert ran.status == 0, ran.err
    assert len(mut.mirror.channels.pins("stable")) == 1
