"""Custom images that are not free: nobody has them by their digest, published or not."""

from __future__ import annotations

from mirror.model import Licence


def marks(mut, image):
    store = mut.mirror.store
    return [
        {store.restricted.needed(item.sha256) for item in version.items}
        for version in image.versions
    ]


def test_they_are_marked_before_they_are_published(images, mut):
    images.take(images.file("a"), licence=Licence.PROPRIETARY, publish=False)
    [image] = mut.mirror.custom_images.list()
    assert mut.mirror.channels.pointers() == {}
    assert marks(mut, image) == [{"proprietary"}]


def test_a_licence_that_is_given_later_counts_at_once(images, mut):
    for seed in "ab":
        images.take(images.file(seed), licence=Licence.FREE)
    [image] = mut.mirror.custom_images.list()
    assert marks(mut, image) == [{""}, {""}]
    changed = mut.mirror.custom_images.update(
        image.declaration, licence=Licence.SUBSCRIPTION, by="test"
    )
    assert marks(mut, changed) == [{"subscription"}] * 2
    assert mut.sync_now(only=("custom",)).status == "published"
    store = mut.mirror.store
    snapshot = store.snapshots.load(mut.mirror.channels.current("stable"))
    assert set(snapshot.views) == {"subscription"}
    images.take(images.file("b"), licence=Licence.PROPRIETARY, publish=False)
    assert marks(mut, changed) == [{"proprietary"}] * 2
    mut.mirror.custom_images.update(image.declaration, licence=Licence.FREE, by="test")
    assert mut.sync_now(only=("custom",)).status == "published"
    assert marks(mut, changed) == [{""}, {""}]
    snapshot = store.snapshots.load(mut.mirror.channels.current("stable"))
    assert snapshot.views == {}
