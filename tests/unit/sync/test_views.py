"""The streams of one snapshot: one for everyone, and one for each combination of licences."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest

from mirror.errors import StreamRefusedByMaas
from mirror.model import Item, Product, Version
from mirror.signing.verify import Verifier
from mirror.store.blobs import LocalBlobs
from mirror.sync.build import make_snapshot
from mirror.sync.plan import Planned
from mirror.sync.views import write_views

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUB, PRO = "subscription", "proprietary"


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def product(name, licence="", *, content="data", content_id="", system="centos"):
    """Make a product of one version, with a root file system that has this content."""
    attributes = {
        "arch": "amd64",
        "label": "stable",
        "os": system,
        "release": name,
        "release_title": name,
        "subarch": "generic",
        "subarches": "generic",
        "version": "1",
    }
    if licence:
        attributes["licence"] = licence
    items = (
        Item("root-tgz", "root-tgz", f"{name}/1/root-tgz", digest(content), 4),
        Item("manifest", "manifest", f"{name}/1/manifest", digest(name), 4),
    )
    version = Version("1", items)
    return Product(f"p:{name}", content_id or f"id-{name}", attributes, (version,))


@pytest.fixture
def snapshot_of(tmp_path, signing_key):
    blobs = LocalBlobs(tmp_path)

    def snapshot_of(*products):
        made = make_snapshot(
            [Planned(each, "main") for each in products],
            blobs=blobs,
            key=signing_key,
            parent="",
            not_before=NOON,
            sources={},
            notes={},
        )
        return made, lambda ref: blobs.path(ref.sha256).read_bytes()

    return snapshot_of


def names(text):
    return {n for entry in json.loads(text)["index"].values() for n in entry["products"]}


def test_where_everything_is_free_there_is_one_stream(snapshot_of):
    made, _ = snapshot_of(product("a"), product("b", "free", content="b"))
    assert made.views == {}
    assert {ref.licence for ref in made.files.values()} == {""}


def test_a_view_has_just_what_differs(snapshot_of):
    made, read = snapshot_of(product("a"), product("w", PRO, content="w"))
    assert list(made.views) == [PRO]
    view = made.views[PRO]
    suffixes = ("json", "json.gpg", "sjson")
    assert set(view.files) == {
        f"streams/v1/{name}.{suffix}"
        for name in ("index", "index-all", "id-w")
        for suffix in suffixes
    }
    everyone = {p: read(ref) for p, ref in made.files.items() if p.startswith("streams/")}
    assert not any(b"p:w" in text or PRO.encode() in text for text in everyone.values())
    assert names(everyone["streams/v1/index.json"]) == {"p:a"}
    assert names(read(view.files["streams/v1/index.json"])) == {"p:a", "p:w"}
    assert set(view.variants) <= set(view.files)
    assert set(view.variants["streams/v1/id-w.json"]) == {"gzip", "zstd"}
    assert {p: ref.licence for p, ref in made.files.items() if ref.licence} == {
        "w/1/root-tgz": PRO,
        "w/1/manifest": PRO,
    }


def test_one_products_file_of_several_licences(snapshot_of):
    made, read = snapshot_of(
        product("a", content_id="custom"),
        product("w", PRO, content="w", content_id="custom"),
        product("r", SUB, content="r", content_id="custom"),
    )
    listed = {"": {"p:a"}, PRO: {"p:a", "p:w"}, SUB: {"p:a", "p:r"}}
    listed[f"{PRO}+{SUB}"] = {"p:a", "p:w", "p:r"}
    assert set(made.views) == set(listed) - {""}
    for name, wanted in listed.items():
        files = made.views[name].files if name else made.files
        products = json.loads(read(files["streams/v1/custom.json"]))["products"]
        assert set(products) == wanted == names(read(files["streams/v1/index-all.json"]))


def test_where_nothing_is_free_everyone_gets_an_empty_stream_that_is_signed(
    snapshot_of, signing_key
):
    made, read = snapshot_of(product("w", PRO))
    assert {path for path in made.files if path.startswith("streams/")} == {
        f"streams/v1/{name}.{suffix}"
        for name in ("index", "index-all")
        for suffix in ("json", "json.gpg", "sjson")
    }
    plain = read(made.files["streams/v1/index.json"])
    assert json.loads(plain)["index"] == {}
    with Verifier(signing_key.public_binary(), name="test") as verifier:
        verifier.detached(plain, read(made.files["streams/v1/index.json.gpg"]))
        verifier.clearsigned(read(made.files["streams/v1/index-all.sjson"]))
    assert names(read(made.views[PRO].files["streams/v1/index.json"])) == {"p:w"}


def test_what_a_free_product_has_is_hidden_nowhere(snapshot_of):
    made, _ = snapshot_of(product("a"), product("w", PRO), product("r", SUB))
    licences = {path: ref.licence for path, ref in made.files.items() if "/1/" in path}
    assert licences == {
        "a/1/root-tgz": "",
        "w/1/root-tgz": "",
        "r/1/root-tgz": "",
        "a/1/manifest": "",
        "w/1/manifest": PRO,
        "r/1/manifest": SUB,
    }


def test_what_two_products_have_is_for_who_may_have_one(snapshot_of):
    made, _ = snapshot_of(product("w", PRO), product("r", SUB))
    assert made.files["w/1/root-tgz"].licence == f"{PRO}|{SUB}"


def test_what_no_maas_can_import_is_in_index_all_of_those_who_may_have_it(snapshot_of):
    made, read = snapshot_of(product("a", system="custom"), product("w", PRO, system="custom"))
    assert "streams/v1/index.json" not in {**made.files, **made.views[PRO].files}
    assert names(read(made.files["streams/v1/index-all.json"])) == {"p:a"}
    assert names(read(made.views[PRO].files["streams/v1/index-all.json"])) == {"p:a", "p:w"}


def test_nothing_at_all_is_no_stream():
    with pytest.raises(StreamRefusedByMaas, match="nothing to publish"):
        write_views([], NOON)
    empty = Product("p:w", "id-w", {"licence": PRO}, (Version("1", ()),))
    with pytest.raises(StreamRefusedByMaas, match="nothing to publish"):
        write_views([empty], NOON)
    assert set(write_views([product("a"), empty], NOON)) == {""}
