"""What a plugin calls a product is shown to people: it is one line, and no longer than that."""

from __future__ import annotations

import pytest

from mirror.api import Distribution
from mirror.model import Product
from mirror.plugin_manager import load_plugins
from mirror.sync.available import title_of

PRODUCT = Product("com.example:noble", "com.example:images", {"os": "ubuntu"}, ())


def titled(said: object) -> str:
    class Named(Distribution):
        id = "named"

        def claims(self, product):
            return True

        def describe(self, product):
            if isinstance(said, Exception):
                raise said
            return said

    return title_of(PRODUCT, Named())


def test_a_title_is_passed_on():
    assert titled("Ubuntu 24.04 LTS “Noble”, amd64") == "Ubuntu 24.04 LTS “Noble”, amd64"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("two\nlines\tand  tabs\r", "two lines and tabs"),
        ("\x1b[31mred\x07", "[31mred"),
        ("\u202eturned\u2066", "turned"),
        ("x" * 5000, "x" * 197 + "..."),
    ],
)
def test_it_is_cleaned(said, shown):
    assert titled(said) == shown


@pytest.mark.parametrize("said", ["", " \n", None, 7, ["a", "b"], b"bytes", RuntimeError("oops")])
def test_what_is_no_title_is_the_products_name(said):
    assert titled(said) == PRODUCT.name


def test_without_a_plugin_it_is_the_products_name():
    assert title_of(PRODUCT, None) == PRODUCT.name


async def test_lists_show_it_cleaned(mut, sample_upstream, serve, install_plugin):
    install_plugin("named", WILD, "1")
    mut.mirror.plugins = load_plugins(allow=["named"], strict=True)
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "product_name~24.04:amd64:ga")
    await mut.sync()
    [available] = mut.mirror.images.available(os="ubuntu", release="noble", limit=1).items
    [published] = mut.mirror.images.resources("stable").items
    assert (available.title, published.title) == ("a b", "a b")


WILD = """
from mirror.api import Distribution, hookimpl


class Named(Distribution):
    id = "named"

    def claims(self, product):
        return product.os == "ubuntu"

    def describe(self, product):
        return "a\\n\\x1bb"


@hookimpl
def mirror_distributions():
    return [Named()]
"""
