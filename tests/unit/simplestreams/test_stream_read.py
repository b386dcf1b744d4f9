from __future__ import annotations

import gc
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_builders import (
    CONTENT_ID,
    LIMITS,
    NAME,
    REAL,
    UPDATED,
    digest,
    encode,
    raw_file,
    raw_index,
    raw_item,
    raw_items,
    raw_product,
    read,
    read_real,
)

from mirror.errors import (
    DigestMissing,
    MetadataInvalid,
    MetadataTooLarge,
    NotJson,
    PathConflict,
    StreamError,
    UnsafePath,
)
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.read import parse_index, parse_products

TIME = datetime(2025, 7, 24, 8, 1, 48, tzinfo=UTC)


def one_rejected(raw):
    """Read a file of which one version is bad, and a second product good; return the rejection."""
    raw["products"]["good"] = raw_product(
        versions={"1": {"items": {"squashfs": raw_item("good/squashfs")}}}
    )
    found = read(raw)
    assert [p.name for p in found.products if p.versions] == ["good"]
    (rejected,) = found.rejected
    assert rejected.product == NAME
    return rejected


def test_the_real_index():
    index = parse_index((REAL / "index.json").read_bytes(), LIMITS)
    assert index.updated == datetime(2025, 7, 24, 8, 1, 49, tzinfo=UTC)
    assert [e.content_id for e in index.entries] == [
        "com.ubuntu.maas:stable:1:bootloader-download",
        "com.ubuntu.maas:stable:centos-bases-download",
        "com.ubuntu.maas:stable:v3:download",
    ]
    entry = index.entries[1]
    assert entry.path == "streams/v1/com.ubuntu.maas:stable:centos-bases-download.json"
    assert entry.datatype == "image-ids"
    assert entry.updated == TIME
    assert entry.products == {
        "com.ubuntu.maas.stable:centos-bases:7.0:amd64",
        "com.ubuntu.maas.stable:centos-bases:8:amd64",
    }


def test_the_real_products_files():
    ubuntu = read_real("ubuntu")
    assert ubuntu.content_id == "com.ubuntu.maas:stable:v3:download"
    assert ubuntu.rejected == ()
    assert len(ubuntu.products) == 4
    product = ubuntu.products[0]
    assert (product.os, product.release, product.arch) == ("ubuntu", "jammy", "amd64")
    assert product.content_id == ubuntu.content_id
    assert "versions" not in product.attributes
    assert [v.name for v in product.versions] == ["20250615", "20250718"]
    initrd = product.versions[0].items[0]
    assert (initrd.name, initrd.ftype, initrd.size) == ("boot-initrd", "boot-initrd", 115936699)
    assert initrd.path == "jammy/amd64/20250615/ga-22.04/generic/boot-initrd"
    assert initrd.sha256 == "9da92e6190185bd398e2ee4308d7d8ec34b848c28ffeaffa5912c811573eae98"
    assert initrd.attributes == {"kpackage": "linux-generic"}
    assert [len(read_real(name).products) for name in ("bootloaders", "centos")] == [5, 2]


def test_versions_are_sorted_as_text_whatever_their_order():
    raw = raw_file({NAME: raw_product("20250701", "20250615", "20250615.1")})
    names = [v.name for v in read(raw).products[0].versions]
    assert names == ["20250615", "20250615.1", "20250701"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html><title>Log in</title>",
        b"-----BEGIN PGP SIGNED MESSAGE-----",
        b"{} trailing",
        b'{"format": NaN}',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"format": "\xff"}',
        b'{"a": "\\ud800"}',
        encode(raw_file())[:-20],
    ],
)
def test_what_is_not_json_is_said_to_be_so_with_how_it_begins(data):
    for parse in (parse_index, parse_products):
        with pytest.raises(NotJson, match="it begins with") as caught:
            parse(data, LIMITS)
        assert repr(data[:40]) in caught.value.what


def test_bottomless_nesting_is_refused():
    with pytest.raises(MetadataInvalid, match="nested too deeply"):
        parse_products(b'{"a":' * 200_000, LIMITS)


@pytest.mark.parametrize("value", [[], "text", 5, None])
def test_json_that_is_no_object_is_refused(value):
    for parse in (parse_index, parse_products):
        with pytest.raises(MetadataInvalid, match="not an object"):
            parse(encode(value), LIMITS)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "products:1.0"}, "has format 'products:1.0', not 'index:1.0'"),
        ({"format": None}, "has format"),
        ({"updated": None}, "'updated' of the index is missing"),
        ({"updated": 5}, "'updated' of the index"),
        ({"updated": "soon"}, "not a time"),
        ({"index": None}, "'index' of the index is missing"),
        ({"index": {CONTENT_ID: []}}, f"index entry {CONTENT_ID} is missing, or is not an object"),
        ({"index": {CONTENT_ID: {}}}, f"'path' of index entry {CONTENT_ID} is missing"),
        ({"index": {"a/b": {"path": "x"}}}, "not a usable content id"),
        ({"index": {"index": {"path": "x"}}}, "not a usable content id"),
        ({"index": {CONTENT_ID: {"path": "x", "products": "all"}}}, "not a list of names"),
        ({"index": {CONTENT_ID: {"path": "x", "products": [5]}}}, "not a list of names"),
        ({"index": {CONTENT_ID: {"path": "x", "datatype": 5}}}, "'datatype' of index entry"),
    ],
)
def test_an_index_that_can_not_be_used_says_why(changes, says):
    with pytest.raises(MetadataInvalid) as caught:
        parse_index(encode(raw_index(**changes)), LIMITS)
    assert says in caught.value.what


def test_an_index_can_not_lead_outside():
    with pytest.raises(UnsafePath, match=r"'\.\./x\.json'"):
        parse_index(encode(raw_index(index={CONTENT_ID: {"path": "../x.json"}})), LIMITS)


def test_index_entries_may_say_little_and_other_formats_are_left_out():
    index = {
        "bare": {"path": "streams/v1/bare.json"},
        "nested": {"path": "streams/v1/nested.json", "format": "index:1.0"},
    }
    (entry,) = parse_index(encode(raw_index(index=index)), LIMITS).entries
    assert (entry.content_id, entry.format) == ("bare", "products:1.0")
    assert (entry.datatype, entry.updated, entry.products) == ("", None, None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "index:1.0"}, "has format 'index:1.0', not 'products:1.0'"),
        ({"content_id": None}, "'content_id' of the products file is missing"),
        ({"content_id": "../x"}, "not a usable content id"),
        ({"updated": None}, f"'updated' of products file {CONTENT_ID} is missing"),
        ({"datatype": 5}, "'datatype' of the products file"),
        ({"products": "x"}, "'products' of the products file is missing"),
        ({"products": []}, "'products' of the products file"),
    ],
)
def test_a_products_file_that_can_not_be_used_says_why(changes, says):
    with pytest.raises(MetadataInvalid) as caught:
        read(raw_file(**changes))
    assert says in caught.value.what


@pytest.mark.parametrize(
    ("product", "says"),
    [
        ([], "is not an object"),
        (raw_product(versions=[]), "'versions' of product"),
        (raw_product(arch=None), "has no arch: no MAAS can read it"),
        (raw_product(label=5), "has no label: no MAAS can read it"),
        (raw_product(versions=None), "'versions' of product"),
    ],
)
def test_a_bad_product_costs_that_product_only(product, says):
    rejected = one_rejected(raw_file({NAME: product}))
    assert rejected.version == ""
    assert isinstance(rejected.error, MetadataInvalid)
    assert says in rejected.error.what


@pytest.mark.parametrize("name", ["", "a\x1b[2Jb", "a\nb", "x" * 251])
def test_names_that_would_garble_a_terminal_are_refused(name):
    found = read(raw_file({name: raw_product(), NAME: raw_product(versions={name: {}})}))
    assert [(r.product, r.version) for r in found.rejected] == [(name, ""), (NAME, name)]
    assert all("unusable name" in r.error.what for r in found.rejected)
    assert all(r.error.what.isprintable() for r in found.rejected)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"sha256": None}, DigestMissing, "no sha256"),
        ({"sha256": "0" * 63}, DigestMissing, "no sha256 of 64"),
        ({"sha256": "g" * 64}, DigestMissing, "no sha256 of 64"),
        ({"sha256": "0" * 64 + "\n"}, DigestMissing, "no sha256 of 64"),
        ({"sha256": 5}, DigestMissing, "no sha256 of 64"),
        ({"sha256": digest("x").upper()}, DigestMissing, "upper case"),
        ({"size": None}, DigestMissing, "no usable size"),
        ({"size": -1}, DigestMissing, "no usable size (it says '-1')"),
        ({"size": 5.0}, DigestMissing, "no usable size"),
        ({"size": True}, DigestMissing, "no usable size"),
        ({"size": "5 MB"}, DigestMissing, "no usable size (it says '5 MB')"),
        ({"size": "\u0665"}, DigestMissing, "no usable size"),
        ({"size": 1 << 62}, DigestMissing, "no usable size"),
        ({"size": [[]] * 1000}, DigestMissing, "no usable size"),
        ({"path": None}, MetadataInvalid, "no path or no ftype"),
        ({"path": 5}, MetadataInvalid, "no path or no ftype"),
        ({"ftype": None}, MetadataInvalid, "no path or no ftype"),
        ({"path": "../../etc/passwd"}, UnsafePath, "climbs"),
        ({"path": "streams/v1/index.json"}, UnsafePath, "for metadata"),
        ({"path": "noble/amd64/20250615/x/boot-kernel"}, MetadataInvalid, "the same file name"),
    ],
)
def test_a_bad_item_costs_its_version_only(change, error, says):
    raw = raw_file()
    raw["products"][NAME]["versions"]["20250615"]["items"]["squashfs"].update(change)
    rejected = one_rejected(raw)
    assert rejected.version == "20250615"
    assert isinstance(rejected.error, error)
    assert says in rejected.error.what
    assert len(rejected.error.what) < 400


@pytest.mark.parametrize("version", [[], {"items": []}, {"items": {"squashfs": []}}])
def test_a_bad_shape_costs_its_version_only(version):
    rejected = one_rejected(raw_file({NAME: raw_product(versions={"1": version})}))
    assert rejected.version == "1"
    assert isinstance(rejected.error, MetadataInvalid)


def test_other_versions_of_the_product_live_on():
    raw = raw_file({NAME: raw_product("20250615", "20250701")})
    del raw["products"][NAME]["versions"]["20250701"]["items"]["squashfs"]["sha256"]
    found = read(raw)
    assert [v.name for v in found.products[0].versions] == ["20250615"]
    assert [r.version for r in found.rejected] == ["20250701"]


def test_two_contents_for_one_path_cost_both_versions():
    raw = raw_file({"a": raw_product("1", "2"), "b": raw_product("2")})
    raw["products"]["b"]["versions"]["2"]["items"]["squashfs"]["sha256"] = digest("other")
    found = read(raw)
    assert [[v.name for v in p.versions] for p in found.products] == [["1"], []]
    assert {(r.product, r.version) for r in found.rejected} == {("a", "2"), ("b", "2")}
    assert all(isinstance(r.error, PathConflict) for r in found.rejected)


def test_a_product_without_versions_is_still_there():
    found = read(raw_file({NAME: raw_product(versions={}), "b": raw_product(versions={"1": {}})}))
    assert [p.name for p in found.products] == [NAME, "b"]
    assert [[v.items for v in p.versions] for p in found.products] == [[], [()]]
    assert found.rejected == ()


def test_sizes_in_text_are_numbers():
    raw = raw_file()
    raw["products"][NAME]["versions"]["20250615"]["items"]["squashfs"]["size"] = "455872512"
    assert read(raw).products[0].versions[0].items[3].size == 455872512


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(products_bytes=100), "bytes (limit 100)"),
        (Limits(products=1), "2 products (limit 1)"),
        (Limits(versions=1), "2 versions (limit 1)"),
        (Limits(items=11), "more than 11 items"),
    ],
)
def test_a_products_file_beyond_its_caps_is_refused_whole(limits, says):
    raw = raw_file({NAME: raw_product("1", "2"), "b": raw_product("1")})
    with pytest.raises(MetadataTooLarge) as caught:
        read(raw, limits)
    assert says in caught.value.what
    assert read(raw, Limits(products=2, versions=2, items=12)).rejected == ()


def test_an_index_beyond_its_caps_is_refused():
    with pytest.raises(MetadataTooLarge, match="limit 10"):
        parse_index(encode(raw_index()), Limits(index_bytes=10))
    many = {f"c{n}": {"path": f"streams/v1/c{n}.json"} for n in range(3)}
    with pytest.raises(MetadataTooLarge, match="names 3 products files \\(limit 2\\)"):
        parse_index(encode(raw_index(index=many)), Limits(products_files=2))


def test_the_garbage_collector_is_left_as_it_was():
    assert gc.isenabled()
    read(raw_file())
    with pytest.raises(MetadataInvalid):
        read(raw_file(content_id=None))
    assert gc.isenabled()
    gc.disable()
    try:
        read(raw_file())
        assert not gc.isenabled()
    finally:
        gc.enable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


def places(value, at=()):
    """Every place in a JSON value, as the keys that lead there."""
    yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))


PLACES = [place for place in places(raw_file()) if place]


@given(st.sampled_from(PLACES), json_values)
def test_any_value_in_any_place_is_read_or_refused_with_a_reason(place, value):
    raw = json.loads(encode(raw_file()))
    inner = raw
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    try:
        found = read(raw)
    except StreamError:
        return
    for product in found.products:
        for version in product.versions:
            for item in version.items:
                assert len(item.sha256) == 64
                assert item.size >= 0


def test_updated_of_the_file():
    assert read(raw_file(updated=UPDATED)).updated == TIME


def test_item_names_must_be_printable():
    raw = raw_file()
    items = {**raw_items(), "a\x1bb": raw_item("noble/x")}
    raw["products"][NAME]["versions"]["20250615"]["items"] = items
    assert "unusable name of an item" in one_rejected(raw).error.what
