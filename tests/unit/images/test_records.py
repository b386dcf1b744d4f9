"""The records of custom images: names of versions only ever grow, and removed images are known."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.catalog import Catalog
from mirror.errors import NotFound
from mirror.images.declaration import Declaration, root_item
from mirror.images.records import (
    ImageVersion,
    all_images,
    change_image,
    find_image,
    known_images,
    offered,
    with_version,
    without_version,
)
from mirror.images.versions import next_version

RHEL = Declaration(os="rhel", release="9")
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def catalog(tmp_path: Path):
    opened = Catalog(tmp_path / "catalog.sqlite")
    yield opened
    opened.close()


def version(name: str, digest: str = "a") -> ImageVersion:
    item = root_item(RHEL, name, digest * 64, 10)
    return ImageVersion(name=name, items=(item,), at=NOW, by="test")


@pytest.mark.parametrize(
    ("newest", "following"),
    [
        ("", "20261124"),
        ("20261123", "20261124"),
        ("20261123.07", "20261124"),
        ("20261124", "20261124.01"),
        ("20261124.01", "20261124.02"),
        ("20261124.99", "20261125"),
        ("20261231.99", "20270101"),
        ("20270101", "20270101.01"),
    ],
)
def test_the_next_version(newest: str, following: str):
    assert next_version(newest, date(2026, 11, 24)) == following


@given(st.lists(st.dates(date(2020, 1, 1), date(2099, 1, 1)), max_size=150))
def test_versions_only_ever_grow(days: list[date]):
    newest = ""
    for day in days:
        following = next_version(newest, day)
        assert following > newest
        newest = following


def test_the_newest_are_held():
    image = None
    for name in ("20261121", "20261122", "20261123", "20261124"):
        image = with_version(image, RHEL, version(name), keep=3)
    assert image is not None
    assert [each.name for each in image.versions] == ["20261122", "20261123", "20261124"]
    assert [each.name for each in offered(image, keep=2).versions] == ["20261123", "20261124"]


def test_a_removed_image_is_known_and_goes_on_from_where_it_was(catalog: Catalog):
    change_image(catalog, "custom:v1:rhel:9:amd64:generic", lambda old: with_version(
        old, RHEL, version("20261124"), keep=3
    ))  # fmt: skip

    def gone(image):
        return without_version(image, "")

    image = change_image(catalog, "custom:v1:rhel:9:amd64:generic", gone)
    assert image.versions == ()
    assert list(all_images(catalog)) == []
    [known] = known_images(catalog)
    assert next_version(known.newest, date(2026, 11, 24)) == "20261124.01"


def test_one_version_goes(catalog: Catalog):
    image = with_version(None, RHEL, version("20261123"), keep=3)
    image = with_version(image, RHEL, version("20261124", "b"), keep=3)
    assert [each.name for each in without_version(image, "20261124").versions] == ["20261123"]
    with pytest.raises(NotFound, match=r"has no version '1'; it has 20261123, 20261124"):
        without_version(image, "1")


def test_what_fails_changes_nothing(catalog: Catalog):
    def fail(image):
        raise NotFound("no")

    with pytest.raises(NotFound):
        change_image(catalog, "p", fail)
    assert find_image(catalog, "p") is None
