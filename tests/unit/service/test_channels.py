"""The verbs of channels and snapshots on a real store."""

from __future__ import annotations

import pytest

from mirror.errors import (
    BodyInvalid,
    Busy,
    ChannelHeld,
    FilterInvalid,
    NotFound,
    VersionNotHere,
)
from mirror.model import Pin
from mirror.store import content_lock
from mirror.store.pulls import Pulls

FIRST, SECOND, THIRD = "20250615", "20250715", "20250814"
BOTH = ("24.04", "22.04")


@pytest.fixture
def two(mut, sample_upstream, serve) -> list[str]:
    """Sync twice into channel stable; noble has a newer version the second time."""
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64")
    mut.sync_now()
    sample_upstream.add_version(only="24.04:amd64")
    sample_upstream.write()
    mut.sync_now()
    return mut.mirror.store.snapshots.ids()


def versions(mut, release: str = "24.04", channel: str = "stable") -> set[str]:
    return {version for product, version in mut.versions(channel) if f":{release}:" in product}


def audited(mut) -> list[str]:
    return [each.action for each in mut.mirror.audit.list()]


def test_the_state_of_a_channel(mut, two):
    Pulls(mut.mirror.dir.pulls).note([two[1]])
    mut.mirror.channels.promote("site-a", two[0], by="me")
    stable, site = reversed(mut.mirror.channels.list())
    assert (site.name, site.snapshot, site.previous, site.by) == ("site-a", two[0], "", "me")
    assert (site.reason, site.pulled, site.held) == (f"promoted from {two[0]}", None, None)
    assert (stable.snapshot, stable.previous, stable.pins) == (two[1], two[0], ())
    assert stable.pulled is not None
    summary = next(each for each in mut.mirror.snapshots.list() if each.id == two[1])
    assert (stable.files, stable.bytes) == (summary.files, summary.bytes)
    with pytest.raises(NotFound):
        mut.mirror.channels.state("nobody")


def test_a_channel_whose_snapshot_is_damaged_is_listed_all_the_same(mut, two):
    (mut.mirror.dir.snapshots / f"{two[1]}.json.zst").write_bytes(b"damaged")
    document = "snapshot facts"
    mut.mirror.catalog.store_document(document, {})
    [state] = mut.mirror.channels.list()
    assert (state.snapshot, state.files) == (two[1], 0)
    assert "damaged" in state.problem
    assert [bool(each.problem) for each in mut.mirror.snapshots.list(unique=True)] == [False, True]
    # the way out that the error names
    mut.mirror.channels.promote("site-a", two[0], by="me")
    assert versions(mut, channel="site-a") == {FIRST, SECOND}


def test_a_pin_is_published_at_once_and_is_about_its_products_only(mut, two):
    jammy = versions(mut, "22.04")
    pin = mut.mirror.channels.pin("stable", ["release=noble"], FIRST, by="me")
    assert versions(mut) == {FIRST}
    assert versions(mut, "22.04") == jammy
    assert mut.mirror.channels.pins("stable") == [pin]
    again = mut.mirror.channels.pin("stable", ["release=noble"], THIRD, by="me")
    assert versions(mut) == {THIRD}
    assert mut.mirror.channels.pins("stable") == [again]
    assert audited(mut)[:2] == ["channel.pin", "channel.pin"]


def test_a_pin_that_can_not_be_is_not_made(mut, two):
    channels = mut.mirror.channels
    for filters, version, error in (
        (["release=noble"], "20990101", VersionNotHere),
        (["release=focal"], FIRST, NotFound),
        (["release~("], FIRST, FilterInvalid),
        ([], FIRST, BodyInvalid),
        (["release=noble"], "", BodyInvalid),
    ):
        with pytest.raises(error):
            channels.pin("stable", filters, version, by="me")
    with pytest.raises(NotFound):
        channels.pin("nobody", ["release=noble"], FIRST, by="me")
    with content_lock(mut.root), pytest.raises(Busy):
        channels.pin("stable", ["release=noble"], FIRST, by="me")
    assert channels.pins("stable") == []
    assert channels.current("stable") == two[1]
    with pytest.raises(VersionNotHere, match=f"there are: {FIRST}, {SECOND}, {THIRD}"):
        channels.pin("stable", ["release=noble"], "1", by="me")


def test_a_version_whose_files_are_gone_can_not_be_pinned(mut, two):
    store = mut.mirror.store
    first = store.snapshots.load(two[0])
    only_there = first.files.keys() - store.snapshots.load(two[1]).files.keys()
    gone = next(path for path in only_there if f"noble/amd64/{FIRST}/" in path)
    store.blobs.delete(first.files[gone].sha256)
    with pytest.raises(VersionNotHere):
        mut.mirror.channels.pin("stable", ["release=noble"], FIRST, by="me")


def test_a_rollback_that_fails_leaves_the_channel_free(mut, two):
    with content_lock(mut.root), pytest.raises(Busy):
        mut.mirror.channels.rollback("stable", by="me")
    assert mut.mirror.channels.pins("stable") == []
    mut.mirror.channels.rollback("stable", by="me")
    assert [pin.reason for pin in mut.mirror.channels.pins("stable")] == [
        f"rolled back from {two[1]}"
    ]


def test_while_it_is_held_only_a_rollback_changes_it(mut, two):
    channels = mut.mirror.channels
    first = channels.hold("stable", "once", by="me")
    second = channels.hold("stable", "twice", by="me")
    assert channels.pins("stable") == [second] != [first]
    with pytest.raises(ChannelHeld, match="twice"):
        channels.promote("stable", two[0], by="me")
    with pytest.raises(ChannelHeld):
        channels.pin("stable", ["release=noble"], FIRST, by="me")
    channels.rollback("stable", by="me")
    assert versions(mut) == {FIRST, SECOND}
    assert len(channels.pins("stable")) == 1


def test_unpin_releases_the_hold_before_a_pin(mut, two):
    channels = mut.mirror.channels
    pin = channels.pin("stable", ["release=noble"], FIRST, by="me")
    hold = channels.hold("stable", "wait", by="me")
    assert channels.unpin("stable", by="me") == (hold,)
    assert channels.unpin("stable", by="me") == (pin,)
    with pytest.raises(NotFound):
        channels.unpin("stable", by="me")
    with pytest.raises(NotFound):
        channels.unpin("stable", 99, by="me")
    assert mut.sync_now().status == "published"
    assert versions(mut) == {SECOND, THIRD}


def test_a_promoted_channel_keeps_its_pins(mut, two):
    channels = mut.mirror.channels
    channels.create("site-a", two[0], by="me")
    channels.pin("site-a", ["release=noble"], SECOND, by="me")
    fourth = channels.promote("site-a", "stable", by="me")
    assert versions(mut, channel="site-a") == {SECOND}
    assert fourth not in two
    assert channels.promote("site-a", "stable", by="me") == fourth


def test_a_promotion_keeps_what_it_says_of_the_images(mut, two, sample_upstream):
    [name] = [n for n in sample_upstream.products() if ":22.04:amd64:ga-" in n]
    sample_upstream.remove_product(name)
    sample_upstream.add_version(only="24.04:amd64")
    sample_upstream.write()
    mut.sync_now()
    assert mut.mirror.snapshots.show("stable").notes[name]
    mut.mirror.channels.pin("stable", ["release=noble"], FIRST, by="me")
    shown = mut.mirror.snapshots.show("stable")
    assert shown.notes[name] == ["vanished upstream: kept as it was"]
    snapshot = mut.mirror.store.snapshots.load(shown.id)
    assert snapshot.sources["main"].fingerprint == sample_upstream.fingerprint


def test_removing_a_channel_removes_its_pins(mut, two):
    channels = mut.mirror.channels
    channels.create("site-a", "stable", by="me")
    channels.hold("site-a", "wait", by="me")
    channels.remove("site-a", by="me")
    assert mut.mirror.catalog.pins() == []
    channels.create("site-a", "stable", by="me")
    assert channels.state("site-a").held is None
    assert len(channels.history("site-a")) == 1


def test_a_pin_of_a_plugin_that_is_gone_harms_no_other_channel(mut, two):
    mut.mirror.catalog.add_pin(Pin(0, "other", FIRST, ("release=noble",)))
    assert mut.mirror.channels.promote("site-a", "stable", by="me") == two[1]
