"""Syncs of a channel that is held, pinned or switched meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from mirror.errors import ChannelHeld, ChannelMoved
from mirror.model import Pin
from mirror.store import content_lock
from mirror.sync.events import Event, FileDone
from mirror.sync.run import SyncOptions


def pin(mut, version: str = "", *filters: str) -> Pin:
    return mut.mirror.catalog.add_pin(Pin(0, "stable", version, filters, reason="a test"))


async def test_a_held_channel_is_left_alone_and_says_so(mut, sample_upstream, ready):
    first = await mut.sync()
    hold = pin(mut)
    sample_upstream.add_version()
    sample_upstream.write()
    ready.requests.clear()
    held = await mut.sync()
    assert (held.status, held.snapshot, held.reason) == ("held", first.snapshot, "a test")
    assert (held.exit_status, ready.requests) == (0, [])
    dry = await mut.sync(dry_run=True)
    assert dry.status == "planned"
    assert dry.added
    mut.mirror.catalog.remove_pin(hold.id)
    assert (await mut.sync()).status == "published"


async def test_a_channel_that_is_held_while_a_sync_waits_is_left_alone(mut, ready):
    with content_lock(mut.root):
        waiting = asyncio.create_task(mut.sync())
        await asyncio.sleep(0.1)
        pin(mut)
    assert (await waiting).status == "held"


async def test_a_channel_that_is_held_while_it_is_synced_is_not_switched(mut, ready):
    def hold_at_the_end(event: Event) -> None:
        if isinstance(event, FileDone) and not mut.mirror.catalog.pins("stable"):
            pin(mut)

    with pytest.raises(ChannelHeld):
        await mut.mirror.syncs.run(SyncOptions(), hold_at_the_end)
    assert mut.mirror.channels.pointers() == {}


async def test_a_promotion_while_a_channel_is_synced_is_not_undone(mut, sample_upstream, ready):
    first = await mut.sync()
    sample_upstream.add_version()
    sample_upstream.write()
    await mut.sync()
    sample_upstream.add_version()
    sample_upstream.write()

    def promote_at_the_end(event: Event) -> None:
        if isinstance(event, FileDone) and mut.mirror.channels.current("stable") != first.snapshot:
            mut.mirror.store.channels.switch("stable", first.snapshot, "promoted")

    with pytest.raises(ChannelMoved):
        await mut.mirror.syncs.run(SyncOptions(), promote_at_the_end)
    assert mut.mirror.channels.current("stable") == first.snapshot
    assert (await mut.sync()).status == "published"


async def test_a_channel_that_was_switched_is_brought_up_to_date_again(mut, sample_upstream, ready):
    """Although no source has changed since: what the channel has is part of what was settled."""
    first = await mut.sync()
    sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.write()
    second = await mut.sync()
    after = mut.versions()
    mut.mirror.store.channels.switch("stable", first.snapshot, "rolled back")
    assert mut.versions() != after
    third = await mut.sync()
    assert (third.status, third.snapshot != second.snapshot) == ("published", True)
    assert mut.versions() == after
    assert (await mut.sync()).status == "unchanged"


async def test_a_pin_publishes_one_version_until_it_is_removed(mut, sample_upstream, ready):
    await mut.sync()
    ga = "v3:boot:24.04:amd64:ga-24.04"
    pinned = pin(mut, "20250615", "subarch=ga-24.04", "arch=amd64")
    result = await mut.sync()
    assert result.dropped == (f"com.ubuntu.maas.stable:{ga} 20250715",)
    for _ in range(3):  # upstream goes on until it lists the pinned version no more
        sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.remove_version(f"com.ubuntu.maas.stable:{ga}", "20250615")
    sample_upstream.write()
    await mut.sync()
    assert {version for product, version in mut.versions() if product == ga} == {"20250615"}
    mut.mirror.catalog.remove_pin(pinned.id)
    await mut.sync()
    assert {version for product, version in mut.versions() if product == ga} == {
        "20250913",
        "20251013",
    }


async def test_a_pin_brings_a_version_back_from_an_older_snapshot(mut, sample_upstream, ready):
    await mut.sync()
    old = {path: ref for path, ref in mut.published().items() if "/20250615/" in path}
    gone = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"
    for _ in range(2):
        sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.remove_version(gone, "20250615")
    sample_upstream.write()
    await mut.sync()
    assert (gone.removeprefix("com.ubuntu.maas.stable:"), "20250615") not in mut.versions()
    pin(mut, "20250615", "subarch=ga-24.04")
    ready.requests.clear()
    result = await mut.sync()
    assert (result.status, result.left_out) == ("published", ())
    assert all(path.startswith("/streams/") for path in ready.paths())
    ga = {path for path in mut.published() if path.startswith("noble/amd64/20250615/ga-24.04/")}
    assert ga == {path for path in old if path.startswith("noble/amd64/20250615/ga-24.04/")}


async def test_a_pin_to_a_version_that_is_nowhere_changes_nothing_and_is_said(mut, ready):
    await mut.sync()
    before = mut.versions()
    pin(mut, "19990101", "subarch=ga-24.04")
    result = await mut.sync()
    assert mut.versions() == before
    name = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"
    assert result.notes[name] == ["pinned to 19990101, which can't be had: as it was"]
