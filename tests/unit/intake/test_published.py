"""Custom images beside those of boot sources: as any other product, and never in their way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from image_helpers import CENTOS, Images

from mirror.errors import ImagePinned, NotFound, NothingSelected
from mirror.images.declaration import Wanted, declared
from mirror.model import Licence, Pin
from mirror.server.options import ServerOptions
from mirror.server.serving import running_server
from mirror.simplestreams.lint import lint_stream
from mirror.testing.sstream import mirrored_files, sstream_mirror, sstream_query

CENTOS_8 = declared(Wanted(name="centos/centos8"))


@pytest.fixture
def upstream(mut, sample_upstream, serve):
    """A boot source that was synced: its sample, and what was asked of its server."""
    sample_upstream.write()
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, served.url)
    mut.select("release=jammy", keep=1)
    mut.sync_now()
    served.requests.clear()
    return served


def held(images: Images) -> list[str]:
    return sorted(version for product, version in images.mut.versions() if product == CENTOS)


def remove(images: Images, version: str = "") -> None:
    images.mut.mirror.custom_images.remove(CENTOS_8, version, by="test")


def publish(images: Images):
    own = images.mut.mirror.custom_images
    return asyncio.run(own.publish(images.mut.events.append, by="test"))


def documents(images: Images) -> dict[str, bytes]:
    store = images.mut.mirror.store
    snapshot = store.snapshots.load(store.channels.current("stable"))
    return {
        path: store.blobs.path(ref.sha256).read_bytes()
        for path, ref in snapshot.files.items()
        if path.startswith("streams/") and path.endswith(".json")
    }


# --- beside a boot source -------------------------------------------------------------------------


def test_publishing_one_asks_no_boot_source(images, upstream):
    before = images.mut.published()
    images.take(images.file())
    assert upstream.paths() == []
    assert images.mut.published().items() > before.items()


def test_a_sync_afterwards_keeps_both_and_then_has_nothing_to_do(images, upstream):
    images.take(images.file())
    everything = images.mut.published()
    images.mut.sync_now()
    assert images.mut.published() == everything
    upstream.requests.clear()
    assert images.mut.sync_now().status == "unchanged"
    assert len(upstream.paths()) == 1


def test_a_sync_of_a_boot_source_alone_keeps_them(images, upstream):
    images.take(images.file())
    everything = images.mut.published()
    images.mut.sync_now(only=("main",))
    assert images.mut.published() == everything


def test_a_boot_source_that_can_t_be_reached_still_fails_the_sync(images, upstream, mut):
    images.take(images.file())
    mut.sync_now()
    mut.mirror.sources.update("main", {"url": "http://127.0.0.1:1/"}, by="test")
    result = mut.sync_now()
    assert result.exit_status == 3
    assert [each.about for each in result.sources] == ["main"]
    assert held(images) != []


def test_the_network_is_not_needed_where_there_is_no_boot_source(images):
    images.take(images.file(), publish=False)
    assert images.mut.sync_now().status == "published"
    assert images.mut.sync_now().status == "unchanged"


def test_what_a_dry_run_says(images):
    images.take(images.file(), publish=False)
    result = images.mut.sync_now(dry_run=True)
    assert [each.split()[0] for each in result.added] == [CENTOS]
    assert result.to_fetch == ()


# --- versions, channels, pins ---------------------------------------------------------------------


def test_a_rollback_and_a_promotion(images, mut):
    images.take(images.file("a"), keep=1)
    first = held(images)
    images.take(images.file("b"), keep=1)
    assert held(images) != first
    mut.mirror.channels.rollback("stable", by="test")
    assert held(images) == first
    mut.mirror.channels.create("site", "stable", by="test")
    assert {v for p, v in mut.versions("site") if p == CENTOS} == set(first)


def test_a_pinned_version_stays_although_newer_ones_push_it_out(images, mut):
    pinned = images.take(images.file("a"), keep=1).version.name
    mut.mirror.catalog.add_pin(Pin(0, "stable", pinned, ("os=centos",)))
    images.take(images.file("b"))
    images.take(images.file("c"))
    assert held(images) == [pinned]
    mut.mirror.catalog.remove_pin(1)
    publish(images)
    assert held(images) != [pinned]


def test_a_pinned_version_is_not_removed(images, mut):
    pinned = images.take(images.file("a")).version.name
    images.take(images.file("b"))
    mut.mirror.catalog.add_pin(Pin(0, "stable", pinned, ("os=centos",)))
    with pytest.raises(ImagePinned, match="'stable' is pinned"):
        remove(images, pinned)
    with pytest.raises(ImagePinned):
        remove(images)


def test_a_held_channel_follows_later(images, mut):
    images.take(images.file("a"))
    mut.mirror.channels.hold("stable", "a change freeze", by="test")
    taken = images.take(images.file("b"))
    assert taken.published.status == "held"
    assert taken.version.name not in held(images)


# --- removing and changing ------------------------------------------------------------------------


def test_a_version_is_removed(images):
    first = images.take(images.file("a")).version.name
    second = images.take(images.file("b")).version.name
    remove(images, second)
    publish(images)
    assert held(images) == [first]
    assert images.take(images.file("c")).version.name > second


def test_an_image_is_removed_and_another_takes_its_name(images, upstream):
    first = images.take(images.file("a")).version.name
    remove(images)
    publish(images)
    assert held(images) == []
    with pytest.raises(NotFound):
        images.mut.mirror.custom_images.get(CENTOS_8)
    assert images.take(images.file("a")).version.name > first
    assert upstream.paths() == []


def test_many_are_removed_at_once_and_nothing_stops_that(images, upstream):
    for number in range(6):
        images.take(images.file(f"{number}", 30_000), f"custom/image-{number}", publish=False)
    publish(images)
    before = len(images.mut.versions())
    for number in range(6):
        declaration = declared(Wanted(name=f"custom/image-{number}"))
        images.mut.mirror.custom_images.remove(declaration, by="test")
    publish(images)
    assert len(images.mut.versions()) == before - 6


def test_the_last_image_of_all_can_t_leave_nothing_behind(images):
    images.take(images.file("a"))
    remove(images)
    with pytest.raises(NothingSelected):
        publish(images)


def test_what_is_changed_is_published(images, mut):
    images.take(images.file("a"))
    images.take(images.file("b"))
    own = mut.mirror.custom_images
    own.update(CENTOS_8, title="Another", licence=Licence.SUBSCRIPTION, keep=1, by="test")
    publish(images)
    assert len(held(images)) == 1
    [resource] = mut.mirror.images.each_resource("stable")
    assert resource.attributes["licence"] == "subscription"
    actions = [each.action for each in mut.mirror.audit.list()]
    assert "image.set" in actions


# --- bytes at rest --------------------------------------------------------------------------------


def test_gc_keeps_what_no_snapshot_has_yet(images, mut):
    from datetime import timedelta

    taken = images.take(images.file(), publish=False)
    mut.mirror.storage.gc(grace=timedelta(0), by="test")
    assert all(mut.mirror.store.blobs.has(item.sha256) for item in taken.version.items)
    remove(images)
    mut.mirror.storage.gc(grace=timedelta(0), by="test")
    assert not any(mut.mirror.store.blobs.has(item.sha256) for item in taken.version.items)


def test_a_version_whose_file_is_lost_gives_way_to_the_one_before(images, mut):
    first = images.take(images.file("a")).version
    second = images.take(images.file("b"), publish=False).version
    mut.mirror.store.blobs.delete(second.root.sha256)
    result = mut.sync_now()
    assert [each.code for each in result.left_out] == ["MIR-503"]
    assert held(images) == [first.name]
    # put in again, it is whole: a version of its own
    assert images.take(images.file("b")).is_new


# --- for clients ----------------------------------------------------------------------------------


def test_each_is_where_the_maas_that_can_read_it_looks(images, upstream):
    images.take(images.file("a"))
    images.take(images.file("b"), "custom/rocky-9")
    written = documents(images)

    def listed(index: str) -> set[str]:
        entries = msgspec.json.decode(written[f"streams/v1/{index}.json"])["index"]
        return {name for entry in entries.values() for name in entry["products"]}

    assert CENTOS in listed("index")
    assert listed("index-all") - listed("index") == {"custom:v1:custom:rocky-9:amd64:generic"}
    assert [each for each in lint_stream(written) if each.effect == "fails"] == []


async def test_sstream_clients_see_them(images, mut, tmp_path: Path):
    await images.taking_of(images.file("a"))
    disk = await images.taking_of(images.disk(), "custom/a-disk", accept_all=True)
    key = tmp_path / "key.gpg"
    key.write_bytes(mut.mirror.key.public_binary())
    async with running_server(ServerOptions(data_dir=str(mut.root), port=0)) as url:
        base = f"{url}/images/stable/streams/v1"
        items = await asyncio.to_thread(sstream_query, f"{base}/index-all.sjson", keyring=key)
        few = await asyncio.to_thread(sstream_query, f"{base}/index.sjson", keyring=key)
        out = tmp_path / "out"
        outcome = await asyncio.to_thread(
            sstream_mirror, f"{base}/index-all.sjson", out, keyring=key
        )
    assert {(each["os"], each["ftype"]) for each in items} == {
        ("centos", "root-tgz"),
        ("centos", "manifest"),
        ("custom", "root-dd.gz"),
        ("custom", "manifest"),
    }
    assert {each["os"] for each in few} == {"centos"}
    assert outcome.status == 0, outcome.errors
    assert mirrored_files(out) == mut.published()
    assert disk.version.root.ftype == "root-dd.gz"
