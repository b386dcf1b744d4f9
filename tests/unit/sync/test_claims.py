"""Whose a product is: two plugins that claim one, and one that fails, hurt no other product."""

from __future__ import annotations

import msgspec
import pytest
from plan_builders import Everything, as_published, offer, plan_of, product, versions

from mirror.api import CommandFailed, Distribution
from mirror.errors import ClaimConflict, PluginError
from mirror.model import Selection
from mirror.plugin_manager import PluginRecord, Plugins, load_plugins


class Ubuntu(Everything):
    id = "ubuntu"

    def claims(self, product):
        return product.os == "ubuntu"


class Mine(Everything):
    """Claims one release that is another's too."""

    id = "my-images"

    def claims(self, product):
        return product.release == "both"


RECORDS = (
    PluginRecord("ubuntu", "p", "1", "loaded", ("ubuntu",)),
    PluginRecord("mine", "p", "1", "loaded", ("my-images",)),
)


def two(prefer=()) -> Plugins:
    return Plugins((Ubuntu(), Mine()), RECORDS, prefer=tuple(prefer))


def reasons(plan):
    return {each.product.name: each.reason for each in plan.considered if not each.taken}


def test_a_new_product_that_two_claim_is_left_out_and_the_others_are_taken():
    plan = plan_of(offer(product("both", "1"), product("a", "1")), plugins=two())
    assert versions(plan) == {"a": ["1"]}
    [left_out] = plan.left_out
    assert (left_out.product, left_out.version) == ("both", "")
    assert isinstance(left_out.error, ClaimConflict)
    assert left_out.error.what == (
        "product 'both' is claimed by plugin 'ubuntu' (distribution 'ubuntu') "
        "and by plugin 'mine' (distribution 'my-images')"
    )
    assert left_out.error.remedy == (
        'In mirror.toml, below [plugins]: prefer = ["ubuntu"] or prefer = ["mine"]'
    )
    assert reasons(plan)["both"] == f"left out: {left_out.error.what} [MIR-602]"
    assert plan.notes == {}


def test_one_that_is_published_stays_as_it_is():
    published = as_published(plan_of(offer(product("both", "1"), product("a", "1"))))
    plan = plan_of(
        offer(product("both", "2"), product("a", "2")), published=published, plugins=two()
    )
    assert versions(plan) == {"both": ["1"], "a": ["1", "2"]}
    assert [(each.product, type(each.error)) for each in plan.left_out] == [("both", ClaimConflict)]
    assert plan.notes["both"] == [f"kept as it was: {plan.left_out[0].error.what}"]
    [considered] = [each for each in plan.considered if each.product.name == "both"]
    assert considered.reason.startswith(
        "kept as it was: product 'both' is claimed by plugin 'ubuntu'"
    )


def test_one_that_vanished_upstream_too_is_said_once():
    published = as_published(plan_of(offer(product("both", "1"))))
    plan = plan_of(offer(product("a", "1")), published=published, plugins=two())
    assert versions(plan) == {"both": ["1"], "a": ["1"]}
    assert [each.product for each in plan.left_out] == ["both"]


def test_of_what_nobody_selects_nothing_is_said():
    only_a = (Selection(1, ("release=a",)),)
    plan = plan_of(offer(product("both", "1"), product("a", "1")), plugins=two(), selections=only_a)
    assert versions(plan) == {"a": ["1"]}
    assert plan.left_out == ()
    assert reasons(plan) == {"both": "not selected"}


def test_a_bootloader_that_two_claim_is_missed_with_any_selection():
    loader = product("both", "1", os="grub", **{"bootloader-type": "uefi"})

    class Loaders(Everything):
        id = "ubuntu"

        def claims(self, product):
            return True

    plugins = Plugins((Loaders(), Mine()), RECORDS)
    plan = plan_of(offer(loader, product("a", "1")), plugins=plugins)
    assert versions(plan) == {"a": ["1"]}
    assert [each.product for each in plan.left_out] == ["both"]


@pytest.mark.parametrize("prefer", [["mine"], ["other", "mine", "ubuntu"]])
def test_prefer_settles_it(prefer):
    plan = plan_of(offer(product("both", "1"), product("a", "1")), plugins=two(prefer))
    assert versions(plan) == {"both": ["1"], "a": ["1"]}
    assert plan.left_out == ()
    assert {p.product.name: p.distribution.id for p in plan.products} == {
        "both": "my-images",
        "a": "ubuntu",
    }


def test_a_plugin_that_claims_a_product_twice():
    plugins = Plugins(
        (Ubuntu(), Mine()),
        (PluginRecord("ubuntu", "p", "1", "loaded", ("ubuntu", "my-images")),),
        prefer=("ubuntu",),
    )
    with pytest.raises(ClaimConflict) as caught:
        plugins.claimant(product("both", "1"))
    assert "author" in caught.value.remedy


@pytest.mark.parametrize("error", [RuntimeError("oops"), CommandFailed("oops")])
def test_a_plugin_that_fails_to_look_takes_only_its_own_products_along(error):
    class Raising(Mine):
        def claims(self, product):
            raise error

    plugins = Plugins((Raising(), Ubuntu()), RECORDS)
    plan = plan_of(
        offer(product("a", "1"), product("hers", "1", os="other")),
        plugins=plugins,
        selections=(Selection(1, ("arch=amd64",)),),
    )
    assert versions(plan) == {"a": ["1"]}
    [left_out] = plan.left_out
    assert left_out.product == "hers"
    assert "plugin 'mine' failed to look at it" in left_out.error.what
    assert reasons(plan)["hers"].endswith("[MIR-600]")


@pytest.mark.parametrize("error", [RuntimeError("oops"), CommandFailed("oops")])
def test_a_plugin_that_cannot_say_what_is_required(error):
    class Raising(Mine):
        def required(self, product):
            raise error

    plugins = Plugins((Raising(), Ubuntu()), RECORDS, prefer=("mine",))
    plan = plan_of(offer(product("both", "1"), product("a", "1")), plugins=plugins)
    assert versions(plan) == {"a": ["1"]}
    assert [(each.product, type(each.error)) for each in plan.left_out] == [("both", PluginError)]


async def test_a_sync_of_which_two_plugins_claim_a_part(mut, sample_upstream, serve):
    """All the way: the rest is published, the sync is partial, and it is said where people look."""

    class Noble(Distribution):
        id = "noble"

        def claims(self, product):
            return product.release == "noble"

        def describe(self, product):
            return "noble"

    def install(**more):
        loaded = load_plugins(strict=True)
        mut.mirror.__dict__["plugins"] = msgspec.structs.replace(
            loaded,
            distributions=(*loaded.distributions, Noble()),
            records=(*loaded.records, PluginRecord("mine", "p", "1", "loaded", ("noble",))),
            **more,
        )

    install()
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64")
    result = await mut.sync()
    assert result.status == "published"
    assert {each.code for each in result.left_out} == {"MIR-602"}
    assert all("prefer" in each.remedy for each in result.left_out)
    taken = {product for product, _ in mut.versions()}
    assert taken
    assert not any("noble" in product or "24.04" in product for product in taken)
    available = mut.mirror.images.available().items
    noble = [each for each in available if each.release == "noble"]
    assert {each.reason for each in noble if each.arch != "amd64"} <= {"not selected"}
    [reason] = {each.reason for each in noble if each.product == result.left_out[0].about}
    assert reason.startswith("left out: product 'com.ubuntu.maas.stable:")
    assert "plugin 'ubuntu' (distribution 'ubuntu') and by plugin 'mine'" in reason

    install(prefer=("ubuntu",))
    settled = await mut.sync()
    assert settled.left_out == ()
    assert any("24.04" in product for product, _ in mut.versions())

    install()
    again = await mut.sync()
    assert {each.code for each in again.left_out} == {"MIR-602"}
    assert any("24.04" in product for product, _ in mut.versions())  # kept as it was
