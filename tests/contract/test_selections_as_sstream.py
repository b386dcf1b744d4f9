"""What is selected, pinned and preferred is what clients see: asked with `sstream-query`.

After each step the published stream passes MAAS's rules too.
"""

from __future__ import annotations

import asyncio

import pytest

from mirror.model import Pin, Selection
from mirror.server.options import ServerOptions
from mirror.server.serving import running_server
from mirror.simplestreams.lint import lint_stream
from mirror.testing.sample import SampleUpstream
from mirror.testing.sstream import sstream_query

GA = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"
HWE = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:hwe-24.04"


class Site:
    """A mirror, served anew for each look at it."""

    def __init__(self, mut, tmp_path) -> None:
        self.mut = mut
        self._keyring = tmp_path / "mirror.gpg"
        self._keyring.write_bytes(mut.mirror.key.public_binary())

    async def images(self) -> dict[str, set[str]]:
        """Return the versions that a client sees of each product; bootloaders aside."""
        async with running_server(ServerOptions(data_dir=str(self.mut.root), port=0)) as url:
            items = await asyncio.to_thread(
                sstream_query,
                f"{url}/images/stable/streams/v1/index.sjson",
                keyring=self._keyring,
            )
        self._lint()
        seen: dict[str, set[str]] = {}
        for item in items:
            if "bootloader-type" not in item:
                seen.setdefault(item["product_name"], set()).add(item["version_name"])
        return seen

    def _lint(self) -> None:
        store = self.mut.mirror.store
        files = store.snapshots.load(store.channels.current("stable")).files
        metadata = {
            path: store.blobs.path(ref.sha256).read_bytes()
            for path, ref in files.items()
            if path.startswith("streams/v1/") and path.endswith(".json")
        }
        assert [each for each in lint_stream(metadata) if each.effect == "fails"] == []


@pytest.fixture
def site(mut, tmp_path):
    return Site(mut, tmp_path)


@pytest.fixture
def source(mut, sample_upstream, serve):
    mut.add_source(sample_upstream, serve(sample_upstream.root).url, name="main", priority=1)
    return sample_upstream


def select(mut, **fields) -> Selection:
    return mut.mirror.selections.add(Selection(0, **fields), by="test")


async def test_selections_pins_and_versions_as_clients_see_them(site, mut, source):
    ga = select(mut, os="ubuntu", release="noble", arches=("amd64",), subarches=("ga-*",))
    await mut.sync()
    assert await site.images() == {GA: {"20250615", "20250715"}}
    hwe = select(mut, os="ubuntu", release="noble", arches=("amd64",), subarches=("hwe-*",), keep=1)
    await mut.sync()
    assert await site.images() == {GA: {"20250615", "20250715"}, HWE: {"20250715"}}
    pin = mut.mirror.catalog.add_pin(Pin(0, "stable", "20250615", ("subarch=ga-24.04",)))
    source.add_version(only="24.04:amd64")
    source.write()
    await mut.sync()
    assert await site.images() == {GA: {"20250615"}, HWE: {"20250814"}}
    mut.mirror.catalog.remove_pin(pin.id)
    await mut.sync()
    assert await site.images() == {GA: {"20250715", "20250814"}, HWE: {"20250814"}}
    mut.mirror.selections.remove(hwe.id, by="test")
    await mut.sync()
    assert await site.images() == {GA: {"20250715", "20250814"}}
    source.remove_product(GA)
    source.write()
    result = await mut.sync()
    assert result.notes[GA] == ["vanished upstream: kept as it was"]
    assert await site.images() == {GA: {"20250715", "20250814"}}
    mut.mirror.selections.remove(ga.id, by="test")
    select(mut, os="centos", release="8")
    await mut.sync()
    assert await site.images() == {
        "com.ubuntu.maas.stable:centos-bases:8:amd64": {"20250615_01", "20250715_01"}
    }


async def test_priority_as_clients_see_it(site, mut, source, signing_key, tmp_path, serve):
    """Two sources with an overlapping release, under other names: one of them provides it."""

    def rename(document) -> None:
        products = document["products"]
        for name in list(products):
            product = products.pop(name)
            if product["release"] == "noble":
                product["label"] = "candidate"
                products[name.replace("stable", "candidate")] = product

    other = SampleUpstream.create(tmp_path / "other", key=signing_key, versions=3)
    other.edit_products(rename)
    other.write()
    mut.add_source(other, serve(other.root).url, name="candidate", priority=2)
    select(mut, os="ubuntu", arches=("amd64",), keep=1)
    await mut.sync()
    jammy = {name.replace("24.04", "22.04"): {"20250715"} for name in (GA, HWE)}
    ours = {name.replace("stable", "candidate"): {"20250814"} for name in (GA, HWE)}
    assert await site.images() == {**jammy, **ours}
    lost = mut.mirror.images.available(source="main", release="noble", arch="amd64").items
    assert {(each.taken, each.reason) for each in lost} == {
        (False, "'candidate' offers ubuntu noble amd64 too, and has a higher priority")
    }
    mut.mirror.sources.update("candidate", {"enabled": False}, by="test")
    await mut.sync()
    assert await site.images() == {**jammy, GA: {"20250715"}, HWE: {"20250715"}}
    taken = mut.mirror.images.available(release="noble", arch="amd64").items
    assert {(each.source, each.taken, each.reason) for each in taken} == {("main", True, "")}
