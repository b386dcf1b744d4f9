from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from mirror.signing.verify import Verifier
from mirror.testing.sample import SampleUpstream
from mirror.testing.sample_products import BOOTLOADERS, CENTOS, UBUNTU

GA = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"
HWE = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:hwe-24.04"
CENTOS_8 = "com.ubuntu.maas.stable:centos-bases:8:amd64"

# What images.maas.io writes at each level, seen in its stable stream of July 2025.
CENTOS_KEYS = {
    *("arch", "label", "os", "release", "release_title", "subarch", "subarches"),
    *("support_eol", "version", "versions"),
}
UBUNTU_KEYS = {*CENTOS_KEYS, "kflavor", "krel", "release_codename", "support_esm_eol"}
BOOTLOADER_KEYS = {"arch", "arches", "bootloader-type", "label", "os", "versions"}
ITEM_KEYS = {"ftype", "path", "sha256", "size"}


@pytest.fixture
def unsigned(tmp_path):
    return SampleUpstream.create(tmp_path / "unsigned", size=8192)


def plain(sample, name="index"):
    return json.loads((sample.root / "streams/v1" / f"{name}.json").read_bytes())


def signed(sample, name="index"):
    data = (sample.root / "streams/v1" / f"{name}.sjson").read_bytes()
    with Verifier(sample.keyring.read_bytes(), name="test") as verifier:
        return json.loads(verifier.clearsigned(data).plaintext)


def first_version(document, product=GA):
    return next(iter(document["products"][product]["versions"].values()))


def test_every_listed_file_is_there_and_is_what_is_said(unsigned):
    listed = {
        item["path"]: (item["sha256"], item["size"])
        for content_id in plain(unsigned)["index"]
        for product in plain(unsigned, content_id)["products"].values()
        for version in product["versions"].values()
        for item in version["items"].values()
    }
    assert len(listed) == 68
    assert listed == unsigned.files()
    for path, (sha256, size) in listed.items():
        data = (unsigned.root / path).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (sha256, size)


def test_the_index_lists_what_the_files_hold(unsigned):
    index = plain(unsigned)
    assert set(index["index"]) == {UBUNTU, BOOTLOADERS, CENTOS}
    for content_id, entry in index["index"].items():
        document = plain(unsigned, content_id)
        assert document["content_id"] == content_id
        assert entry["path"] == f"streams/v1/{content_id}.json"
        assert entry["products"] == sorted(document["products"])
        assert entry["updated"] == document["updated"] == index["updated"]


@pytest.mark.parametrize(
    ("content_id", "product_keys", "more_item_keys"),
    [
        (UBUNTU, UBUNTU_KEYS, {"kpackage"}),
        (CENTOS, CENTOS_KEYS, set()),
        (BOOTLOADERS, BOOTLOADER_KEYS, {"src_package", "src_release", "src_version"}),
    ],
)
def test_attributes_are_where_the_real_stream_has_them(
    unsigned, content_id, product_keys, more_item_keys
):
    document = plain(unsigned, content_id)
    assert set(document) == {"content_id", "datatype", "format", "products", "updated"}
    for product in document["products"].values():
        assert set(product) == product_keys
        assert len(product["versions"]) == 2
        for version in product["versions"].values():
            assert set(version) == {"items"}
            for item in version["items"].values():
                assert set(item) - more_item_keys == ITEM_KEYS


def test_two_kernels_of_a_release_share_its_root_file_system(unsigned):
    document = plain(unsigned, UBUNTU)
    ga, hwe = (first_version(document, name)["items"] for name in (GA, HWE))
    assert ga["squashfs"] == hwe["squashfs"]
    assert ga["manifest"] == hwe["manifest"]
    assert ga["boot-kernel"]["path"] != hwe["boot-kernel"]["path"]
    assert ga["boot-kernel"]["sha256"] != hwe["boot-kernel"]["sha256"]


def test_two_samples_are_alike_to_the_byte(tmp_path):
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    a, b = (SampleUpstream.create(tmp_path / x, size=8192, updated=time) for x in "ab")
    for file in a.root.rglob("*"):
        if file.is_file():
            assert (b.root / file.relative_to(a.root)).read_bytes() == file.read_bytes()


def test_the_time_is_the_one_that_was_given(tmp_path):
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    sample = SampleUpstream.create(tmp_path / "up", size=8192, updated=time)
    assert plain(sample)["updated"] == "Fri, 02 Jan 2026 03:04:05 +0000"


def test_the_time_is_recent_unless_given(unsigned):
    age = datetime.now(UTC) - parsedate_to_datetime(plain(unsigned)["updated"])
    assert timedelta(minutes=59) < age < timedelta(hours=2)


def test_each_honest_change_has_a_later_time(unsigned):
    changes = (
        unsigned.add_version,
        lambda: unsigned.remove_version(GA, "20250615"),
        lambda: unsigned.remove_product(CENTOS_8),
    )
    before = unsigned.updated
    for change in changes:
        change()
        assert unsigned.updated > before
        before = unsigned.updated


def test_a_version_can_be_added_to_some_products_only(unsigned):
    added = unsigned.add_version(only=":24.04:amd64:")
    unsigned.write()
    assert added == {GA: "20250814", HWE: "20250814"}
    products = plain(unsigned, UBUNTU)["products"]
    assert {name for name, product in products.items() if len(product["versions"]) == 3} == {
        GA,
        HWE,
    }
    assert (unsigned.root / "noble/amd64/20250814/squashfs").is_file()


def test_a_removed_product_is_listed_nowhere(unsigned):
    unsigned.remove_product(CENTOS_8)
    unsigned.write()
    assert CENTOS_8 not in plain(unsigned, CENTOS)["products"]
    assert CENTOS_8 not in plain(unsigned)["index"][CENTOS]["products"]


def test_a_removed_version_is_not_listed(unsigned):
    unsigned.remove_version(GA, "20250615")
    unsigned.write()
    assert set(plain(unsigned, UBUNTU)["products"][GA]["versions"]) == {"20250715"}


def test_both_signed_forms_verify_and_say_the_same(sample_upstream):
    assert {entry["path"] for entry in signed(sample_upstream)["index"].values()} == {
        f"streams/v1/{content_id}.sjson" for content_id in (UBUNTU, BOOTLOADERS, CENTOS)
    }
    assert signed(sample_upstream, UBUNTU) == plain(sample_upstream, UBUNTU)
    base = sample_upstream.root / "streams/v1"
    with Verifier(
        sample_upstream.keyring.read_bytes(), [sample_upstream.fingerprint], name="test"
    ) as verifier:
        for name in ("index", UBUNTU, BOOTLOADERS, CENTOS):
            data = (base / f"{name}.json").read_bytes()
            signature = (base / f"{name}.json.gpg").read_bytes()
            verified = verifier.detached(data, signature)
            assert verified.fingerprint == sample_upstream.fingerprint


def test_a_sample_without_a_key_is_unsigned(unsigned):
    assert unsigned.fingerprint == ""
    names = {file.name for file in (unsigned.root / "streams/v1").iterdir()}
    assert names == {f"{name}.json" for name in ("index", UBUNTU, BOOTLOADERS, CENTOS)}


def test_a_publisher_may_stop_signing(sample_upstream):
    sample_upstream.key = None
    sample_upstream.write()
    names = [file.name for file in (sample_upstream.root / "streams/v1").iterdir()]
    assert not [name for name in names if not name.endswith(".json")]


def test_a_publisher_may_sign_with_another_key(sample_upstream, other_signing_key):
    keyring = sample_upstream.keyring.read_bytes()
    sample_upstream.key = other_signing_key
    sample_upstream.write()
    assert sample_upstream.keyring.read_bytes() != keyring
    assert sample_upstream.fingerprint == other_signing_key.fingerprint
    assert signed(sample_upstream) != {}


def climbing_path(document):
    first_version(document)["items"]["squashfs"]["path"] = "../../etc/passwd"


def missing_sha256(document):
    del first_version(document)["items"]["squashfs"]["sha256"]


def lying_size(document):
    first_version(document)["items"]["squashfs"]["size"] += 1


def one_path_twice(document):
    old, new = document["products"][GA]["versions"].values()
    new["items"]["squashfs"]["path"] = old["items"]["squashfs"]["path"]


def no_updated(document):
    del document["updated"]


def dated_long_ago(document):
    document["updated"] = "Thu, 01 Jan 1998 00:00:00 +0000"


def other_content_id(document):
    document["content_id"] = "somebody.else"


def products_are_a_list(document):
    document["products"] = [1, 2]


def nothing_at_all(document):
    document.clear()


def gigantic(document):
    document["padding"] = "x" * 3_000_000


def attributes_hoisted_and_aliased(document):
    document["_aliases"] = {"arch": {"amd64": {"label": "stable"}}}
    document["arch"] = document["products"][GA].pop("arch")


@pytest.mark.parametrize(
    "edit",
    [
        climbing_path,
        missing_sha256,
        lying_size,
        one_path_twice,
        no_updated,
        dated_long_ago,
        other_content_id,
        products_are_a_list,
        nothing_at_all,
        attributes_hoisted_and_aliased,
    ],
)
def test_any_edit_is_published_and_signed(sample_upstream, edit):
    honest = plain(sample_upstream, UBUNTU)
    expected = json.loads(json.dumps(honest))
    edit(expected)
    assert expected != honest
    sample_upstream.edit_products(edit)
    sample_upstream.write()
    assert plain(sample_upstream, UBUNTU) == signed(sample_upstream, UBUNTU) == expected


def test_an_edit_lasts_until_it_is_mended(unsigned):
    honest = plain(unsigned, UBUNTU)
    unsigned.edit_products(lying_size)
    for _ in range(2):
        unsigned.write()
        squashfs = first_version(plain(unsigned, UBUNTU))["items"]["squashfs"]
        assert squashfs["size"] == first_version(honest)["items"]["squashfs"]["size"] + 1
    unsigned.mend()
    unsigned.write()
    assert plain(unsigned, UBUNTU) == honest


def test_a_gigantic_file_can_be_published(unsigned):
    unsigned.edit_products(gigantic)
    unsigned.write()
    assert (unsigned.root / f"streams/v1/{UBUNTU}.json").stat().st_size > 3_000_000


def test_an_edit_alone_keeps_the_time(unsigned):
    before = plain(unsigned)
    unsigned.edit_products(lying_size)
    unsigned.write()
    assert plain(unsigned) == before


def test_the_index_can_be_edited_too(sample_upstream):
    def of_another_stream(index):
        index["index"][UBUNTU]["products"] = ["nothing:like:it"]
        index["index"][UBUNTU]["path"] = "../index.json"

    sample_upstream.edit_index(of_another_stream)
    sample_upstream.write()
    for index in (plain(sample_upstream), signed(sample_upstream)):
        assert index["index"][UBUNTU]["products"] == ["nothing:like:it"]
        assert index["index"][UBUNTU]["path"] == "../index.json"


def test_the_stream_can_go_back_in_time(sample_upstream):
    sample_upstream.set_updated(sample_upstream.updated - timedelta(days=30))
    sample_upstream.write()
    age = datetime.now(UTC) - parsedate_to_datetime(signed(sample_upstream)["updated"])
    assert age > timedelta(days=29)


def test_text_that_is_not_json_can_be_signed(sample_upstream):
    sample_upstream.publish("index", b"<html>Please log in</html>\n")
    data = (sample_upstream.root / "streams/v1/index.sjson").read_bytes()
    with Verifier(sample_upstream.keyring.read_bytes(), name="test") as verifier:
        assert verifier.clearsigned(data).plaintext == b"<html>Please log in</html>\n"


def test_no_half_written_file_is_left(sample_upstream):
    assert not list(sample_upstream.root.rglob(".*"))


def test_the_size_is_that_of_a_root_file_system(tmp_path):
    sample = SampleUpstream.create(tmp_path / "up", size=1 << 20, versions=1)
    squashfs = sample.files()["noble/amd64/20250615/squashfs"]
    assert 1 << 20 <= squashfs[1] < (1 << 20) + 8192
