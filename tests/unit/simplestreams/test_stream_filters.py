from __future__ import annotations

import pytest
from stream_builders import real_products

from mirror.errors import FilterInvalid
from mirror.model import Item, Product, Version, flatten
from mirror.simplestreams.filters import matches, parse_filter, product_could_match

ITEM = {"release": "noble", "arch": "amd64", "size": 5, "flag": True, "tags": ["x"], "none": None}


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("release=noble", True),
        ("release=nob", False),
        ("release!=jammy", True),
        ("release!=noble", False),
        ("release~(jammy|noble)", True),
        ("release~^ob", False),
        ("release~ob", True),
        ("release!~^j", True),
        ("release!~^n", False),
        ("release = noble", True),
        ("release=noble ", False),
        ("size=5", True),
        ("flag=True", True),
        ("missing=", True),
        ("missing=x", False),
        ("missing!=x", True),
        ("missing~.", False),
        ("missing!~.", True),
        ("tags=", True),
        ("none=", True),
        ("arch=", False),
        ("arch~", True),
        ("arch==amd64", False),
    ],
)
def test_each_operator(text, passes):
    assert matches([parse_filter(text)], ITEM) is passes


def test_every_filter_must_pass():
    both = [parse_filter("release=noble"), parse_filter("arch=arm64")]
    assert not matches(both, ITEM)
    assert matches(both[:1], ITEM)
    assert matches([], ITEM)


@pytest.mark.parametrize(
    "text", ["", "release", "=noble", " release=noble", "re lease=noble", "rel.ease=x", "a=b\nc"]
)
def test_what_is_no_filter_is_refused_by_name(text):
    with pytest.raises(FilterInvalid) as caught:
        parse_filter(text)
    assert repr(text) in caught.value.what
    assert caught.value.exit_status == 2


def test_a_broken_regex_is_said_to_be_one():
    with pytest.raises(FilterInvalid, match=r"regex that is not valid: .*unterminated"):
        parse_filter("release~(jammy")


@pytest.mark.parametrize(
    ("text", "could"),
    [("release=noble", True), ("release=jammy", False), ("ftype=squashfs", True), ("x=y", True)],
)
def test_a_product_is_judged_by_its_own_attributes(text, could):
    product = Product("p", "c", {"release": "noble"}, (Version("1", ()),))
    assert product_could_match([parse_filter(text)], product) is could


def test_a_version_or_item_may_override_the_product():
    item = Item("a", "b", "p", "0" * 64, 1, {"arch": "arm64"})
    product = Product("p", "c", {"release": "x", "arch": "amd64"}, (Version("1", (item,)),))
    version = Version("1", (), {"release": "noble"})
    assert product_could_match([parse_filter("arch=arm64")], product)
    assert not product_could_match([parse_filter("release=noble")], product)
    product = Product("p", "c", {"release": "x"}, (version,))
    assert product_could_match([parse_filter("release=noble")], product)


@pytest.mark.parametrize(
    "filters",
    [["release=noble"], ["os~grub"], ["arch=amd64", "ftype!=manifest"], ["version_name~2025"]],
)
def test_the_quick_look_at_a_product_never_hides_an_item(filters):
    parsed = [parse_filter(text) for text in filters]
    for product in real_products():
        found = [
            item
            for version in product.versions
            for item in version.items
            if matches(parsed, flatten(product, version, item))
        ]
        assert product_could_match(parsed, product) or not found
