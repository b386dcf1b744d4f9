from __future__ import annotations

import pytest
from stream_builders import NAME, raw_file, raw_item, raw_product, read

from mirror.errors import MetadataInvalid, MetadataTooLarge
from mirror.model import flatten
from mirror.simplestreams.limits import Limits


def only(raw, limits=None):
    """Return the only product, version and first item of a file."""
    found = read(raw, limits or Limits())
    assert found.rejected == ()
    product = found.products[0]
    return product, product.versions[0], product.versions[0].items[0]


def bare(**changes):
    return raw_product(versions={"1": {"items": {"squashfs": raw_item("a/squashfs")}}}, **changes)


def test_what_is_at_the_top_of_the_file_belongs_to_its_products():
    raw = raw_file({NAME: bare()}, license="free", label="from the file", extra={"no": "scalar"})
    del raw["products"][NAME]["label"]
    product, version, item = only(raw)
    assert product.attributes["license"] == "free"
    assert product.attributes["label"] == "from the file"
    assert "extra" not in product.attributes
    assert (
        not {"format", "updated", "content_id", "datatype", "products"} & product.attributes.keys()
    )
    assert flatten(product, version, item)["label"] == "from the file"


def test_the_innermost_level_wins():
    raw = raw_file({NAME: bare(label="from the product")}, label="from the file")
    raw["products"][NAME]["versions"]["1"]["label"] = "from the version"
    product, version, item = only(raw)
    assert product.attributes["label"] == "from the product"
    assert flatten(product, version, item)["label"] == "from the version"


def test_what_describes_a_product_is_lifted_from_its_newest_version():
    raw = raw_file({NAME: bare()})
    product = raw["products"][NAME]
    del product["label"]
    product["versions"]["1"]["label"] = "beta"
    product["versions"]["2"] = {"label": "release", "items": {"squashfs": raw_item("b/squashfs")}}
    assert only(raw)[0].attributes["label"] == "release"


@pytest.mark.parametrize("level", ["file", "product", "version"])
def test_what_describes_a_file_is_pushed_down_to_the_items(level):
    raw = raw_file({NAME: bare()})
    version = raw["products"][NAME]["versions"]["1"]
    del version["items"]["squashfs"]["ftype"]
    version["items"]["own"] = raw_item("a/own", "own", src_package="mine")
    target = {"file": raw, "product": raw["products"][NAME], "version": version}[level]
    target.update({"ftype": "squashfs", "src_package": "grub2", "src_version": "1"})
    first, own = only(raw)[1].items
    assert first.ftype == "squashfs"
    assert first.attributes == {"src_package": "grub2", "src_version": "1"}
    assert own.ftype == "own"
    assert own.attributes == {"src_package": "mine", "src_version": "1"}


def test_aliases_are_expanded_at_every_level():
    raw = raw_file({NAME: bare()})
    raw["_aliases"] = {
        "release": {"noble": {"release_title": "24.04 LTS", "krel": "noble"}},
        "build": {"b1": {"label": "daily"}},
        "ftype": {"squashfs": {"kpackage": "linux-generic"}},
        "region": {"x": {"os": "wrong"}},
    }
    product = raw["products"][NAME]
    del product["release_title"]
    del product["label"]
    product["versions"]["1"]["build"] = "b1"
    product, _, item = only(raw)
    assert product.attributes["release_title"] == "24.04 LTS"
    assert product.attributes["label"] == "daily"
    assert product.attributes["os"] == "ubuntu"
    assert item.attributes == {"kpackage": "linux-generic"}


def test_an_alias_that_is_not_there_stands_for_nothing():
    raw = raw_file({NAME: bare()}, _aliases={"release": {"jammy": {"os": "x"}}})
    assert only(raw)[0].os == "ubuntu"


def test_an_alias_may_carry_the_digest():
    raw = raw_file({NAME: bare()}, _aliases={"id": {"x": {"sha256": "0" * 64, "size": 7}}})
    item = raw["products"][NAME]["versions"]["1"]["items"]["squashfs"]
    del item["sha256"]
    item["id"] = "x"
    assert only(raw)[2].sha256 == "0" * 64
    assert only(raw)[2].size == 7


@pytest.mark.parametrize(
    "aliases", [[], {"a": []}, {"a": {"b": "c"}}, {"a": {"b": {"c": {}}}}, {"a": {"b": {"c": [1]}}}]
)
def test_aliases_of_another_shape_are_refused(aliases):
    with pytest.raises(MetadataInvalid, match="_aliases"):
        read(raw_file(_aliases=aliases))


def test_aliases_can_not_blow_up_memory():
    big = {"release": {"noble": {f"k{n}": n for n in range(1000)}}}
    raw = raw_file({f"p{n}": bare() for n in range(20)}, _aliases=big)
    with pytest.raises(MetadataTooLarge, match="expand to too many"):
        read(raw, Limits(alias_attributes=10_000))
    assert len(read(raw, Limits(alias_attributes=20_000)).products) == 20
