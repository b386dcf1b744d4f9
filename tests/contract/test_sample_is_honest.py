"""The sample upstream is one that every MAAS reads and that our own rules believe."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mirror.model import utcnow
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.lint import lint_stream
from mirror.simplestreams.verify import TrustedStream
from mirror.testing.sample import SampleUpstream


@pytest.fixture
def sample(tmp_path):
    return SampleUpstream.create(tmp_path / "upstream", size=8192)


def texts(sample):
    files = (sample.root / "streams/v1").glob("*.json")
    return {f"streams/v1/{file.name}": file.read_bytes() for file in files}


def believe(sample, seen):
    """Take the stream as a sync does; return its files by content id, and what was seen."""
    files = texts(sample)
    stream = TrustedStream(
        "sample", now=utcnow(), seen=seen, limits=Limits(), max_staleness=timedelta(days=1)
    )
    index = stream.update_index(files["streams/v1/index.json"])
    products = {
        entry.content_id: stream.update_products(entry, files[entry.path])
        for entry in index.entries
    }
    return products, stream.seen()


def test_no_maas_finds_fault_with_it(sample):
    assert lint_stream(texts(sample)) == []


def test_it_is_believed_at_every_change(sample):
    seen = {}
    for change in (
        lambda: None,
        sample.add_version,
        lambda: sample.remove_product("com.ubuntu.maas.stable:centos-bases:8:amd64"),
    ):
        change()
        sample.write()
        products, seen = believe(sample, seen)
        items = {
            item.path: (item.sha256, item.size)
            for file in products.values()
            for product in file.products
            for version in product.versions
            for item in version.items
        }
        assert items == sample.files()
        assert [file.rejected for file in products.values()] == [(), (), ()]
