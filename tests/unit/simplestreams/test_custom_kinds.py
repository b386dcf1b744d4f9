"""Custom images in a stream: what MAAS 3.7 can't read or would never use is in index-all only."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from mirror.images.declaration import Declaration, product_of, root_item
from mirror.model import Item, Kind, Product, Version
from mirror.simplestreams.kinds import kind_of
from mirror.simplestreams.lint import lint_stream
from mirror.simplestreams.write import write_stream

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def product(os: str, release: str, ftype: str) -> Product:
    declaration = Declaration(os=os, release=release, ftype=ftype)
    root = root_item(declaration, "20261124", "a" * 64, 10)
    folder = root.path.rpartition("/")[0]
    manifest = Item("manifest", "manifest", f"{folder}/manifest", "b" * 64, 5, derived=True)
    return product_of(declaration, (Version("20261124", (root, manifest)),))


def test_what_each_is_to_maas():
    assert kind_of(product("rhel", "9", "root-tgz")) is Kind.SINGLE_FILE
    assert kind_of(product("windows", "win2022", "root-dd.gz")) is Kind.OTHER
    assert kind_of(product("custom", "rocky-9", "root-tgz")) is Kind.OTHER


def test_the_default_index_is_clean_and_index_all_has_all():
    products = [
        product("rhel", "9", "root-tgz"),
        product("windows", "win2022", "root-dd.gz"),
        product("custom", "rocky-9", "root-tgz"),
    ]
    written = {f"{each.path}.json": each.json for each in write_stream(products, NOW)}

    def listed(index: str) -> set[str]:
        entries = msgspec.json.decode(written[f"streams/v1/{index}.json"])["index"]
        return {name for entry in entries.values() for name in entry["products"]}

    assert listed("index") == {"custom:v1:rhel:9:amd64:generic"}
    assert listed("index-all") == {each.name for each in products}
    findings = lint_stream(written)
    assert [each for each in findings if each.effect == "fails"] == []
    assert {each.code for each in findings if "rhel" in each.where} == set()
    assert {each.where.split()[1] for each in findings if each.code == "os-custom"} == {
        "custom:v1:custom:rocky-9:amd64:generic"
    }
