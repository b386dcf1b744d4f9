from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_builders import CONTENT_ID, NAME, REAL, UPDATED, encode, raw_file, raw_index, raw_item

from mirror.simplestreams.lint import MaasFinding, lint_stream

INDEX = "streams/v1/index.json"
FILE = f"streams/v1/{CONTENT_ID}.json"


def stream(**changes):
    return {INDEX: encode(raw_index()), FILE: encode(raw_file(**changes))}


def said(files):
    """Return what is found, short: (maas, effect, code)."""
    return {(f.maas, f.effect, f.code) for f in lint_stream(files)}


def changed(change):
    """Lint a stream after `change` was made to its products file."""
    raw = copy.deepcopy(raw_file())
    change(raw, raw["products"][NAME], raw["products"][NAME]["versions"]["20250615"])
    return said({INDEX: encode(raw_index()), FILE: encode(raw)})


def with_entry(**changes):
    entry = {**raw_index()["index"][CONTENT_ID], **changes}
    entry = {key: value for key, value in entry.items() if value is not ...}
    return said({INDEX: encode(raw_index(index={CONTENT_ID: entry})), FILE: encode(raw_file())})


def real(name):
    return json.loads((REAL / f"{name}.json").read_text())


def test_a_good_stream_has_no_findings():
    assert lint_stream(stream()) == []


def test_a_finding_says_who_what_and_where():
    raw = raw_file()
    del raw["products"][NAME]["versions"]["20250615"]["items"]["manifest"]
    assert lint_stream({INDEX: encode(raw_index()), FILE: encode(raw)}) == [
        MaasFinding(
            ">=3.7",
            "fails",
            "version-item",
            f"{FILE} {NAME} 20250615",
            "there is no item manifest",
        )
    ]


def test_the_real_stream():
    files = {
        f"streams/v1/com.ubuntu.maas:stable:{content_id}.json": (REAL / f"{name}.json").read_bytes()
        for name, content_id in (
            ("ubuntu", "v3:download"),
            ("centos", "centos-bases-download"),
            ("bootloaders", "1:bootloader-download"),
        )
    }
    findings = lint_stream({INDEX: (REAL / "index.json").read_bytes(), **files})
    assert {(f.maas, f.effect, f.code) for f in findings} == {
        ("all", "ignores", "bootloader-unknown"),
        (">=3.7", "ignores", "updated-differs"),
    }
    assert "pxe/pxelinux/amd64" in findings[0].message


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b"\xef\xbb\xbf{}", b'{"a": "\xff"}'])
def test_what_is_no_json_fails_everywhere(data):
    assert ("all", "fails", "not-json") in said({INDEX: data})
    assert ("all", "fails", "not-json") in said({INDEX: encode(raw_index()), FILE: data})


@pytest.mark.parametrize(
    "text", ["-----BEGIN PGP SIGNATURE-----", "-----BEGIN PGP SIGNED MESSAGE-----"]
)
def test_text_that_looks_like_a_signature_is_cut(text):
    assert said(stream(note=text)) == {(">=3.7", "fails", "text-cut")}


def test_a_line_that_begins_with_a_dash_is_cut():
    files = stream()
    files[FILE] = files[FILE].replace(b'"size": 5', b'"size":\n-5')
    assert (">=3.7", "fails", "text-cut") in said(files)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"format": "x"}, ("<=3.6", "fails", "index-format")),
        ({"format": None}, ("all", "fails", "index-format")),
        ({"updated": None}, (">=3.7", "fails", "index-updated")),
        ({"updated": UPDATED.replace("+0000", "GMT")}, (">=3.7", "fails", "index-updated")),
        ({"index": {}}, (">=3.7", "fails", "index-empty")),
        ({"index": {CONTENT_ID: []}}, ("all", "fails", "entry-path")),
    ],
)
def test_the_index(changes, finding):
    assert finding in said({INDEX: encode(raw_index(**changes)), FILE: encode(raw_file())})


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"path": ...}, ("all", "fails", "entry-path")),
        ({"path": f"{CONTENT_ID}.json"}, ("all", "fails", "entry-path")),
        ({"format": ...}, ("<=3.6", "ignores", "entry-format")),
        ({"format": 5}, (">=3.7", "fails", "entry-format")),
        ({"updated": ...}, (">=3.7", "fails", "entry-updated")),
        ({"products": ...}, (">=3.7", "fails", "entry-products")),
        ({"products": [5]}, (">=3.7", "fails", "entry-products")),
        ({"datatype": "notifications"}, (">=3.7", "fails", "entry-datatype")),
        ({"name": "x"}, (">=3.7", "fails", "entry-name")),
    ],
)
def test_the_entries_of_an_index(changes, finding):
    assert finding in with_entry(**changes)


def test_an_entry_needs_no_datatype():
    assert with_entry(datatype=...) == set()


def test_a_signed_index_must_name_signed_files():
    files = {"streams/v1/index.sjson": encode(raw_index()), FILE: encode(raw_file())}
    assert said(files) == {("all", "fails", "entry-unsigned")}
    signed = FILE.replace(".json", ".sjson")
    index = raw_index()
    index["index"][CONTENT_ID]["path"] = signed
    assert said({"streams/v1/index.sjson": encode(index), signed: encode(raw_file())}) == set()


def test_files_without_an_index():
    assert said({FILE: encode(raw_file())}) == {("all", "fails", "no-index")}
    empty = raw_index(index={"x": {**raw_index()["index"][CONTENT_ID], "path": "streams/v1/x"}})
    files = {INDEX: encode(empty), FILE: encode(raw_file(products={}))}
    assert said(files) == {("all", "fails", "entry-path"), ("all", "ignores", "not-listed")}


def test_nothing_is_said_of_new_maas_about_what_only_index_all_names():
    dd = raw_file({"win": {"arch": "amd64", "label": "x", "versions": {"1": {"items": {}}}}})
    dd["products"]["win"]["versions"]["1"]["items"]["root-dd.gz"] = raw_item(
        "w/root-dd.gz", "root-dd.gz"
    )
    files = {INDEX: encode(raw_index()), FILE: encode(dd)}
    assert (">=3.7", "fails", "kind-unknown") in said(files)
    files["streams/v1/index-all.json"] = files.pop(INDEX)
    assert said(files) == set()


def test_one_updated_for_all_files():
    later = UPDATED.replace("08:01", "09:01")
    assert said(stream(updated=later)) == {(">=3.7", "ignores", "updated-differs")}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"format": "x"}, ("<=3.6", "fails", "file-format")),
        ({"format": 5}, ("all", "fails", "file-format")),
        ({"content_id": None}, ("all", "fails", "file-content-id")),
        ({"datatype": None}, (">=3.7", "fails", "file-datatype")),
        ({"datatype": "notifications"}, (">=3.7", "fails", "file-datatype")),
        ({"updated": None}, (">=3.7", "fails", "file-updated")),
        ({"products": {}}, (">=3.7", "fails", "products-empty")),
    ],
)
def test_the_head_of_a_products_file(changes, finding):
    assert finding in said(stream(**changes))


def test_kinds_must_not_be_mixed():
    mixed = raw_file({**raw_file()["products"], **real("centos")["products"]})
    findings = lint_stream({INDEX: encode(raw_index()), FILE: encode(mixed)})
    assert [(f.maas, f.effect, f.code) for f in findings] == [(">=3.7", "fails", "mixed-kinds")]
    assert NAME in findings[0].message
    assert "centos-bases:8:amd64" in findings[0].message


def test_an_odd_item_beside_the_right_ones_is_no_mixture():
    centos = real("centos")["products"]
    for product in centos.values():
        for version in product["versions"].values():
            version["items"]["boot-kernel"] = raw_item(
                f"x/{id(version)}/boot-kernel", "boot-kernel"
            )
    assert said(stream(products=centos)) == set()


@pytest.mark.parametrize(
    "key",
    [
        "arch",
        "label",
        "os",
        "release",
        "release_title",
        "subarch",
        "subarches",
        "version",
        "kflavor",
        "krel",
        "release_codename",
    ],
)
def test_attributes_that_maas_3_7_wants_on_the_product(key):
    finding = (">=3.7", "fails", "product-attribute")
    assert finding in changed(lambda _, product, __: product.pop(key))
    assert finding in changed(lambda _, product, __: product.update({key: 8}))


def test_old_maas_wants_arch_and_label_and_a_kernel_flavour():
    for key in ("arch", "label"):
        finding = ("<=3.6", "fails", "product-attribute")
        assert finding in changed(lambda _, product, __, key=key: product.pop(key))
    finding = ("<=3.6", "ignores", "kflavor")
    assert finding in changed(lambda _, product, __: product.update(kflavor=None))


def test_hoisted_attributes_are_not_seen():
    def hoist(raw, product, version):
        raw["os"] = product.pop("os")
        version["label"] = product.pop("label")

    assert changed(hoist) == {
        (">=3.7", "fails", "product-attribute"),
        ("<=3.6", "fails", "product-attribute"),
    }


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"os": "u" * 21}, (">=3.7", "fails", "too-long")),
        ({"release": "r" * 21}, (">=3.7", "fails", "too-long")),
        ({"product_name": "x"}, (">=3.7", "fails", "product-name-key")),
        ({"rolling": True, "subarch": "generic"}, ("<=3.6", "fails", "rolling")),
        ({"support_eol": "never"}, (">=3.7", "fails", "eol")),
        ({"support_eol": False}, (">=3.7", "fails", "eol")),
        ({"versions": {}}, (">=3.7", "fails", "no-versions")),
        ({"versions": []}, (">=3.7", "fails", "no-versions")),
        ({"versions": {"1": {}}}, ("all", "fails", "no-items")),
        ({"versions": {"1": []}}, ("all", "fails", "no-items")),
    ],
)
def test_products(change, finding):
    assert finding in changed(lambda _, product, __: product.update(change))


def test_support_eol_must_be_there_but_may_be_unknown():
    assert changed(lambda _, product, __: product.pop("support_eol")) == {(">=3.7", "fails", "eol")}
    assert changed(lambda _, product, __: product.update(support_eol=None)) == set()


@pytest.mark.parametrize("name", ["com.example:v2:x", "a:v3:b", "a:v3+platform:b"])
def test_names_that_maas_selects(name):
    assert said(stream(products={name: raw_file()["products"][NAME]})) == set()


@pytest.mark.parametrize("name", ["com.example:noble:amd64", "a:v4:b", "v3", "a:v3+x:b"])
def test_names_that_maas_ignores(name):
    products = {name: raw_file()["products"][NAME]}
    assert said(stream(products=products)) == {("all", "ignores", "product-name")}


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"version_name": "x"}, (">=3.7", "fails", "version-name-key")),
        ({"root-image.gz": "x"}, (">=3.7", "fails", "version-attribute")),
        ({"support_eol": "soon"}, (">=3.7", "fails", "eol")),
        ({"support_esm_eol": 5}, (">=3.7", "fails", "eol")),
    ],
)
def test_versions(change, finding):
    assert changed(lambda _, __, version: version.update(change)) == {finding}


@pytest.mark.parametrize("name", ["boot-initrd", "boot-kernel", "manifest", "squashfs"])
def test_items_that_a_multi_file_version_needs(name):
    finding = (">=3.7", "fails", "version-item")
    assert changed(lambda _, __, version: version["items"].pop(name)) == {finding}


@pytest.mark.parametrize("name", ["manifest", "root-tgz"])
def test_items_that_a_single_file_version_needs(name):
    products = real("centos")["products"]
    del products["com.ubuntu.maas.stable:centos-bases:8:amd64"]["versions"]["20211029_01"]["items"][
        name
    ]
    assert said(stream(products=products)) == {(">=3.7", "fails", "version-item")}


@pytest.mark.parametrize(
    ("change", "findings"),
    [
        ({"sha256": None}, {("all", "fails", "item-sha256")}),
        ({"sha256": "A" * 64}, {("all", "fails", "item-sha256")}),
        ({"size": "5"}, {("<=3.6", "fails", "item-size")}),
        ({"size": "five"}, {("all", "fails", "item-size")}),
        ({"size": True}, {("all", "fails", "item-size")}),
        ({"size": -1}, {("all", "fails", "item-size")}),
        ({"path": None}, {("all", "fails", "item-attribute")}),
        ({"path": "win:2019/x"}, {(">=3.7", "fails", "item-path")}),
        ({"path": "/abs"}, {("<=3.6", "fails", "item-path")}),
        ({"path": "x/../y"}, {("<=3.6", "fails", "item-path")}),
        ({"path": "//evil/x"}, {("<=3.6", "fails", "item-path"), (">=3.7", "fails", "item-path")}),
        ({"path": "http://evil/x"}, {(">=3.7", "fails", "item-path")}),
        ({"path": "a?b"}, {("all", "fails", "item-path")}),
        ({"path": "streams/v1/index.json"}, {("all", "fails", "item-path")}),
        ({"path": "a b/c%20d"}, set()),
        ({"path": "other/boot-kernel"}, {(">=3.7", "fails", "same-file-name")}),
        ({"kpackage": 5}, {(">=3.7", "fails", "item-attribute")}),
        (
            {"ftype": "squashfs.new"},
            {(">=3.7", "fails", "item-ftype"), ("<=3.6", "ignores", "item-ftype")},
        ),
        (
            {"ftype": None},
            {(">=3.7", "fails", "item-ftype"), ("all", "fails", "item-attribute")},
        ),
        ({"extra": [1, {"a": None}]}, set()),
    ],
)
def test_items(change, findings):
    assert changed(lambda _, __, version: version["items"]["squashfs"].update(change)) == findings


def test_items_that_no_maas_knows_are_ignored():
    def add(_, __, version):
        version["items"]["notes"] = raw_item("noble/notes", "text")

    assert changed(add) == {("<=3.6", "ignores", "item-ftype")}


@pytest.mark.parametrize("key", ["src_package", "src_release", "src_version"])
def test_bootloaders_name_their_source_package(key):
    products = real("bootloaders")["products"]
    grub = products["com.ubuntu.maas.stable:1:grub-efi:uefi:arm64"]
    del products["com.ubuntu.maas.stable:1:pxelinux:pxe:amd64"]
    assert said(stream(products=products)) == set()
    del grub["versions"]["20230222.0"]["items"]["shim-signed"][key]
    assert said(stream(products=products)) == {(">=3.7", "fails", "item-attribute")}


def test_bootloaders_need_a_name_of_their_form():
    grub = real("bootloaders")["products"]["com.ubuntu.maas.stable:1:grub-efi:uefi:arm64"]
    assert said(stream(products={"grub": grub})) == {("all", "ignores", "product-name")}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


def places(value, at=()):
    """Every place in a JSON value, as the keys that lead there."""
    yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))


def put(raw, place, value):
    raw = copy.deepcopy(raw)
    inner = raw
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return encode(raw)


@given(
    st.sampled_from([place for place in places(raw_file()) if place]),
    st.sampled_from([place for place in places(raw_index()) if place]),
    json_values,
)
def test_any_value_in_any_place_is_judged_not_tripped_over(in_file, in_index, value):
    for finding in lint_stream(
        {INDEX: put(raw_index(), in_index, value), FILE: put(raw_file(), in_file, value)}
    ):
        assert finding.effect in {"fails", "ignores"}
        assert finding.message
