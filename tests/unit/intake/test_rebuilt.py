"""Custom images when the catalogue is lost: the snapshots bring them back."""

from __future__ import annotations

from image_helpers import CENTOS

from mirror.model import Licence
from mirror.service.rebuild import rebuild


def test_they_come_back_from_the_snapshots(images, mut):
    for seed in "abc":
        images.take(images.file(seed), title="My CentOS", licence=Licence.SUBSCRIPTION)
    [before] = mut.mirror.custom_images.list()
    last = images.take(images.file("d")).version.name
    images.mut.mirror.custom_images.remove(before.declaration, last, by="test")
    images.take(images.file("c"), title="My CentOS", licence=Licence.SUBSCRIPTION)
    [before] = mut.mirror.custom_images.list()
    published = mut.published()
    mut.mirror.close()
    for suffix in ("", "-wal", "-shm"):
        (mut.root / f"catalog.sqlite{suffix}").unlink(missing_ok=True)

    report = rebuild(mut.mirror, by="test")
    assert (report.sources, report.selections) == ((), ())
    [image] = mut.mirror.custom_images.list()
    assert image.declaration == before.declaration
    assert [each.items for each in image.versions] == [each.items for each in before.versions]
    assert image.newest == before.newest
    assert mut.sync_now().status in {"published", "unchanged"}
    assert mut.published() == published
    assert images.take(images.file("e")).version.name > last
    assert {product for product, _ in mut.versions()} == {CENTOS}
