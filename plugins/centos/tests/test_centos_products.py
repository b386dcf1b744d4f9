"""Names, titles, the choice of files, the end of support, where a rack puts an image."""

from __future__ import annotations

from datetime import date

import pytest
from mirror_centos.images import CentosImages
from mirror_centos.releases import LAST_DAYS, last_day, release_of
from mirror_centos.settings import CentosSettings

from mirror.api import CUSTOM_CONTENT_ID, Item, Product, Severity, Version
from mirror.plugin_manager import load_plugins

IMAGES = CentosImages(CentosSettings())
TODAY = date(2026, 11, 24)


def product(release: str, **about: str) -> Product:
    attributes = {"os": "centos", "arch": "amd64", "subarch": "generic", "label": "stable"}
    return Product("p", "c", {**attributes, "release": release, **about}, ())


def items(*names: str) -> Version:
    made = (Item(each, each, f"centos/x/{each}", "0" * 64, 1) for each in names)
    return Version("20250615_01", tuple(made))


@pytest.mark.parametrize(
    ("release", "version", "major", "stream"),
    [
        ("centos66", "6.6", 6, False),
        ("centos6", "", 6, False),
        ("centos70", "7.0", 7, False),
        ("centos7", "", 7, False),
        ("7", "", 7, False),
        ("8", "8", 8, False),
        ("8-stream", "", 8, True),
        ("centos8-stream", "", 8, True),
        ("centos8.stream", "", 8, True),
        ("CentOS8-Stream", "", 8, True),
        ("centos9-stream", "", 9, True),
        ("9", "", 9, True),
        ("centos10-stream", "", 10, True),
        ("centos10", "", 10, True),
        ("centos", "7.0", 7, False),
        ("centos-nightly", "", 0, False),
        ("stream", "9-stream", 9, True),
        ("", "", 0, False),
        ("1" * 5000, "", 0, False),
    ],
)
def test_names(release, version, major, stream):
    found = release_of(product(release, version=version))
    assert (found.major, found.stream) == (major, stream)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (product("centos70", release_title="CentOS 7"), "CentOS 7 (centos70), amd64"),
        (product("8", release_title="CentOS 8"), "CentOS 8 (8), amd64"),
        (product("centos9-stream"), "CentOS 9 Stream (centos9-stream), amd64"),
        (product("centos8-stream", arch="arm64"), "CentOS 8 Stream (centos8-stream), arm64"),
        (product("centos-x"), "CentOS (centos-x), amd64"),
        (product("8", subarch="xgene"), "CentOS 8 (8), amd64, xgene"),
    ],
)
def test_titles(given, text):
    assert IMAGES.describe(given) == text


def test_what_is_claimed():
    assert IMAGES.claims(product("8"))
    assert not IMAGES.claims(product("8", os="rhel"))
    assert not IMAGES.claims(Product("p", "c", {}, ()))
    own = product("8")
    assert not IMAGES.claims(Product(own.name, CUSTOM_CONTENT_ID, own.attributes, ()))


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        (("manifest", "root-tgz"), {"manifest", "root-tgz"}),
        (("manifest", "root-tgz", "squashfs"), {"manifest", "root-tgz"}),
        (("manifest", "root-txz", "root-tgz"), {"manifest", "root-tgz"}),
        (("manifest", "root-tbz", "root-txz"), {"manifest", "root-txz"}),
        (("manifest", "root-tbz"), {"manifest", "root-tbz"}),
        (("root-tgz",), set()),
        (("manifest",), set()),
        (("manifest", "root-dd.gz"), set()),
        ((), set()),
    ],
)
def test_both_files_or_none(there, chosen):
    found = IMAGES.choose_items(product("8"), items(*there))
    assert {each.name for each in found} == chosen


def notices(release: str, today: date, warn_days: int = 90, **about: str) -> list[tuple[str, str]]:
    images = CentosImages(CentosSettings(warn_days))
    found = list(images.notices(product(release, **about), today))
    assert all(each.severity is Severity.WARNING for each in found)
    return [(each.code, each.message) for each in found]


@pytest.mark.parametrize(
    ("release", "last"),
    [
        ("centos66", "2020-11-30"),
        ("centos70", "2024-06-30"),
        ("8", "2021-12-31"),
        ("centos8-stream", "2024-05-31"),
    ],
)
def test_releases_that_have_ended(release, last):
    name = release_of(product(release)).title
    assert notices(release, TODAY) == [
        ("centos-eol", f"{name} has had no updates since {last}"),
    ]


def test_the_boot_source_may_say_more_than_is_true():
    ((_, message),) = notices("8", TODAY, support_eol="2029-05-31")
    assert message.endswith("although the boot source says that support ends on 2029-05-31")


def test_the_end_comes_near():
    last = LAST_DAYS[9, True]
    assert last == date(2027, 5, 31)
    assert notices("centos9-stream", date(2027, 3, 1)) == []
    assert notices("centos9-stream", date(2027, 3, 2)) == [
        ("centos-eol-near", "support for CentOS 9 Stream ends on 2027-05-31, in 90 days")
    ]
    assert notices("centos9-stream", last)[0][1].endswith("in 0 days")
    assert notices("centos9-stream", date(2027, 6, 1))[0][0] == "centos-eol"
    assert notices("centos9-stream", date(2027, 3, 2), warn_days=30) == []
    assert notices("centos9-stream", last, warn_days=0)[0][0] == "centos-eol-near"


def test_of_what_is_not_known_the_boot_source_is_believed():
    assert last_day(product("centos10-stream")) is None
    assert notices("centos10-stream", TODAY) == []
    assert notices("centos10-stream", TODAY, support_eol="2026-12-31")[0][0] == "centos-eol-near"
    assert notices("centos10-stream", TODAY, support_eol="some day") == []
    assert last_day(product("centos-x", support_eol="2030-01-01")) == date(2030, 1, 1)


def test_the_setting_is_read():
    plugins = load_plugins(allow=["centos"], strict=True, sections={"centos": {"warn_days": 365}})
    (images,) = plugins.distributions
    assert [each.code for each in images.notices(product("centos9-stream"), TODAY)] == [
        "centos-eol-near"
    ]


def test_where_a_rack_has_it():
    version = items("manifest", "root-tgz")
    (placed,) = IMAGES.lay_out(product("centos70"), version)
    assert (placed.item, placed.path, placed.unpack) == (
        "root-tgz",
        "centos/amd64/generic/centos70/stable/root-tgz",
        False,
    )


@pytest.mark.parametrize(
    "given",
    [product("../../etc"), product(".."), product("a/b"), product("8", label=""), product("")],
)
def test_a_place_does_not_climb(given):
    assert list(IMAGES.lay_out(given, items("manifest", "root-tgz"))) == []
