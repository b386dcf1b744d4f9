"""What the next snapshot holds: every rule of the plan, on small values."""

from __future__ import annotations

import msgspec
import pytest
from plan_builders import Everything, as_published, item, offer, plan_of, product, versions

from mirror.errors import DigestMismatch, FilterInvalid, UnsafePath
from mirror.model import BootSource, Product, Selection, Version
from mirror.plugin_manager import Plugins
from mirror.simplestreams.conflicts import Rejected
from mirror.sync.plan import LeftOut, Planned


def test_the_newest_versions_of_what_is_selected():
    plan = plan_of(
        offer(product("a", "1", "2", "3"), product("b", "1", os="centos")),
        selections=(Selection(1, ("os=ubuntu",), keep=2),),
    )
    assert versions(plan) == {"a": ["2", "3"]}


def test_the_largest_keep_of_several_selections_counts():
    selections = (
        Selection(1, ("os=ubuntu",), keep=1),
        Selection(2, ("arch=amd64",), keep=3),
        Selection(3, ("arch=arm64",), keep=9),
    )
    plan = plan_of(offer(product("a", "1", "2", "3", "4")), selections=selections)
    assert versions(plan) == {"a": ["2", "3", "4"]}


def test_a_selection_of_one_source_takes_nothing_of_another():
    plan = plan_of(
        offer(product("a", "1"), source="x"),
        offer(product("b", "1"), source="y"),
        selections=(Selection(1, ("os=ubuntu",), source="y"),),
    )
    assert versions(plan) == {"b": ["1"]}


def test_filters_reach_versions_and_items():
    offered = offer(product("a", "1", "2", "3"))
    by_version = plan_of(offered, selections=(Selection(1, ("version_name~^[12]$",)),))
    assert versions(by_version) == {"a": ["1", "2"]}
    by_item = plan_of(offered, selections=(Selection(1, ("path=a/3/squashfs",)),))
    assert versions(by_item) == {"a": ["3"]}


def test_an_attribute_of_a_version_wins_over_the_products():
    special = Version("2", (item("a/2/squashfs"),), {"label": "beta"})
    plain = Version("1", (item("a/1/squashfs"),))
    offered = offer(Product("a", "c", {"os": "ubuntu", "label": "stable"}, (plain, special)))
    plan = plan_of(offered, selections=(Selection(1, ("label=stable",)),))
    assert versions(plan) == {"a": ["1"]}


def test_bootloaders_come_along_with_any_selection():
    loader = product("boot", "1", os="grub", **{"bootloader-type": "uefi"})
    plan = plan_of(offer(product("a", "1"), loader))
    assert versions(plan) == {"a": ["1"], "boot": ["1"]}
    alone = plan_of(offer(loader, source="x"), selections=(Selection(1, ("os=no",), source="y"),))
    assert versions(alone) == {}


def test_a_filter_that_cannot_be_read_is_refused():
    with pytest.raises(FilterInvalid):
        plan_of(offer(product("a", "1")), selections=(Selection(1, ("release",)),))


def test_the_source_with_the_higher_priority_wins_and_the_loser_is_noted():
    plan = plan_of(
        offer(product("a", "1"), source="low", priority=1),
        offer(product("a", "2"), source="high", priority=2),
    )
    assert [(each.source, versions(plan)["a"]) for each in plan.products] == [("high", ["2"])]
    assert plan.notes == {"a": ["also offered by 'low', of lower priority"]}


def test_a_version_that_upstream_no_longer_lists_stays_until_newer_ones_push_it_out():
    published = as_published(plan_of(offer(product("a", "1", "2"))))
    assert versions(plan_of(offer(product("a", "3")), published=published)) == {"a": ["2", "3"]}
    assert versions(plan_of(offer(product("a", "3", "4")), published=published)) == {
        "a": ["3", "4"]
    }


def test_a_version_that_upstream_withdrew_goes():
    published = as_published(plan_of(offer(product("a", "1", "2"))))
    plan = plan_of(offer(product("a", "1")), published=published)
    assert versions(plan) == {"a": ["1"]}
    assert plan.notes == {"a": ["version 2 was withdrawn upstream"]}


def test_a_condemned_version_is_left_out_and_the_published_ones_fill_its_place():
    published = as_published(plan_of(offer(product("a", "1", "2"))))
    error = DigestMismatch("bad")
    plan = plan_of(
        offer(product("a", "2", "3")), published=published, condemned={("a", "3"): error}
    )
    assert versions(plan) == {"a": ["1", "2"]}
    assert plan.left_out == (LeftOut("a", "3", error),)


def test_a_condemned_first_version_leaves_nothing():
    plan = plan_of(offer(product("a", "1")), condemned={("a", "1"): DigestMismatch("bad")})
    assert versions(plan) == {}
    assert [each.version for each in plan.left_out] == ["1"]


def test_a_version_published_anew_with_other_content_falls_back_to_the_old_content():
    published = as_published(plan_of(offer(product("a", "1"))))
    other = Product("a", "content", {"os": "ubuntu"}, (Version("1", (item("a/1/new"),)),))
    fine = plan_of(offer(other), published=published)
    assert fine.products[0].product.versions[0].items[0].name == "new"
    condemned = plan_of(
        offer(other), published=published, condemned={("a", "1"): DigestMismatch("bad")}
    )
    assert condemned.products[0].product.versions == published["a"].product.versions


def test_a_version_that_lacks_items_is_left_out_with_what_it_has():
    broken = Product("a", "c", {"os": "ubuntu"}, (Version("1", (item("a/1/unwanted"),)),))
    plan = plan_of(offer(broken))
    assert versions(plan) == {}
    assert "lacks items that 'everything' needs (it has: unwanted)" in plan.left_out[0].error.what


def test_derived_items_of_a_published_version_stay():
    published = as_published(plan_of(offer(product("a", "1"))))
    version = published["a"].product.versions[0]
    derived = msgspec.structs.replace(item("a/1/derived"), derived=True)
    with_more = Version("1", (*version.items, derived))
    old = Planned(Product("a", "content", {"os": "ubuntu"}, (with_more,)), "main")
    plan = plan_of(offer(product("a", "1")), published={"a": old})
    assert [each.name for each in plan.products[0].product.versions[0].items] == [
        "squashfs",
        "derived",
    ]


def test_a_vanished_product_is_kept_and_said():
    published = as_published(plan_of(offer(product("a", "1"), product("b", "1"))))
    plan = plan_of(offer(product("a", "1")), published=published)
    assert versions(plan) == {"a": ["1"], "b": ["1"]}
    assert plan.notes == {"b": ["vanished upstream: kept as it was"]}


def test_a_vanished_product_that_is_no_longer_selected_goes():
    published = as_published(plan_of(offer(product("a", "1"), product("b", "1", release="x"))))
    plan = plan_of(
        offer(product("a", "1")), published=published, selections=(Selection(1, ("release!=x",)),)
    )
    assert versions(plan) == {"a": ["1"]}


def test_a_source_that_could_not_be_read_keeps_its_products():
    published = as_published(
        plan_of(offer(product("a", "1"), source="x"), offer(product("b", "1"), source="y"))
    )
    plan = plan_of(
        offer(product("a", "2"), source="x"),
        published=published,
        absent=[BootSource("y", "http://y/")],
    )
    assert versions(plan) == {"a": ["1", "2"], "b": ["1"]}
    assert plan.notes == {}


def test_a_source_that_was_removed_takes_its_products_along():
    published = as_published(
        plan_of(offer(product("a", "1"), source="x"), offer(product("b", "1"), source="y"))
    )
    assert versions(plan_of(offer(product("a", "1"), source="x"), published=published)) == {
        "a": ["1"]
    }


def test_what_no_plugin_claims_is_not_taken_but_kept_when_published():
    none = Plugins((), ())
    unclaimed = plan_of(offer(product("a", "1")), plugins=none)
    assert versions(unclaimed) == {}
    assert unclaimed.notes == {"a": ["no plugin claims it: not taken"]}
    assert plan_of(offer(product("b", "1", os="plan9")), plugins=none).notes == {}
    published = as_published(plan_of(offer(product("a", "1"))))
    kept = plan_of(offer(product("a", "2")), published=published, plugins=none)
    assert versions(kept) == {"a": ["1"]}
    assert kept.notes == {"a": ["no plugin claims it now: kept as it was"]}
    vanished = plan_of(offer(product("b", "2")), published=published, plugins=none)
    assert versions(vanished) == {"a": ["1"]}


def test_a_plugin_that_raises_makes_its_own_products_stale():
    class Raising(Everything):
        id = "raising"

        def claims(self, product):
            return product.os == "bad"

        def choose_items(self, product, version):
            raise RuntimeError("oops")

    class Decent(Everything):
        def claims(self, product):
            return product.os == "ubuntu"

    published = as_published(
        plan_of(
            offer(product("a", "1"), product("b", "1", os="bad")),
            selections=(Selection(1, ("arch=amd64",)),),
        )
    )
    plan = plan_of(
        offer(product("a", "2"), product("b", "2", os="bad")),
        published=published,
        plugins=Plugins((Decent(), Raising()), ()),
        selections=(Selection(1, ("arch=amd64",)),),
    )
    assert versions(plan) == {"a": ["1", "2"], "b": ["1"]}
    assert "plugin 'raising' failed to choose items of 'b' 2: RuntimeError('oops')" in (
        plan.left_out[0].error.what
    )


def test_a_plugin_that_raises_in_claims():
    class Raising(Everything):
        def claims(self, product):
            raise RuntimeError("oops")

    published = as_published(plan_of(offer(product("a", "1"))))
    plan = plan_of(offer(product("a", "2")), published=published, plugins=Plugins((Raising(),), ()))
    assert versions(plan) == {"a": ["1"]}
    assert plan.left_out[0].error.what == (
        "product 'a': plugin 'everything' failed to look at it: RuntimeError('oops')"
    )


def test_rejected_versions_are_left_out_and_do_not_make_good_ones_withdrawn():
    published = as_published(plan_of(offer(product("a", "1", "2"))))
    error = UnsafePath("climbs")
    plan = plan_of(
        offer(product("a", "1"), rejected=[Rejected("a", "2", error)]), published=published
    )
    assert versions(plan) == {"a": ["1", "2"]}
    assert plan.left_out == (LeftOut("a", "2", error),)


def test_a_product_of_which_nothing_can_be_read_is_kept():
    published = as_published(plan_of(offer(product("a", "1"))))
    error = UnsafePath("climbs")
    plan = plan_of(offer(product("a"), rejected=[Rejected("a", "2", error)]), published=published)
    assert versions(plan) == {"a": ["1"]}
    assert plan.left_out == (LeftOut("a", "2", error),)
    gone = plan_of(offer(rejected=[Rejected("a", "", error)]), published=published)
    assert versions(gone) == {"a": ["1"]}
    assert gone.left_out == (LeftOut("a", "", error),)
    assert gone.notes == {}


def test_rejections_of_what_is_not_selected_are_nobodys_business():
    error = UnsafePath("climbs")
    offered = offer(
        product("a", "1"), product("b", "1", os="centos"), rejected=[Rejected("b", "2", error)]
    )
    assert plan_of(offered).left_out == ()


def test_two_new_claims_on_one_path_are_both_left_out():
    one = Product("a", "c", {"os": "ubuntu"}, (Version("1", (item("p/x", "one"),)),))
    two = Product("b", "c", {"os": "ubuntu"}, (Version("1", (item("p/x", "two"),)),))
    plan = plan_of(offer(one, two, product("c", "1")))
    assert versions(plan) == {"c": ["1"]}
    assert [(each.product, each.error.code) for each in plan.left_out] == [
        ("a", "MIR-305"),
        ("b", "MIR-305"),
    ]


def test_a_published_path_is_not_lost_to_a_newcomer():
    one = Product("a", "c", {"os": "ubuntu"}, (Version("1", (item("p/x", "one"),)),))
    two = Product("b", "c", {"os": "ubuntu"}, (Version("1", (item("p/x", "two"),)),))
    published = as_published(plan_of(offer(one)))
    plan = plan_of(offer(one), offer(two, source="evil", priority=9), published=published)
    assert versions(plan) == {"a": ["1"]}
    assert [each.product for each in plan.left_out] == ["b"]


def test_one_path_with_one_content_may_be_shared():
    shared = item("p/squashfs", "same")
    kernels = [
        Product(name, "c", {"os": "ubuntu"}, (Version("1", (shared, item(f"{name}/kernel"))),))
        for name in ("ga", "hwe")
    ]
    assert versions(plan_of(offer(*kernels))) == {"ga": ["1"], "hwe": ["1"]}


def test_a_file_where_another_has_a_folder():
    one = Product("a", "c", {"os": "ubuntu"}, (Version("1", (item("p/x"),)),))
    two = Product("b", "c", {"os": "ubuntu"}, (Version("1", (item("p/x/y"),)),))
    published = as_published(plan_of(offer(one)))
    plan = plan_of(offer(one, two), published=published)
    assert versions(plan) == {"a": ["1"]}
    assert [(each.product, each.error.code) for each in plan.left_out] == [("b", "MIR-305")]
