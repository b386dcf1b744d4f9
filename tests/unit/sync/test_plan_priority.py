"""Which source provides an image that several offer."""

from __future__ import annotations

from plan_builders import as_published, offer, plan_of, product, versions

from mirror.errors import DigestMismatch, UnsafePath
from mirror.model import BootSource, Selection
from mirror.simplestreams.conflicts import Rejected

NOBLE = {"release": "noble", "label": "stable"}


def of(release: str, *names: str, version: str = "1", **more: str):
    return [product(name, version, release=release, **more) for name in names]


def reasons(plan) -> dict[tuple[str, str], str]:
    return {
        (each.source, each.product.name): each.reason or f"taken={each.taken}"
        for each in plan.considered
    }


def sources(plan) -> dict[str, str]:
    return {each.product.name: each.source for each in plan.products}


def test_one_image_under_two_names_comes_from_one_source():
    plan = plan_of(
        offer(*of("noble", "candidate:ga", "candidate:hwe"), source="candidate", priority=1),
        offer(*of("noble", "stable:ga"), source="stable", priority=2),
    )
    assert sources(plan) == {"stable:ga": "stable"}
    lost = "'stable' offers ubuntu noble amd64 too, and has a higher priority"
    assert reasons(plan) == {
        ("stable", "stable:ga"): "taken=True",
        ("candidate", "candidate:ga"): lost,
        ("candidate", "candidate:hwe"): lost,
    }


def test_another_arch_or_release_is_another_image():
    plan = plan_of(
        offer(*of("noble", "a"), *of("noble", "b", arch="arm64"), source="low"),
        offer(*of("noble", "c"), *of("jammy", "d"), source="high", priority=1),
    )
    assert sources(plan) == {"b": "low", "c": "high", "d": "high"}


def test_of_equal_priority_the_first_name_wins_and_that_is_said():
    plan = plan_of(offer(*of("noble", "a"), source="y"), offer(*of("noble", "a"), source="x"))
    assert sources(plan) == {"a": "x"}
    assert reasons(plan)["y", "a"] == (
        "'x' offers ubuntu noble amd64 too, has the same priority, and is first by name"
    )
    assert plan.notes == {"a": ["also offered by 'y', of the same priority"]}


def test_only_what_is_wanted_of_a_source_takes_part():
    """A selection of one source is not overruled by another from which nothing is selected."""
    plan = plan_of(
        offer(*of("noble", "a"), source="low"),
        offer(*of("noble", "a"), source="high", priority=1),
        selections=(Selection(1, os="ubuntu", source="low"),),
    )
    assert sources(plan) == {"a": "low"}
    assert reasons(plan)["high", "a"] == "not selected"
    labels = plan_of(
        offer(*of("noble", "a", label="candidate"), source="low"),
        offer(*of("noble", "b", label="stable"), source="high", priority=1),
        selections=(Selection(1, os="ubuntu", labels=("candidate",)),),
    )
    assert sources(labels) == {"a": "low"}


def test_without_its_winner_the_other_source_provides_the_image():
    both = [
        offer(*of("noble", "a", version="1"), source="low"),
        offer(*of("noble", "a", version="2"), source="high", priority=1),
    ]
    before = plan_of(*both)
    assert (sources(before), versions(before)) == ({"a": "high"}, {"a": ["2"]})
    after = plan_of(both[0], published=as_published(before))
    assert (sources(after), versions(after)) == ({"a": "low"}, {"a": ["1"]})
    assert after.notes == {}
    back = plan_of(*both, published=as_published(after))
    assert (sources(back), versions(back)) == ({"a": "high"}, {"a": ["2"]})


def test_a_winner_that_can_t_be_read_keeps_what_it_had():
    low = offer(*of("noble", "b", version="9"), source="low")
    high = offer(*of("noble", "a"), source="high", priority=1)
    published = as_published(plan_of(low, high))
    plan = plan_of(low, published=published, absent=[high.source])
    assert (sources(plan), versions(plan)) == ({"a": "high"}, {"a": ["1"]})
    assert "higher priority" in reasons(plan)["low", "b"]


def test_a_loser_that_can_t_be_read_gives_way_to_the_winner():
    low = offer(*of("noble", "a"), source="low")
    published = as_published(plan_of(low))
    high = offer(*of("noble", "b", version="2"), source="high", priority=1)
    plan = plan_of(high, published=published, absent=[low.source])
    assert (sources(plan), versions(plan)) == ({"b": "high"}, {"b": ["2"]})


def test_what_vanished_stays_unless_another_source_has_the_image():
    high = offer(*of("noble", "a"), *of("jammy", "b"), source="high", priority=1)
    published = as_published(plan_of(high))
    less = offer(*of("focal", "c"), source="high", priority=1)
    low = offer(*of("noble", "z"), source="low")
    plan = plan_of(less, low, published=published)
    assert sources(plan) == {"b": "high", "c": "high", "z": "low"}
    assert plan.notes == {"b": ["vanished upstream: kept as it was"]}


def test_a_kernel_that_vanished_stays_beside_those_that_its_source_still_has():
    high = offer(*of("noble", "ga", "hwe"), source="high", priority=1)
    published = as_published(plan_of(high))
    less = offer(*of("noble", "ga"), source="high", priority=1)
    low = offer(*of("noble", "low:hwe"), source="low")
    plan = plan_of(less, low, published=published)
    assert sources(plan) == {"ga": "high", "hwe": "high"}


def test_a_new_winner_whose_files_can_t_be_had_leaves_what_is_published():
    low = offer(*of("noble", "a"), source="low")
    published = as_published(plan_of(low))
    high = offer(*of("noble", "a", version="2"), source="high", priority=1)
    bad = {("a", "2"): DigestMismatch("bad")}
    plan = plan_of(low, high, published=published, condemned=bad)
    assert (sources(plan), versions(plan)) == ({"a": "low"}, {"a": ["1"]})
    assert [each.version for each in plan.left_out] == ["2"]
    removed = plan_of(high, published=published, condemned=bad)
    assert sources(removed) == {}


def test_what_one_source_has_that_can_t_be_read_is_not_the_other_ones_fault():
    error = UnsafePath("climbs")
    plan = plan_of(
        offer(*of("noble", "a"), source="high", priority=1),
        offer(*of("noble", "a"), source="low", rejected=[Rejected("a", "2", error)]),
    )
    assert plan.left_out == ()
    assert sources(plan) == {"a": "high"}


def test_bootloaders_come_from_one_source_too():
    loader = {"os": "grub", "release": "", "bootloader-type": "uefi"}
    plan = plan_of(
        offer(product("low:grub", "1", **loader), *of("noble", "a"), source="low"),
        offer(product("high:grub", "1", **loader), *of("jammy", "b"), source="high", priority=1),
    )
    assert sources(plan) == {"a": "low", "b": "high", "high:grub": "high"}
    assert reasons(plan)["low", "low:grub"] == (
        "'high' offers grub amd64 too, and has a higher priority"
    )


def test_a_product_that_says_no_os_is_only_in_its_own_way():
    one = product("a", "1", os="ubuntu", arch="")
    two = product("b", "1", os="ubuntu", arch="")
    assert sources(plan_of(offer(one, source="x"), offer(two, source="y"))) == {"a": "x", "b": "y"}


def test_a_source_that_is_gone_takes_its_unclaimed_products_along():
    published = as_published(plan_of(offer(*of("noble", "a"), source="x")))
    assert sources(plan_of(offer(source="y"), published=published)) == {}
    kept = plan_of(offer(source="y"), published=published, absent=[BootSource("x", "http://x/")])
    assert sources(kept) == {"a": "x"}


def test_a_new_winner_of_which_nothing_is_good_leaves_the_other_names_that_are_published():
    low = offer(*of("noble", "low:ga"), source="low")
    published = as_published(plan_of(low))
    high = offer(*of("noble", "high:ga"), *of("jammy", "j"), source="high", priority=1)
    bad = {("high:ga", "1"): DigestMismatch("bad")}
    plan = plan_of(low, high, published=published, condemned=bad)
    assert sources(plan) == {"j": "high", "low:ga": "low"}
    assert plan.notes == {"low:ga": ["kept: its new source has nothing good"]}
    absent = plan_of(high, published=published, condemned=bad, absent=[low.source])
    assert sources(absent) == {"j": "high", "low:ga": "low"}
    good = plan_of(low, high, published=published)
    assert sources(good) == {"high:ga": "high", "j": "high"}
