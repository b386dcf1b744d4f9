"""What the sources offer and what channels publish, as lists that are read a page at a time."""

from __future__ import annotations

import asyncio
import time
from statistics import quantiles

import pytest

from mirror.catalog.available import Available
from mirror.catalog.database import Database
from mirror.errors import NotFound
from mirror.model import AvailableImage, Item, Pin, Product, Snapshot, Version, utcnow
from mirror.sync.plan import Planned
from mirror.sync.published import store_products
from mirror.testing.sample import SampleUpstream

MANY = 20_000


@pytest.fixture
def synced(mut, sample_upstream, serve):
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "release=noble", "arch=amd64")
    return mut


def walk(ask, **conditions):
    """Return every item of a list, page by page, and how many pages there were."""
    items, after, pages = [], "", 0
    while True:
        page = ask(**conditions, after=after)
        items += page.items
        pages += 1
        after = page.next
        if not after:
            return items, pages


def taken(mut, **conditions) -> dict[str, str]:
    """Return what is offered: the product's last words -> `yes`, or why not."""
    images, _ = walk(mut.mirror.images.available, **conditions)
    return {
        each.product.removeprefix("com.ubuntu.maas.stable:"): each.reason or "yes"
        for each in images
        if each.taken or each.reason
    }


async def test_a_sync_lists_what_is_offered_and_why_it_is_not_taken(synced):
    await synced.sync()
    images, _ = walk(synced.mirror.images.available)
    assert len(images) == 14
    one = next(each for each in images if each.product.endswith("24.04:amd64:ga-24.04"))
    assert (one.os, one.release, one.arch, one.subarch) == ("ubuntu", "noble", "amd64", "ga-24.04")
    assert (one.source, one.label, one.version) == ("main", "stable", "20250715")
    assert (one.taken, one.reason) == (True, "")
    assert one.title == "Ubuntu 24.04 LTS (noble), amd64, GA kernel"
    published = synced.mirror.snapshots.show("stable").items
    sizes = [i.size for i in published if (i.product, i.version) == (one.product, one.version)]
    assert one.bytes == sum(sizes) > 0
    assert taken(synced, os="ubuntu", release="noble") == {
        "v3:boot:24.04:amd64:ga-24.04": "yes",
        "v3:boot:24.04:amd64:hwe-24.04": "yes",
        "v3:boot:24.04:arm64:ga-24.04": "not selected",
        "v3:boot:24.04:arm64:hwe-24.04": "not selected",
    }
    assert set(taken(synced, os="pxelinux").values()) == {"yes"}


async def test_before_a_sync_the_sources_can_be_asked(synced, sample_upstream, free_port):
    assert synced.mirror.images.available().items == ()
    assert await synced.mirror.images.refresh(lambda _: None) == ()
    assert taken(synced, release="noble", arch="amd64") == {
        "v3:boot:24.04:amd64:ga-24.04": "selected: comes with the next sync",
        "v3:boot:24.04:amd64:hwe-24.04": "selected: comes with the next sync",
    }
    await synced.sync()
    synced.mirror.selections.remove(1, by="test")
    synced.add_source(sample_upstream, f"http://127.0.0.1:{free_port}/", name="gone")
    [problem] = await synced.mirror.images.refresh(lambda _: None)
    assert (problem.about, problem.code) == ("gone", "MIR-401")
    assert taken(synced, release="noble", arch="amd64", subarch="ga-24.04") == {
        "v3:boot:24.04:amd64:ga-24.04": "not selected: leaves with the next sync",
    }
    images, _ = walk(synced.mirror.images.available, release="noble", subarch="ga-24.04")
    assert [each.taken for each in images] == [True, False]


async def test_what_a_bad_version_is_left_out_for_is_said(synced, sample_upstream):
    def climb(document):
        product = document["products"]["com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"]
        product["versions"]["20250715"]["items"]["boot-kernel"]["path"] = "../../etc/passwd"

    sample_upstream.edit_products(climb)
    sample_upstream.write()
    assert (await synced.sync()).exit_status == 3
    reason = taken(synced, subarch="ga-24.04", arch="amd64")["v3:boot:24.04:amd64:ga-24.04"]
    assert reason.startswith("version 20250715 is left out: ")
    assert reason.endswith("[MIR-304]")


async def test_what_a_source_no_longer_offers_is_no_longer_listed(synced, sample_upstream):
    await synced.sync()
    sample_upstream.remove_product("com.ubuntu.maas.stable:centos-bases:8:amd64")
    sample_upstream.write()
    await synced.sync()
    images, _ = walk(synced.mirror.images.available, os="centos")
    assert [each.release for each in images] == ["centos70"]
    synced.mirror.sources.remove("main", by="test")
    assert synced.mirror.images.available().items == ()


async def test_priority_decides_and_the_list_says_why(
    mut, sample_upstream, signing_key, tmp_path, serve
):
    """Two sources with an overlapping release; then the winner is disabled."""
    other = SampleUpstream.create(tmp_path / "other", key=signing_key, versions=3)
    mut.add_source(sample_upstream, serve(sample_upstream.root).url, name="low", priority=1)
    mut.add_source(other, serve(other.root).url, name="high", priority=2)
    mut.select("os=ubuntu", "release=noble", "arch=amd64", keep=1)
    await mut.sync()
    ga = "v3:boot:24.04:amd64:ga-24.04"
    assert (ga, "20250814") in mut.versions()
    assert taken(mut, source="high", release="noble", arch="amd64")[ga] == "yes"
    assert taken(mut, source="low", release="noble", arch="amd64")[ga] == (
        "'high' offers ubuntu noble amd64 too, and has a higher priority"
    )
    mut.mirror.sources.update("high", {"enabled": False}, by="test")
    result = await mut.sync()
    assert result.status == "published"
    assert {source.source for source in mut.mirror.snapshots.show("stable").items} == {"low"}
    assert (ga, "20250715") in mut.versions()
    assert (ga, "20250814") not in mut.versions()
    assert taken(mut, release="noble", arch="amd64")[ga] == "yes"
    assert walk(mut.mirror.images.available, source="high") == ([], 1)


async def test_a_channel_s_images_with_their_pins_and_notes(synced, sample_upstream):
    await synced.sync()
    gone = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:hwe-24.04"
    sample_upstream.remove_product(gone)
    sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.write()
    await synced.sync()
    synced.mirror.catalog.add_pin(Pin(0, "stable", "20250715", ("subarch=hwe-24.04",)))
    page = synced.mirror.images.resources("stable", os="ubuntu")
    ga, hwe = page.items
    assert [version.name for version in ga.versions] == ["20250715", "20250814"]
    assert all(version.bytes > 0 for version in ga.versions)
    assert (ga.source, ga.notes, ga.pinned) == ("main", (), "")
    assert ga.attributes["support_eol"] == "2029-05-31"
    assert hwe.product == gone
    assert hwe.notes == ("vanished upstream: kept as it was",)
    assert hwe.pinned == "20250715"
    with pytest.raises(NotFound):
        synced.mirror.images.resources("nowhere")


async def test_a_channel_s_images_are_listed_for_whichever_snapshot_it_is_at(
    synced, sample_upstream
):
    first = await synced.sync()
    sample_upstream.add_version(only="24.04:amd64")
    sample_upstream.write()
    second = await synced.sync()
    resources = synced.mirror.catalog.resources
    assert (resources.has(first.snapshot), resources.has(second.snapshot)) == (False, True)
    newest = synced.mirror.images.resources("stable", os="ubuntu").items[0].versions[-1].name
    synced.mirror.store.channels.switch("stable", first.snapshot, "test")
    before = synced.mirror.images.resources("stable", os="ubuntu").items[0].versions[-1].name
    assert (before, newest) == ("20250715", "20250814")
    assert (resources.has(first.snapshot), resources.has(second.snapshot)) == (True, False)
    everything, pages = walk(synced.mirror.images.resources, channel="stable", limit=2)
    assert [each.product for each in everything] == sorted(
        {item.product for item in synced.mirror.snapshots.show("stable").items}
    )
    assert pages == 3


@pytest.fixture
def database(tmp_path):
    found = Database(tmp_path / "catalog.sqlite")
    yield found
    found.close()


def image(number: int, *, source: str = "main", taken: bool = True) -> AvailableImage:
    arch = ("amd64", "arm64", "s390x", "ppc64el")[number % 4]
    release = f"r{number % 50}"
    return AvailableImage(
        source, f"p{number:05}", "ubuntu", release, arch, "ga", "stable", "t", "1", 5, taken
    )


def test_pages_meet_every_image_once_even_while_others_come_and_go(database):
    available = Available(database)
    available.replace({"a": [image(n, source="a") for n in range(10)]}, keep=["a", "b"])
    available.replace({"b": [image(n, source="b") for n in range(5)]}, keep=["a", "b"])
    first = available.page("", 4)
    assert [(i.product, i.source) for i in first.items] == [
        ("p00000", "a"),
        ("p00000", "b"),
        ("p00001", "a"),
        ("p00001", "b"),
    ]
    available.replace({"a": [image(n, source="a") for n in range(1, 10)]}, keep=["a", "b"])
    second = available.page(first.next, 4)
    assert [(i.product, i.source) for i in second.items][:2] == [("p00002", "a"), ("p00002", "b")]
    assert available.page("", 14).next == ""
    assert len(available.page("", 13).items) == 13
    available.replace({}, keep=["b"])
    assert {i.source for i in available.page("", 100).items} == {"b"}
    with pytest.raises(TypeError):
        available.page("", 1, document="x")


def test_only_what_changed_is_written(database):
    available = Available(database)
    offered = [image(n) for n in range(100)]
    available.replace({"main": offered}, keep=["main"])
    before = database.rows("SELECT total_changes()")[0][0]
    available.replace({"main": offered}, keep=["main"])
    assert database.rows("SELECT total_changes()")[0][0] == before
    available.replace({"main": [*offered[:98], image(98, taken=False)]}, keep=["main"])
    assert database.rows("SELECT total_changes()")[0][0] == before + 2


def p99(times: list[float]) -> float:
    return quantiles(times, n=100)[98]


def test_a_page_of_many_available_images_is_quick(database):
    available = Available(database)
    offered = [image(n) for n in range(MANY)]
    started = time.perf_counter()
    available.replace({"main": offered}, keep=["main"])
    assert time.perf_counter() - started < 2  # about 0.2 s on a quiet machine
    for conditions in ({}, {"arch": "arm64"}, {"release": "r7"}, {"os": "none"}):
        times: list[float] = []
        after = "-"
        while after:
            began = time.thread_time()
            page = available.page(after.strip("-"), 100, **conditions)
            times.append(time.thread_time() - began)  # other processes do not count
            after = page.next
        assert min(times) < 0.02
        assert p99([*times, *times]) < 0.05


def many_products():
    for n in range(MANY):
        items = tuple(
            Item(name, name, f"noble/amd64/1/{n}/{name}", "0" * 64, 7) for name in ("a", "b")
        )
        about = {"os": "ubuntu", "release": "noble", "arch": "amd64", "subarch": f"ga-{n:05}"}
        about |= {"label": "stable", "kflavor": "generic", "release_title": "24.04 LTS"}
        yield Planned(Product(f"p{n:05}", "content", about, (Version("1", items),)), "main")


async def test_a_page_of_many_published_images_is_quick(mut):
    """The first page makes the list, off the event loop; the others are what the bar is about."""
    mut.select("os=ubuntu")
    store, now = mut.mirror.store, utcnow()
    products = store_products(many_products(), store.blobs)
    snapshot = Snapshot(created=now, updated=now, files={}, products=products)
    store.channels.switch("stable", store.snapshots.save(snapshot), "test")
    ask = mut.mirror.images.resources
    began = time.perf_counter()
    first = await asyncio.to_thread(ask, "stable")
    assert time.perf_counter() - began < 10  # about 0.6 s on a quiet machine
    times: list[float] = []
    after, found = first.next, len(first.items)
    while after:
        began = time.thread_time()
        page = ask("stable", after=after)
        times.append(time.thread_time() - began)  # other processes do not count
        found += len(page.items)
        after = page.next
    assert found == MANY
    assert p99(times) < 0.05
    began = time.thread_time()
    assert len(ask("stable", subarch="ga-19999").items) == 1
    assert time.thread_time() - began < 0.05
