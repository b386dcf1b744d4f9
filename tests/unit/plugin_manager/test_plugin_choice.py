"""Which plugins are loaded, and which of several gets a product."""

from __future__ import annotations

import time

import pytest
from plugin_packages import ROCKY, record

from mirror.errors import ClaimConflict, PluginError
from mirror.model import Product
from mirror.plugin_manager import load_plugins


def test_allow_and_block():
    assert {r.name: r.status for r in load_plugins(block=["centos"]).records} == {
        "centos": "blocked",
        "custom_images": "loaded",
        "ubuntu": "loaded",
    }
    assert [each.id for each in load_plugins(allow=["centos"]).distributions] == ["centos"]


def test_what_is_blocked_is_not_imported_and_its_section_is_no_error(install):
    install("rocky", "1 / 0")
    plugins = load_plugins(block=["rocky"], sections={"rocky": {"x": 1}}, strict=True)
    assert record(plugins, "rocky").status == "blocked"


def test_what_is_named_and_not_installed_is_reported_and_not_fatal():
    plugins = load_plugins(
        allow=["ubuntu", "debian"],
        block=["gone"],
        prefer=["mine"],
        sections={"debian": {"days": 1}},
        strict=True,
    )
    said = {r.name: (r.status, *r.warnings) for r in plugins.records if not r.package}
    what = "it is not installed, and {} of the settings names it"
    assert said == {
        "debian": ("missing", what.format("[plugins] allow and [plugins.debian]")),
        "gone": ("blocked", what.format("[plugins] block")),
        "mine": ("missing", what.format("[plugins] prefer")),
    }


def test_two_plugins_that_claim_one_product(install):
    install("rocky", ROCKY)
    install("other", ROCKY.replace('id = "rocky"', 'id = "other"'))
    product = Product("the-product", "c", {"os": "rocky"}, ())
    with pytest.raises(ClaimConflict) as caught:
        load_plugins(prefer=["centos"]).claimant(product)
    assert caught.value.what == (
        "product 'the-product' is claimed by plugin 'other' (distribution 'other') "
        "and by plugin 'rocky' (distribution 'rocky')"
    )
    assert 'prefer = ["centos", "other"]' in caught.value.remedy
    assert 'prefer = ["centos", "rocky"]' in caught.value.remedy
    preferring = load_plugins(prefer=["rocky"])
    preferred = preferring.claimant(product)
    assert preferred is not None
    assert preferred.id == "rocky"
    assert "prefer=rocky" in preferring.versions
    alone = load_plugins(block=["other"]).claimant(product)
    assert alone is not None
    assert alone.id == "rocky"


def test_a_plugin_that_fails_to_look_leaves_the_products_of_others_alone(install):
    install("rocky", ROCKY)
    install(
        "broken", ROCKY.replace("return product.os ==", "1 / 0; return").replace('"rocky"', '"b"')
    )
    plugins = load_plugins(strict=True)
    claimant = plugins.claimant(Product("r", "c", {"os": "rocky"}, ()))
    assert claimant is not None
    assert claimant.id == "rocky"
    with pytest.raises(PluginError, match="plugin 'broken' failed to look at it: ZeroDivision"):
        plugins.claimant(Product("x", "c", {"os": "x"}, ()))


def test_the_claimant_of_many_products_is_found_fast(install):
    """A generous bound: what one call costs besides `claims` is next to nothing."""
    install("rocky", ROCKY)
    plugins = load_plugins(strict=True)
    products = [Product(f"r{n}", "c", {"os": "rocky"}, ()) for n in range(20_000)]
    start = time.process_time()
    assert all(plugins.claimant(each) is not None for each in products)
    assert time.process_time() - start < 1
