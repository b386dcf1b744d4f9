from __future__ import annotations

import json
import string
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_builders import (
    CONTENT_ID,
    LIMITS,
    NAME,
    item,
    product,
    raw_file,
    raw_item,
    raw_product,
    read,
    read_real,
    real_products,
)

from mirror.errors import MetadataInvalid, PathConflict, StreamRefusedByMaas, UnsafePath
from mirror.model import Product, Version
from mirror.simplestreams.lint import lint_stream
from mirror.simplestreams.read import parse_index, parse_products
from mirror.simplestreams.write import write_stream

UPDATED = datetime(2026, 11, 23, 7, 0, 12, tzinfo=UTC)
WRITTEN = "Mon, 23 Nov 2026 07:00:12 +0000"
DD = product("windows", Version("1", (item("windows/2022/root-dd.gz"),)), content_id="custom")


def written(products):
    """Return the JSON of a stream by path without suffix."""
    return {
        document.path: json.loads(document.json) for document in write_stream(products, UPDATED)
    }


def only(products, path=f"streams/v1/{CONTENT_ID}"):
    (found,) = written(products)[path]["products"].values()
    return found


def lint(products, only_index=False):
    """Lint a stream, or what its `index` leads to."""
    documents = write_stream(products, UPDATED)
    skipped = "streams/v1/index-all" if only_index else ""
    return lint_stream({f"{d.path}.json": d.json for d in documents if d.path != skipped})


def errors(findings):
    return [finding for finding in findings if finding.effect == "fails"]


def test_the_documents_of_a_stream():
    documents = write_stream([*real_products(), DD], UPDATED)
    assert [document.path.removeprefix("streams/v1/") for document in documents] == [
        "com.ubuntu.maas:stable:1:bootloader-download",
        "com.ubuntu.maas:stable:centos-bases-download",
        "com.ubuntu.maas:stable:v3:download",
        "custom",
        "index-all",
        "index",
    ]


def test_an_index_names_files_of_its_own_suffix():
    for document in write_stream(real_products(), UPDATED):
        if document.path.startswith("streams/v1/index"):
            for suffix, text in ((".json", document.json), (".sjson", document.sjson)):
                index = parse_index(text, LIMITS)
                assert all(entry.path.endswith(suffix) for entry in index.entries)
        else:
            assert document.json == document.sjson


def test_the_index_tells_all_that_maas_wants_to_know():
    stream = written(real_products())
    index = stream["streams/v1/index"]
    assert index["format"] == "index:1.0"
    assert index["updated"] == WRITTEN
    entry = index["index"]["com.ubuntu.maas:stable:centos-bases-download"]
    assert entry == {
        "datatype": "image-ids",
        "format": "products:1.0",
        "path": "streams/v1/com.ubuntu.maas:stable:centos-bases-download.json",
        "products": [
            "com.ubuntu.maas.stable:centos-bases:7.0:amd64",
            "com.ubuntu.maas.stable:centos-bases:8:amd64",
        ],
        "updated": WRITTEN,
    }
    assert stream["streams/v1/index-all"] == index
    for path in stream:
        assert stream[path]["updated"] == WRITTEN


def test_the_real_stream_comes_out_as_it_went_in():
    documents = {document.path: document for document in write_stream(real_products(), UPDATED)}
    for name in ("ubuntu", "centos", "bootloaders"):
        before = read_real(name)
        after = parse_products(documents[f"streams/v1/{before.content_id}"].json, LIMITS)
        assert after.products == before.products
        assert after.rejected == ()


def test_the_same_products_in_any_order_give_the_same_bytes():
    products = [*real_products(), DD]
    shuffled = [
        msgspec.structs.replace(p, attributes=dict(reversed(p.attributes.items())))
        for p in reversed(products)
    ]
    assert write_stream(products, UPDATED) == write_stream(shuffled, UPDATED)


def test_what_only_old_maas_can_read_is_in_index_all_only():
    stream = written([*real_products(), DD])
    assert "custom" not in stream["streams/v1/index"]["index"]
    everything = stream["streams/v1/index-all"]["index"]
    assert everything.pop("custom")["products"] == ["windows"]
    assert everything == stream["streams/v1/index"]["index"]
    assert not errors(lint([*real_products(), DD]))
    assert not errors(lint([DD]))


def test_an_index_without_entries_is_not_written():
    assert list(written([DD])) == ["streams/v1/custom", "streams/v1/index-all"]


def test_each_kind_gets_a_file_of_its_own():
    mixed = [msgspec.structs.replace(p, content_id="all") for p in (*real_products(), DD)]
    stream = written(mixed)
    assert list(stream) == [
        "streams/v1/all:bootloader",
        "streams/v1/all:multi-file",
        "streams/v1/all:other",
        "streams/v1/all:single-file",
        "streams/v1/index-all",
        "streams/v1/index",
    ]
    for name in ("bootloader", "multi-file", "other", "single-file"):
        assert stream[f"streams/v1/all:{name}"]["content_id"] == f"all:{name}"
    assert "all:other" not in stream["streams/v1/index"]["index"]
    assert not errors(lint(mixed))


def test_what_is_empty_is_pruned():
    ubuntu = read(raw_file()).products[0]
    empty = Version("20260101", ())
    products = [
        msgspec.structs.replace(ubuntu, versions=(*ubuntu.versions, empty)),
        product("empty", empty),
        product("none", content_id="gone"),
    ]
    assert only(products)["versions"].keys() == {"20250615"}
    assert "streams/v1/gone" not in written(products)


@pytest.mark.parametrize("products", [[], [product("none")], [product("x", Version("1", ()))]])
def test_nothing_to_publish_is_refused(products):
    with pytest.raises(StreamRefusedByMaas, match="nothing to publish"):
        write_stream(products, UPDATED)


def test_what_maas_needs_and_a_source_may_lack_is_filled_in():
    raw = raw_product()
    for key in ("kflavor", "krel", "release_codename", "support_eol"):
        del raw[key]
    found = only(read(raw_file({NAME: raw})).products)
    assert found["kflavor"] == "generic"
    assert found["krel"] == found["release_codename"] == "noble"
    assert found["support_eol"] is None
    null = only(read(raw_file({NAME: raw_product(kflavor=None, krel=None)})).products)
    assert (null["kflavor"], null["krel"]) == ("generic", "noble")


@pytest.mark.parametrize("eol", ["", "never", "2029-13-01", 2029, "2029-05-31T00:00:00Z", []])
def test_an_end_of_life_that_maas_would_choke_on_is_unknown(eol):
    products = list(read(raw_file({NAME: raw_product(support_eol=eol)})).products)
    assert only(products)["support_eol"] is None
    raw = raw_file()
    raw["products"][NAME]["versions"]["20250615"].update(support_eol=eol, support_esm_eol=eol)
    products = list(read(raw).products)
    assert only(products)["versions"]["20250615"]["support_esm_eol"] is None
    assert not errors(lint(products))


def test_inherited_attributes_are_written_out_at_their_level():
    raw = raw_file({NAME: raw_product()}, label="stable", os="ubuntu")
    del raw["products"][NAME]["label"]
    del raw["products"][NAME]["os"]
    raw["_aliases"] = {"release": {"noble": {"release_title": "24.04 LTS"}}}
    del raw["products"][NAME]["release_title"]
    found = only(read(raw).products)
    assert (found["label"], found["os"], found["release_title"]) == (
        "stable",
        "ubuntu",
        "24.04 LTS",
    )
    assert not errors(lint(read(raw).products))


def test_keys_that_clash_with_those_of_maas_are_dropped():
    raw = raw_file({NAME: raw_product(product_name="x", rolling=True, subarch="generic")})
    raw["products"][NAME]["versions"]["20250615"].update({"version_name": "y", "root-image.gz": 5})
    assert not errors(lint(read(raw).products))
    kept = raw_file({NAME: raw_product(rolling=True, subarch="ga-24.04")})
    assert only(read(kept).products)["rolling"] is True


def test_text_is_ascii_that_every_client_cuts_alike():
    hostile = "é \u2028\u0085 😀 \x7f\n-----BEGIN PGP SIGNATURE-----\n- x"
    products = list(read(raw_file({NAME: raw_product(release_title=hostile)})).products)
    for document in write_stream(products, UPDATED):
        assert document.json.isascii()
        assert b"BEGIN PGP" not in document.json.replace(b"\\u002d----BEGIN PGP", b"")
        assert document.json.endswith(b"}\n")
        lines = document.json.decode().splitlines()
        assert lines == document.json.decode().split("\n")[:-1]
        assert not any(line.startswith("-") or line.rstrip() != line for line in lines)
    assert only(products)["release_title"] == hostile


def test_two_contents_for_one_path_are_refused():
    one = product("one", Version("1", (item("p/root-dd"),)))
    two = product("two", Version("1", (item("p/root-dd", "other"),)), content_id="elsewhere")
    with pytest.raises(PathConflict, match="1 paths have two contents, such as 'p/root-dd'"):
        write_stream([one, two], UPDATED)


def test_unsafe_paths_of_plugins_are_refused():
    with pytest.raises(UnsafePath):
        write_stream([product("one", Version("1", (item("../p/root-dd"),)))], UPDATED)


def test_names_that_would_overwrite_each_other_are_refused():
    one = product("one", Version("1", (item("p/root-dd"),)))
    with pytest.raises(MetadataInvalid, match="two products of the same name"):
        write_stream([one, one], UPDATED)
    clash = [
        msgspec.structs.replace(one, content_id="all"),
        msgspec.structs.replace(real_products()[0], content_id="all"),
        msgspec.structs.replace(one, content_id="all:other"),
    ]
    with pytest.raises(MetadataInvalid, match="the same content id"):
        write_stream(clash, UPDATED)
    with pytest.raises(MetadataInvalid, match="content id"):
        write_stream([msgspec.structs.replace(one, content_id="a/b")], UPDATED)


def test_one_bad_product_never_keeps_good_ones_from_maas():
    good, bad = raw_product(), raw_product("2")
    del bad["versions"]["2"]["items"]["manifest"]
    products = read(raw_file({"a:v3:good": good, "a:v3:bad": bad})).products
    stream = written(products)
    assert stream["streams/v1/index"]["index"][f"{CONTENT_ID}:multi-file"]["products"] == [
        "a:v3:good"
    ]
    assert not errors(lint(products))


texts = st.text(string.ascii_letters + "é\u2028-:", max_size=25)
scalars = st.none() | st.booleans() | st.integers(-5, 5) | texts | st.just("2029-05-31")
names_of_attributes = st.sampled_from(
    [
        "arch",
        "arches",
        "bootloader-type",
        "kflavor",
        "krel",
        "label",
        "os",
        "release",
        "release_codename",
        "release_title",
        "rolling",
        "subarch",
        "subarches",
        "support_eol",
        "support_esm_eol",
        "version",
        "product_name",
        "version_name",
        "src_package",
        "src_release",
        "src_version",
        "kpackage",
        "extra",
        "grub2",
        "squashfs",
        "manifest",
    ]
)
attributes = st.dictionaries(names_of_attributes, scalars, max_size=4)
names_of_items = st.sampled_from(
    [
        "boot-initrd",
        "boot-kernel",
        "manifest",
        "squashfs",
        "root-image.gz",
        "root-tgz",
        "root-dd.gz",
        "grub2-signed",
        "syslinux",
        "version_name",
        "support_eol",
        "items",
    ]
)
ftypes = st.sampled_from(["squashfs", "boot-kernel", "root-tgz", "archive.tar.xz", "odd"])


@st.composite
def any_products(draw):
    """Products near to what MAAS takes, with something added, changed or missing."""
    products = []
    for number, base in enumerate(draw(st.lists(st.sampled_from(real_products()), max_size=4))):
        changes = draw(attributes)
        removed = draw(st.sets(names_of_attributes, max_size=1))
        kept = {k: v for k, v in {**base.attributes, **changes}.items() if k not in removed}
        versions = tuple(
            _changed(draw, f"p{number}", version)
            for version in base.versions
            if draw(st.booleans())
        )
        name = base.name + draw(st.sampled_from(["", ":x"])) + f".{number}"
        # The reader leaves out what lacks these, and no MAAS can do without.
        kept.update(arch=str(kept.get("arch")), label=str(kept.get("label")))
        products.append(Product(name, draw(st.sampled_from(["a", "b"])), kept, versions))
    return products


def _changed(draw, base, version):
    names = {i.name for i in version.items} | draw(st.sets(names_of_items, max_size=1))
    names -= draw(st.sets(names_of_items, max_size=1))
    old = {i.name: i for i in version.items}
    items = []
    for name in sorted(names):
        path = f"{base}/{version.name}/{name}"
        found = old.get(name) or msgspec.structs.replace(item(path), name=name, ftype=draw(ftypes))
        items.append(msgspec.structs.replace(found, path=path))
    return Version(version.name, tuple(items), draw(attributes) if draw(st.booleans()) else {})


@settings(max_examples=150, deadline=None)
@given(any_products())
def test_no_maas_ever_fails_on_what_is_written(products):
    try:
        documents = {document.path for document in write_stream(products, UPDATED)}
    except StreamRefusedByMaas:
        assert not any(version.items for p in products for version in p.versions)
        return
    assert not errors(lint(products))
    if "streams/v1/index" in documents:
        assert not errors(lint(products, only_index=True))


def test_raw_items_keep_their_further_attributes():
    raw = raw_file()
    squashfs = raw_item("x/squashfs", path_mtime=5, note={"nested": [1]})
    raw["products"][NAME]["versions"]["20250615"]["items"]["squashfs"] = squashfs
    found = only(read(raw).products)["versions"]["20250615"]["items"]["squashfs"]
    assert found == squashfs
