from __future__ import annotations

import pytest

from mirror.model import Item, Pin, Product, Version
from mirror.publish.pins import apply_pins, filters_of, only
from mirror.sync.plan import Planned


def planned(name: str, *versions: str, source: str = "main", **attributes: str) -> Planned:
    made = tuple(
        Version(each, (Item("squashfs", "squashfs", f"{name}/{each}", each * 8, 1),))
        for each in versions
    )
    return Planned(Product(name, "c", {"arch": "amd64", **attributes}, made), source)


def names(products) -> dict[str, list[str]]:
    return {each.product.name: [v.name for v in each.product.versions] for each in products}


def nothing(product: str, version: str) -> None:
    return None


PRODUCTS = [
    planned("noble", "1", "2", "3", release="noble"),
    planned("jammy", "1", "2", release="jammy"),
]


def test_a_bare_word_is_a_release() -> None:
    words = ["noble", "8", "arch=amd64", "release~(a|b)", "arch!=i386"]
    assert filters_of(words) == ("release=noble", "release=8", *words[2:])


def test_only_the_pinned_version_is_left() -> None:
    pins = [Pin(1, "stable", "2", ("release=noble", "arch=amd64"))]
    found = apply_pins(PRODUCTS, pins, find=nothing, before={})
    assert names(found.products) == {"noble": ["2"], "jammy": ["1", "2"]}
    assert found.products[1] is PRODUCTS[1]
    assert found.notes == {}


def test_a_hold_is_about_no_product() -> None:
    found = apply_pins(PRODUCTS, [Pin(1, "stable")], find=nothing, before={})
    assert list(found.products) == PRODUCTS


@pytest.mark.parametrize("turned", [False, True])
def test_the_last_pin_counts(turned: bool) -> None:
    pins = [
        Pin(1, "stable", "1", ("arch=amd64",)),
        Pin(2, "stable", "2", ("release=noble",)),
    ]
    found = apply_pins(PRODUCTS, pins[::-1] if turned else pins, find=nothing, before={})
    assert names(found.products) == {"noble": ["2"], "jammy": ["1"]}


def test_a_version_from_an_older_snapshot_under_the_product_of_now() -> None:
    older = planned("noble", "0", source="other", release="noble", support_eol="2029")

    def find(product: str, version: str) -> Planned | None:
        return older if (product, version) == ("noble", "0") else None

    pins = [Pin(1, "stable", "0", ("release=noble",))]
    first = apply_pins(PRODUCTS, pins, find=find, before={}).products[0]
    assert names([first]) == {"noble": ["0"]}
    assert first.product.attributes == PRODUCTS[0].product.attributes
    assert first.source == "other"


def test_a_version_that_can_not_be_had_changes_nothing() -> None:
    pins = [Pin(1, "stable", "9", ("arch=amd64",))]
    before = {"noble": planned("noble", "1", release="noble")}
    found = apply_pins(PRODUCTS, pins, find=nothing, before=before)
    assert names(found.products) == {"noble": ["1"]}
    assert found.notes == {
        "noble": "pinned to 9, which can't be had: as it was",
        "jammy": "pinned to 9, which can't be had: not published",
    }


def test_only() -> None:
    assert only(PRODUCTS[0], "9") is None
    single = planned("noble", "1")
    assert only(single, "1") is single
    assert names([only(PRODUCTS[0], "3")]) == {"noble": ["3"]}
