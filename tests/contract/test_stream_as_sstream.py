"""Our filters, inheritance and aliases mean what they mean to python-simplestreams."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror.model import flatten
from mirror.simplestreams.filters import matches, parse_filter
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.read import parse_index, parse_products
from mirror.simplestreams.write import write_stream
from mirror.testing.sstream import sstream_query

DATA = Path(__file__).parents[1] / "data" / "simplestreams"
FILES = {
    "ubuntu": "com.ubuntu.maas:stable:v3:download",
    "centos": "com.ubuntu.maas:stable:centos-bases-download",
    "bootloaders": "com.ubuntu.maas:stable:1:bootloader-download",
}
UPDATED = datetime(2026, 11, 23, 7, 0, 12, tzinfo=UTC)

HOISTED = {
    "_aliases": {
        "release": {"noble": {"release_title": "24.04 LTS", "krel": "noble"}},
        "kind": {"boot": {"kpackage": "linux-generic", "ftype": "boot-kernel"}},
    },
    "content_id": "hoisted",
    "datatype": "image-ids",
    "format": "products:1.0",
    "updated": "Thu, 24 Jul 2025 08:01:48 +0000",
    "os": "ubuntu",
    "label": "stable",
    "products": {
        "one": {
            "release": "noble",
            "arch": "amd64",
            "src_package": "from-the-product",
            "versions": {
                "20250701": {
                    "label": "beta",
                    "items": {
                        "kernel": {
                            "kind": "boot",
                            "path": "noble/kernel",
                            "sha256": "1" * 64,
                            "size": 5,
                        },
                        "squashfs": {
                            "ftype": "squashfs",
                            "arch": "arm64",
                            "path": "noble/squashfs",
                            "sha256": "2" * 64,
                            "size": 6,
                        },
                    },
                }
            },
        }
    },
}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """The real excerpt as files, with one more products file that hoists what it can."""
    base = tmp_path_factory.mktemp("upstream")
    streams = base / "streams" / "v1"
    streams.mkdir(parents=True)
    for name, content_id in FILES.items():
        shutil.copy(DATA / f"{name}.json", streams / f"{content_id}.json")
    index = json.loads((DATA / "index.json").read_text())
    index["index"]["hoisted"] = {"path": "streams/v1/hoisted.json", "format": "products:1.0"}
    (streams / "index.json").write_text(json.dumps(index))
    (streams / "hoisted.json").write_text(json.dumps(HOISTED))
    return base


def ours(base, filters):
    """What we find in a stream: (product, version, item) of each item that passes."""
    parsed = [parse_filter(text) for text in filters]
    index = parse_index((base / "streams/v1/index.json").read_bytes(), Limits())
    return sorted(
        (product.name, version.name, item.name)
        for entry in index.entries
        for product in parse_products((base / entry.path).read_bytes(), Limits()).products
        for version in product.versions
        for item in version.items
        if matches(parsed, flatten(product, version, item))
    )


def theirs(base, filters):
    found = sstream_query(str(base / "streams/v1/index.json"), *filters)
    return sorted((i["product_name"], i["version_name"], i["item_name"]) for i in found)


@pytest.mark.parametrize(
    "filters",
    [
        [],
        ["release~(jammy|noble)", "arch=amd64"],
        ["release!=jammy", "ftype!~^boot"],
        ["version_name~2025.*", "item_name=squashfs"],
        ["kflavor=", "size~^5"],
        ["subarches~(^|,)ga-22.04(,|$)"],
        ["label=beta"],
        ["release_title=24.04 LTS", "krel=noble"],
        ["arch=arm64", "os = ubuntu"],
        ["kpackage!=linux-generic"],
        ["src_package=from-the-product"],
        ["ftype=boot-kernel", "product_name~one"],
        ["bootloader-type=uefi"],
        ["content_id~centos"],
        ["missing!=x", "arch=ppc64el"],
    ],
    ids=" ".join,
)
def test_a_filter_finds_what_sstream_query_finds(upstream, filters):
    expected = theirs(upstream, filters)
    assert ours(upstream, filters) == expected
    assert expected


def test_what_we_write_is_listed_as_it_was_upstream(upstream, tmp_path):
    index = parse_index((upstream / "streams/v1/index.json").read_bytes(), Limits())
    products = [
        product
        for entry in index.entries
        for product in parse_products((upstream / entry.path).read_bytes(), Limits()).products
    ]
    for document in write_stream(products, UPDATED):
        path = tmp_path / f"{document.path}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(document.json)
    all_of_it = sstream_query(str(tmp_path / "streams/v1/index-all.json"))
    assert _comparable(all_of_it) == _comparable(
        sstream_query(str(upstream / "streams/v1/index.json"))
    )
    # MAAS 3.7+ could not read the hoisted product: it has no kind.
    listed = sstream_query(str(tmp_path / "streams/v1/index.json"))
    assert {i["product_name"] for i in all_of_it} - {i["product_name"] for i in listed} == {"one"}


def _comparable(items):
    """Leave out where a stream lies and when it was made, and what we move to its own level."""
    moved = {"item_url", "updated", "src_package", "kind"}
    flat = [{k: v for k, v in item.items() if k not in moved} for item in items]
    return sorted(flat, key=lambda item: item["path"])
