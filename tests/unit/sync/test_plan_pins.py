"""Pinned products in the plan."""

from __future__ import annotations

from plan_builders import as_published, offer, plan_of, product, versions

from mirror.errors import DigestMismatch
from mirror.model import Pin, Selection
from mirror.sync.pins import hold_of

PIN = Pin(1, "stable", "1", ("release=a",))


def test_only_the_pinned_version_is_published_and_of_those_products_only():
    offered = offer(product("a", "1", "2", "3"), product("b", "1", "2", "3"))
    plan = plan_of(offered, pins=[PIN])
    assert versions(plan) == {"a": ["1"], "b": ["2", "3"]}
    assert plan.pinned == {"a"}
    assert plan.considered[0].reason == "pinned to 1"
    assert versions(plan_of(offered, published=as_published(plan)))["a"] == ["2", "3"]


def test_a_pin_selects_nothing_by_itself():
    none = (Selection(1, os="debian"),)
    assert versions(plan_of(offer(product("a", "1")), pins=[PIN], selections=none)) == {}


def test_a_pinned_version_that_is_published_stays_when_upstream_drops_it():
    published = as_published(plan_of(offer(product("a", "1", "2"))))
    plan = plan_of(offer(product("a", "2", "3")), published=published, pins=[PIN])
    assert versions(plan) == {"a": ["1"]}
    withdrawn = plan_of(offer(product("a", "0")), published=published, pins=[PIN])
    assert versions(withdrawn) == {"a": ["1"]}
    vanished = plan_of(offer(), published=published, pins=[PIN])
    assert versions(vanished) == {"a": ["1"]}
    absent = plan_of(published=published, pins=[PIN], absent=[offer().source])
    assert versions(absent) == {"a": ["1"]}


def test_a_pinned_version_of_an_older_snapshot_is_asked_for_and_comes_back():
    old = product("a", "1").versions[0]
    published = as_published(plan_of(offer(product("a", "2", "3"))))
    for offers in ([offer(product("a", "3", "4"))], [offer()]):
        sought = plan_of(*offers, published=published, pins=[PIN])
        assert sought.sought == {("a", "1")}
        found = plan_of(*offers, published=published, pins=[PIN], elsewhere={("a", "1"): old})
        assert (versions(found), found.sought) == ({"a": ["1"]}, frozenset())


def test_what_is_pinned_to_a_version_that_nobody_has_stays_as_it_is():
    published = as_published(plan_of(offer(product("a", "2", "3"))))
    note = "pinned to 1, which can't be had: as it was"
    plan = plan_of(offer(product("a", "3", "4")), published=published, pins=[PIN])
    assert (versions(plan), plan.notes) == ({"a": ["2", "3"]}, {"a": [note]})
    assert plan.considered[0].reason == note
    new = plan_of(offer(product("a", "3", "4")), pins=[PIN])
    assert versions(new) == {}
    assert new.notes == {"a": ["pinned to 1, which can't be had: not published"]}


def test_a_pinned_version_that_is_bad_leaves_things_as_they_are():
    published = as_published(plan_of(offer(product("a", "2"))))
    bad = {("a", "1"): DigestMismatch("bad")}
    plan = plan_of(offer(product("a", "1", "2")), published=published, pins=[PIN], condemned=bad)
    assert versions(plan) == {"a": ["2"]}
    assert [(each.version, each.error.code) for each in plan.left_out] == [("1", "MIR-212")]


def test_the_last_pin_about_a_product_counts():
    later = Pin(2, "stable", "2", ("os=ubuntu",))
    offered = offer(product("a", "1", "2", "3"), product("b", "1", "2", "3"))
    assert versions(plan_of(offered, pins=[PIN, later])) == {"a": ["2"], "b": ["2"]}
    assert versions(plan_of(offered, pins=[later, PIN])) == {"a": ["1"], "b": ["2"]}


def test_a_hold_is_no_pin_of_a_version():
    hold = Pin(3, "stable", reason="rolled back")
    assert hold_of([PIN, hold]) is hold
    assert hold_of([PIN]) is None
    plan = plan_of(offer(product("a", "1", "2", "3")), pins=[hold])
    assert versions(plan) == {"a": ["2", "3"]}
