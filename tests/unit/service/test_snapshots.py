"""What differs between snapshots, down to packages; reading one of them again."""

from __future__ import annotations

import pytest
from listing import LISTING

from mirror.errors import ManifestUnreadable, NoManifest, NotFound, ProductAmbiguous, VersionNotHere
from mirror.plugin_manager import load_plugins

FIRST, SECOND, THIRD = "20250615", "20250715", "20250814"
GA = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"


@pytest.fixture
def listing(mut, install_plugin):
    """Let the mirror know a plugin that lists packages, alone."""
    install_plugin("listing", LISTING)
    mut.mirror.plugins = load_plugins(allow=["listing"], strict=True)
    return mut


@pytest.fixture
def two(listing, mut, sample_upstream, serve) -> list[str]:
    """Sync twice into channel stable; noble has a newer version the second time."""
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os~(ubuntu|centos)", "arch=amd64")
    mut.sync_now()
    sample_upstream.add_version(only="24.04:amd64")
    sample_upstream.write()
    mut.sync_now()
    return mut.mirror.store.snapshots.ids()


def test_the_list(mut, two):
    mut.mirror.channels.promote("site-a", two[0], by="me")
    old, new = mut.mirror.snapshots.list(unique=True)
    assert (old.id, old.channels, old.answering) == (two[0], ("site-a",), ("site-a", "stable"))
    assert (new.id, new.channels, new.parent) == (two[1], ("stable",), two[0])
    assert 0 < old.unique < old.bytes
    assert 0 < new.unique < new.bytes
    assert [each.unique for each in mut.mirror.snapshots.list()] == [None, None]


def test_what_was_read_once_is_remembered(mut, two):
    listed = mut.mirror.snapshots.list()
    for snapshot_id in two:
        (mut.mirror.dir.snapshots / f"{snapshot_id}.json.zst.asc").unlink()
    assert mut.mirror.snapshots.list() == listed


async def test_what_differs(mut, two):
    found = await mut.mirror.snapshots.diff(two[0], "stable")
    assert (found.old, found.new) == tuple(two)
    assert {each.product for each in found.products} == {GA, GA.replace("ga-", "hwe-")}
    for each in found.products:
        assert ([v.version for v in each.added], [v.version for v in each.removed]) == (
            [THIRD],
            [FIRST],
        )
        assert (each.change, each.release, each.packages) == ("changed", "noble", None)
    assert found.bytes_added > 0
    assert (await mut.mirror.snapshots.diff(two[1], "stable")).products == ()
    with pytest.raises(NotFound):
        await mut.mirror.snapshots.diff(two[0], "nothing")


async def test_what_differs_in_packages(mut, two):
    found = await mut.mirror.snapshots.diff(two[0], two[1], packages=True)
    packages = found.products[0].packages
    assert (packages.old, packages.new) == (SECOND, THIRD)
    [change] = packages.changed
    assert (change.name, change.old, change.new) == ("ubuntu-image", SECOND, THIRD)
    assert packages.same >= 1


@pytest.mark.parametrize("product", [GA, "noble", "release=noble arch=amd64 subarch=ga-24.04"])
async def test_packages_of_two_versions(mut, two, product):
    found = await mut.mirror.snapshots.packages(product, FIRST, THIRD)
    assert [(each.name, each.old, each.new) for each in found.changed] == [
        ("ubuntu-image", FIRST, THIRD)
    ]
    assert found.product == GA


async def test_packages_of_an_rpm_distribution(mut, two):
    found = await mut.mirror.snapshots.packages("centos70", f"{FIRST}_01", f"{SECOND}_01")
    assert [each.name for each in found.changed] == ["centos-release"]
    assert found.same >= 1


async def test_what_can_not_be_compared(mut, two):
    packages = mut.mirror.snapshots.packages
    with pytest.raises(VersionNotHere, match=f"{FIRST}, {SECOND}, {THIRD}"):
        await packages("noble", FIRST, "20990101")
    with pytest.raises(NotFound):
        await packages("focal", FIRST, SECOND)
    with pytest.raises(NotFound):
        await packages(f"{GA}x", FIRST, SECOND)
    with pytest.raises(NoManifest):
        await packages("os=grub-efi-signed", f"{FIRST}.0", f"{SECOND}.0")


async def test_a_manifest_that_is_none(listing, mut, sample_upstream, serve):
    def spoil(document):
        for version, about in document["products"][GA]["versions"].items():
            path = f"noble/amd64/{version}/spoilt.manifest"
            about["items"]["manifest"].update(sample_upstream.put(path, b"\x1b[31m\x00" * 9))

    sample_upstream.edit_products(spoil)
    sample_upstream.write()
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64")
    await mut.sync()
    with pytest.raises(ManifestUnreadable):
        await mut.mirror.snapshots.packages(GA, FIRST, SECOND)
    with pytest.raises(ProductAmbiguous, match="hwe-24"):
        await mut.mirror.snapshots.packages("noble", FIRST, SECOND)
    mut.mirror.channels.pin("stable", ["release=noble"], FIRST, by="me")
    ids = mut.mirror.store.snapshots.ids()
    found = await mut.mirror.snapshots.diff(*ids, packages=True)
    [spoilt] = [each for each in found.products if each.product == GA]
    assert spoilt.packages is None
    said = {f"the list of packages of {GA!r} {each} is no text" for each in (FIRST, SECOND)}
    assert any(each in spoilt.packages_problem for each in said)


async def test_verify_reads_one_snapshot(mut, two):
    store = mut.mirror.store
    old, new = (store.snapshots.load(each).files for each in two)
    gone = next(ref.sha256 for path, ref in new.items() if path not in old)
    store.blobs.delete(gone)
    said = []
    report = await mut.mirror.snapshots.verify("stable", said.append)
    assert [each.sha256 for each in report.damaged] == [gone]
    assert report.exit_status == 4
    assert "read " in said[-1].message
    report = await mut.mirror.snapshots.verify(two[0], said.append)
    assert (report.damaged, report.exit_status) == ((), 0)
    with pytest.raises(NotFound):
        await mut.mirror.snapshots.verify("nothing", said.append)
