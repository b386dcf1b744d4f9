"""The suite is as good as what it catches: each method of our own distributions, broken in turn.

A broken copy is a plugin of its own, installed beside the good one and loaded by its entry point.
A check counts if it passes for the good one, and fails for the copy.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from suite import CHECKS, Checks

from mirror.api import Distribution
from mirror.testing import Sample
from mirror.testing.sample_products import (
    bootloader_product,
    bootloader_products,
    ubuntu_products,
)

SAMPLES = {
    "ubuntu": Sample(
        plugin="ubuntu",
        distribution="ubuntu",
        products=ubuntu_products()[:2],
        text_items=("manifest",),
        size=16 * 1024,
    ),
    "bootloaders": Sample(
        plugin="ubuntu",
        distribution="bootloaders",
        products=[
            *bootloader_products(),
            # of this one, which MAAS ignores, there is something to say
            bootloader_product("pxelinux", "pxe", "amd64", "amd64, i386", {"syslinux": "3:6.04"}),
        ],
        size=16 * 1024,
    ),
}
METHODS = [
    name for name, value in vars(Distribution).items() if callable(value) and name[:1] != "_"
]
WITH_AN_OPPOSITE = {"claims", "required", "choose_items", "validate"}
WAYS = ("raises", "wrong type", "nothing", "too much", "random", "opposite")
BROKEN = [
    (distribution, method, way)
    for distribution in SAMPLES
    for method in METHODS
    for way in WAYS
    if way != "opposite" or method in WITH_AN_OPPOSITE
]

BROKEN_COPY = """
import inspect, itertools, os, random
from dataclasses import replace

import msgspec
import mirror_ubuntu as good
from mirror.api import *

requires_api = good.requires_api
DISTRIBUTION, METHOD, WAY = {what}
dice = random.Random(0)

if hasattr(good, "mirror_settings"):
    mirror_settings = good.mirror_settings


@hookimpl
def mirror_distributions(context):
    takes = inspect.signature(good.mirror_distributions).parameters
    for each in good.mirror_distributions(**({{"context": context}} if takes else {{}})):
        if each.id == DISTRIBUTION:
            broken = type("Broken", (type(each),), {{METHOD: broken_method(getattr(each, METHOD))}})
            object.__setattr__(each, "__class__", broken)
        yield each


def broken_method(right):
    def raises(self, *given):
        raise RuntimeError("broken on purpose")

    def wrong_type(self, *given):
        return 42

    def nothing(self, *given):
        return {{"claims": None, "required": None, "describe": ""}}.get(METHOD, ())

    def opposite(self, *given):
        if METHOD == "choose_items":
            return [item for item in given[1].items if item not in list(right(*given))]
        if METHOD == "validate":
            return [] if list(right(*given)) else [error(given, "bad")]
        return not right(*given)

    def too_much(self, *given):
        return TOO_MUCH[METHOD](said(given), given)

    def at_random(self, *given):
        return AT_RANDOM[METHOD](said(given), given)

    def said(given):
        return None if METHOD == "build" else right(*given)  # the good ones refuse to build

    return locals()["at_random" if WAY == "random" else WAY.replace(" ", "_")]


def error(given, message):
    return Finding(Severity.ERROR, f"{{DISTRIBUTION}}-odd", "", message)


def made(given, name, data):
    file = given[3] / name.replace("/", "-")
    file.write_bytes(data)
    return Derived(name, "manifest", f"derived/{{name}}", file)


def image(given):
    file = given[3] / "image"
    file.write_bytes(os.urandom(64))
    return file


def source(url):
    return SourceDefault(name="odd", url=url, keyring="/nowhere.gpg", title="Odd")


TOO_MUCH = {{
    "claims": lambda said, given: True,
    "describe": lambda said, given: said * 1000,
    "default_sources": lambda said, given: [*said, source("http://a/"), source("http://b/")],
    "required": lambda said, given: [said],
    "choose_items": lambda said, given: [*said, Item("x", "squashfs", "x", "0" * 64, 1)],
    "validate": lambda said, given: itertools.repeat(error(given, "again")),
    "derive": lambda said, given: (made(given, str(n), b"x") for n in itertools.count()),
    "packages": lambda said, given: (Package("x", str(n)) for n in itertools.count()),
    "build": lambda said, given: Built(
        ftype="root-tgz", file=image(given), findings=itertools.repeat(error(given, "again"))
    ),
    "notices": lambda said, given: [error(given, str(n)) for n in range(10_000)],
    "lay_out": lambda said, given: [*said, Placement(given[1].items[0].name, "../../etc/shadow")],
}}
AT_RANDOM = {{
    "claims": lambda said, given: dice.random() < 0.5,
    "describe": lambda said, given: f"{{said}} {{dice.random()}}",
    "default_sources": lambda said, given: [source(f"http://{{dice.random()}}/")],
    "required": lambda said, given: dice.random() < 0.5,
    "choose_items": lambda said, given: [item for item in said if dice.random() < 0.5],
    "validate": lambda said, given: [error(given, "odd")] if dice.random() < 0.5 else [],
    "derive": lambda said, given: [made(given, "noise", os.urandom(64))],
    "packages": lambda said, given: [Package("x", str(dice.random()))],
    "build": lambda said, given: Built(ftype="root-tgz", file=image(given)),
    "notices": lambda said, given: [
        Finding(Severity.NOTE, f"{{DISTRIBUTION}}-odd", "", str(dice.random()))
    ],
    "lay_out": lambda said, given: [Placement(given[1].items[0].name, str(dice.random()))],
}}
"""


def checks_for(method):
    """Return every check, those that say that they are about this method first."""
    return sorted(CHECKS, key=lambda name: (f"`{method}`" not in CHECKS[name], "sync" in name))


@pytest.fixture(scope="module")
def good(signing_key, tmp_path_factory):
    """Return the checks of the good distributions, by id."""
    with ExitStack() as stack:
        made = {}
        for name, sample in SAMPLES.items():
            made[name] = Checks(sample, tmp_path_factory.mktemp(name), signing_key)
            stack.callback(made[name].close)
        yield made


@pytest.mark.parametrize(("distribution", "method", "way"), BROKEN)
def test_a_broken_method_is_caught(
    distribution, method, way, good, install_plugin, tmp_path, signing_key
):
    install_plugin("broken", BROKEN_COPY.format(what=(distribution, method, way)))
    whole = good[distribution]
    sample = Sample(**{**vars(SAMPLES[distribution]), "plugin": "broken"})
    upstream = whole.need("specimen").upstream
    broken = Checks(sample, tmp_path, signing_key, upstream)
    try:
        caught = next(
            (
                check
                for check in checks_for(method)
                if not broken.passes(check) and whole.passes(check)
            ),
            None,
        )
    finally:
        broken.close()
    assert caught, f"no check minds a {method} that is broken: {way}"


def test_a_copy_with_nothing_broken_passes(good, install_plugin, tmp_path, signing_key):
    # or else the test above would prove nothing
    install_plugin("broken", BROKEN_COPY.format(what=("nobody", "claims", "raises")))
    sample = Sample(**{**vars(SAMPLES["ubuntu"]), "plugin": "broken"})
    whole = good["ubuntu"]
    copy = Checks(sample, tmp_path, signing_key, whole.need("specimen").upstream)
    try:
        different = [
            check for check in checks_for("claims") if copy.passes(check) != whole.passes(check)
        ]
    finally:
        copy.close()
    assert not different


def test_each_method_has_a_check_that_names_it():
    # a new method of Distribution must not go unchecked
    docs = " ".join(CHECKS.values())
    assert [method for method in METHODS if f"`{method}`" not in docs] == []
