"""Syncs that bring images that are not free: what stays hidden, whatever is done with channels."""

from __future__ import annotations

import dataclasses
import json
import shutil
from datetime import timedelta

import pytest

from mirror.model import Licence
from mirror.store.gc import collect
from mirror.testing.sample import SampleUpstream
from mirror.testing.sample_products import CENTOS, centos_products, sample_products

PRO = "proprietary"
WINDOWS = "com.ubuntu.maas.stable:centos-bases:8:amd64"


@pytest.fixture
def upstream(tmp_path, signing_key):
    """A sample that has CentOS 8 as an image that is not free."""
    _, chosen = centos_products()
    licensed = dataclasses.replace(chosen, attributes={**chosen.attributes, "licence": PRO})
    others = [each for each in sample_products() if each.attributes.get("os") == "ubuntu"]
    return SampleUpstream.create(
        tmp_path / "licensed", key=signing_key, products=[*others, licensed]
    )


@pytest.fixture
def mirrored(mut, upstream, serve):
    mut.add_source(upstream, serve(upstream.root).url)
    mut.select("arch=amd64", "release~(noble|8)")
    return mut


def hidden(mut, channel="stable"):
    """Return what is not free: the paths by what they need; everyone's index must not name it."""
    store = mut.mirror.store
    snapshot = store.snapshots.load(mut.mirror.channels.current(channel))
    everyone = store.blobs.path(snapshot.files["streams/v1/index-all.json"].sha256).read_bytes()
    assert WINDOWS not in everyone.decode()
    for view in snapshot.views.values():
        index = store.blobs.path(view.files["streams/v1/index-all.json"].sha256).read_bytes()
        assert WINDOWS in index.decode()
    needed = {path: ref.licence for path, ref in snapshot.files.items() if ref.licence}
    assert set(snapshot.views) == set(needed.values())
    for path in needed:
        assert store.restricted.needed(snapshot.files[path].sha256) == PRO
    return needed


async def test_it_stays_hidden_through_promotion_pin_and_rollback(mirrored, upstream):
    await mirrored.sync()
    first = hidden(mirrored)
    assert first
    assert set(first.values()) == {PRO}
    channels = mirrored.mirror.channels
    channels.promote("candidate", "stable", by="test")
    assert hidden(mirrored, "candidate") == first
    upstream.add_version()
    upstream.write()
    await mirrored.sync()
    second = hidden(mirrored)
    assert second != first
    assert second.keys() & first.keys()
    channels.pin("stable", ["release=8"], "20250615_01", by="test")
    pinned = hidden(mirrored)
    assert pinned.keys() < first.keys()
    channels.unpin("stable", by="test")
    channels.rollback("stable", to="candidate", by="test")
    assert hidden(mirrored) == first
    diff = await mirrored.mirror.snapshots.diff("candidate", "stable")
    assert (diff.products, diff.bytes_added) == ((), 0)
    shown = mirrored.mirror.snapshots.show("stable").items
    assert {each.path for each in shown} > first.keys()


async def test_what_becomes_free_is_shown_and_what_was_free_is_hidden(mirrored, upstream):
    await mirrored.sync()
    paths = hidden(mirrored)
    upstream.edit_products(
        lambda document: document["products"][WINDOWS].pop("licence"), content_id=CENTOS
    )
    upstream.set_updated(upstream.updated + timedelta(minutes=1))
    upstream.write()
    await mirrored.sync()
    store = mirrored.mirror.store
    snapshot = store.snapshots.load(mirrored.mirror.channels.current("stable"))
    assert snapshot.views == {}
    assert {snapshot.files[path].licence for path in paths} == {""}
    assert {store.restricted.needed(snapshot.files[path].sha256) for path in paths} == {""}
    upstream.mend()
    upstream.set_updated(upstream.updated + timedelta(minutes=1))
    upstream.write()
    await mirrored.sync()
    assert hidden(mirrored) == paths


async def test_verify_repair_and_gc_know_the_views(mirrored, upstream):
    await mirrored.sync()
    hidden(mirrored)
    store = mirrored.mirror.store
    snapshot = store.snapshots.load(mirrored.mirror.channels.current("stable"))
    report = await mirrored.mirror.storage.verify(repair=False, emit=lambda _: None)
    assert report.damaged == ()
    assert report.blobs == len(list(store.blobs.hashes()))
    assert collect(store, grace=mirrored.mirror.settings.store.grace).blobs == 0
    [view] = snapshot.views.values()
    index = view.files["streams/v1/index.json"].sha256
    image = next(ref.sha256 for ref in snapshot.files.values() if ref.licence)
    for sha256 in (index, image):
        store.blobs.delete(sha256)
    shutil.rmtree(store.restricted.root)
    said = []
    report = await mirrored.mirror.storage.verify(repair=True, emit=said.append)
    assert {each.sha256 for each in report.damaged} == {index, image}
    assert report.repaired == (image,)
    assert any("not free" in getattr(each, "message", "") for each in said)
    assert store.restricted.needed(image) == store.restricted.needed(index) == PRO


async def test_the_licence_of_a_product_is_in_what_is_listed(mirrored, upstream):
    await mirrored.sync()
    hidden(mirrored)
    store = mirrored.mirror.store
    snapshot = store.snapshots.load(mirrored.mirror.channels.current("stable"))
    [view] = snapshot.views.values()
    path = next(p for p in view.files if "centos" in p and p.endswith(".json"))
    products = json.loads(store.blobs.path(view.files[path].sha256).read_bytes())["products"]
    assert products[WINDOWS]["licence"] == Licence.PROPRIETARY


async def test_what_was_fetched_and_can_not_be_published_is_marked_too(mirrored, upstream):
    files = {p: sha for p, (sha, _) in upstream.files().items() if p.startswith("centos/8/")}
    assert files
    for path in files:
        if path.endswith("manifest"):
            (upstream.root / path).unlink()
    result = await mirrored.sync()
    assert result.left_out
    store = mirrored.mirror.store
    assert not any(path.startswith("centos/8/") for path in mirrored.published())
    fetched = [sha256 for sha256 in files.values() if store.blobs.has(sha256)]
    assert fetched
    assert {store.restricted.needed(sha256) for sha256 in fetched} == {PRO}
