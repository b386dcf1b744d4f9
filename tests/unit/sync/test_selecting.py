"""What a selection's fields ask of a product."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plan_builders import offer, plan_of, product, versions

from mirror.model import Product, Selection, Version
from mirror.sync.selecting import conditions_of, kernel_of, make_rules, passes

DATA = Path(__file__).parents[2] / "data" / "simplestreams"


def selected(selection: Selection, *products) -> set[str]:
    return set(versions(plan_of(offer(*products), selections=(selection,))))


@pytest.mark.parametrize(
    ("subarch", "kflavor", "kernel"),
    [
        ("ga-22.04", "generic", "ga-22.04"),
        ("ga-22.04", None, "ga-22.04"),
        ("ga-22.04", "lowlatency", "ga-22.04-lowlatency"),
        ("hwe-22.04", "lowlatency", "hwe-22.04-lowlatency"),
        ("hwe-22.04-edge", "generic", "hwe-22.04-edge"),
        ("hwe-22.04-edge", "lowlatency", "hwe-22.04-lowlatency-edge"),
        ("generic", None, "generic"),
        ("xgene-uboot", "xgene-uboot", "xgene-uboot"),
        ("raspi", "raspi-5", "raspi"),
        (None, None, ""),
    ],
)
def test_a_kernel_is_named_as_maas_names_it(subarch, kflavor, kernel):
    assert kernel_of({"subarch": subarch, "kflavor": kflavor}) == kernel


def kernels():
    for subarch in ("ga-22.04", "hwe-22.04", "hwe-22.04-edge"):
        for flavour in ("generic", "lowlatency"):
            about = {"subarch": subarch, "kflavor": flavour, "release": "jammy"}
            name = subarch.removesuffix("-22.04").replace("-22.04", "")
            yield product(f"{name}:{flavour}", "1", **about)


@pytest.mark.parametrize(
    ("subarches", "expected"),
    [
        (("ga-22.04",), {"ga:generic"}),
        (("ga-22.04", "hwe-22.04"), {"ga:generic", "hwe:generic"}),
        (("*-edge",), {"hwe-edge:generic", "hwe-edge:lowlatency"}),
        (("*lowlatency*",), {"ga:lowlatency", "hwe:lowlatency", "hwe-edge:lowlatency"}),
        (("hwe-22.04-lowlatency-edge",), {"hwe-edge:lowlatency"}),
        (("hwe-??.04",), {"hwe:generic"}),
        (("ga-*", "*"), {each.name for each in kernels()}),
        (("ga-22",), set()),
    ],
)
def test_kernels_are_chosen_by_name_or_pattern(subarches, expected):
    assert selected(Selection(1, os="ubuntu", subarches=subarches), *kernels()) == expected


def test_every_condition_must_pass():
    offered = [
        product(f"{release}:{arch}:{label}", "1", release=release, arch=arch, label=label)
        for release in ("noble", "jammy")
        for arch in ("amd64", "arm64")
        for label in ("stable", "candidate")
    ]
    wanted = Selection(1, os="ubuntu", release="noble", arches=("amd64", "arm64"), labels=("*",))
    assert len(selected(wanted, *offered)) == 4
    narrow = Selection(1, ("arch=arm64",), release="noble", arches=("a*",), labels=("stable",))
    assert selected(narrow, *offered) == {"noble:arm64:stable"}
    assert selected(Selection(1, os="*", release="n*", arches=("amd64",)), *offered) == {
        "noble:amd64:stable",
        "noble:amd64:candidate",
    }
    assert selected(Selection(1, os="debian"), *offered) == set()


def test_fields_reach_a_version_s_own_label_and_kernel():
    one, two = product("a", "1", "2").versions
    of_version = [one, Version("2", two.items, {"label": "beta", "subarch": "ga-x"})]
    mixed = Product("a", "c", {"os": "ubuntu", "arch": "amd64", "label": "ga"}, tuple(of_version))
    plan = plan_of(offer(mixed), selections=(Selection(1, labels=("beta",)),))
    assert versions(plan) == {"a": ["2"]}
    plan = plan_of(offer(mixed), selections=(Selection(1, subarches=("ga-*",)),))
    assert versions(plan) == {"a": ["2"]}


def test_a_look_at_the_product_is_enough_where_nothing_below_it_has_the_attribute():
    many = [product("a", "1", release="noble")]
    fields = Selection(1, ("arch~64",), os="ubuntu", arches=("amd64",), subarches=("ga-*",))
    assert make_rules([fields], many)[0].shallow
    assert not make_rules([Selection(1, ("ftype=squashfs",))], many)[0].shallow
    hidden = Product("b", "c", {}, (Version("1", (), {"kflavor": "x"}),))
    assert not make_rules([fields], [hidden])[0].shallow


def test_no_filter_can_name_what_kernels_are_compared_with():
    [condition] = conditions_of(Selection(1, subarches=("x",)))
    assert " " in condition.key


def loader(name: str = "boot", **more: str) -> Product:
    return product(
        name, "1", "2", "3", os="grub", release="", **{"bootloader-type": "uefi"}, **more
    )


def test_bootloaders_can_be_refused_by_every_selection_that_concerns_the_source():
    image = product("a", "1")
    refused = Selection(1, os="ubuntu", bootloaders=False)
    assert selected(refused, image, loader()) == {"a"}
    plan = plan_of(offer(image, loader()), selections=(refused,))
    assert plan.considered[1].reason == (
        "not selected: no selection brings the bootloaders of this source along"
    )
    welcome = Selection(2, os="other", keep=1)
    both = plan_of(offer(image, loader()), selections=(refused, welcome))
    assert versions(both) == {"a": ["1"], "boot": ["3"]}
    elsewhere = Selection(2, os="other", source="elsewhere")
    plan = plan_of(offer(image, loader()), selections=(refused, elsewhere))
    assert versions(plan) == {"a": ["1"]}
    asked = Selection(3, ("bootloader-type=uefi",), keep=1, bootloaders=False)
    assert versions(plan_of(offer(loader()), selections=(asked,))) == {"boot": ["3"]}


def test_bootloaders_come_with_the_label_that_is_asked_for():
    offered = [loader("s", label="stable"), loader("c", label="candidate", arch="arm64")]
    assert selected(Selection(1, os="ubuntu", labels=("stable",)), *offered) == {"s"}
    assert selected(Selection(1, ("label=candidate",), arches=("amd64",)), *offered) == {"c"}
    assert selected(Selection(1, os="ubuntu"), *offered) == {"s", "c"}
    assert selected(Selection(1, labels=("x",)), loader("none")) == {"none"}


def test_the_real_streams_products_pass_what_an_operator_would_write():
    products = []
    for name in ("ubuntu", "centos", "bootloaders"):
        document = json.loads((DATA / f"{name}.json").read_text())
        for key, value in document["products"].items():
            about = {k: v for k, v in value.items() if k != "versions"}
            products.append(Product(key, document["content_id"], about, ()))
    wanted = Selection(1, os="ubuntu", arches=("amd64",), subarches=("ga-*",), labels=("stable",))
    conditions = conditions_of(wanted)
    assert {each.name.rpartition("boot:")[2] for each in products if passes(conditions, each)} == {
        "22.04:amd64:ga-22.04",
        "24.04:amd64:ga-24.04",
    }
