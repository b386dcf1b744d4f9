from __future__ import annotations

import msgspec
import pytest
from stream_builders import item, product, raw_file, read, read_real

from mirror.model import Kind, Version
from mirror.simplestreams.kinds import kind_of, misfits


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("ubuntu", Kind.MULTI_FILE),
        ("centos", Kind.SINGLE_FILE),
        ("bootloaders", Kind.BOOTLOADER),
    ],
)
def test_the_real_products(file, kind):
    assert {kind_of(p) for p in read_real(file).products} == {kind}


def changed(product, **attributes):
    kept = {**product.attributes, **attributes}
    return msgspec.structs.replace(
        product, attributes={key: value for key, value in kept.items() if value is not ...}
    )


def with_items(product, *items):
    return msgspec.structs.replace(product, versions=(Version("1", items),))


UBUNTU = read(raw_file()).products[0]
CENTOS = read_real("centos").products[0]
GRUB = read_real("bootloaders").products[0]


@pytest.mark.parametrize("key", ["kflavor", "krel", "release_codename", "support_eol"])
def test_what_the_writer_fills_in_may_lack(key):
    assert kind_of(changed(UBUNTU, **{key: ...})) is Kind.MULTI_FILE


@pytest.mark.parametrize(
    ("product", "key"),
    [
        *((UBUNTU, key) for key in ("arch", "label", "os", "release", "release_title", "subarch")),
        *((CENTOS, key) for key in ("subarches", "version", "label")),
        *((GRUB, key) for key in ("arches", "bootloader-type", "arch", "label", "os")),
    ],
)
def test_an_attribute_that_maas_needs_makes_the_kind(product, key):
    kind = kind_of(product)
    assert kind_of(changed(product, **{key: ...})) is Kind.OTHER
    assert kind_of(changed(product, **{key: 8})) is Kind.OTHER
    assert misfits(changed(product, **{key: ...}), kind) == [f"the product has no {key}"]


@pytest.mark.parametrize("name", ["boot-initrd", "boot-kernel", "manifest", "squashfs"])
def test_a_multi_file_product_needs_each_of_its_items(name):
    items = [i for i in UBUNTU.versions[0].items if i.name != name]
    lame = with_items(UBUNTU, *items)
    assert kind_of(lame) is Kind.OTHER
    assert name in misfits(lame, Kind.MULTI_FILE)[0]


def test_root_image_gz_does_for_a_squashfs():
    kept = [i for i in UBUNTU.versions[0].items if i.name != "squashfs"]
    assert kind_of(with_items(UBUNTU, *kept, item("r/root-image.gz"))) is Kind.MULTI_FILE


def test_dd_images_and_bare_tarballs_are_other():
    assert kind_of(with_items(CENTOS, item("a/root-dd.gz"), item("a/manifest"))) is Kind.OTHER
    assert kind_of(with_items(CENTOS, item("a/root-tgz"))) is Kind.OTHER
    trick = msgspec.structs.replace(item("a/root-dd.gz"), name="root-tgz")
    assert kind_of(with_items(CENTOS, trick, item("a/manifest"))) is Kind.SINGLE_FILE


def test_one_bad_version_spoils_the_product():
    bad = Version("2", (item("b/root-tgz"),))
    product = msgspec.structs.replace(CENTOS, versions=(*CENTOS.versions, bad))
    assert kind_of(product) is Kind.OTHER
    assert misfits(product, Kind.SINGLE_FILE) == ["version 2 has no item manifest"]


def test_versions_without_items_do_not_count():
    with_empty = msgspec.structs.replace(CENTOS, versions=(*CENTOS.versions, Version("2", ())))
    assert kind_of(with_empty) is Kind.SINGLE_FILE
    empty = msgspec.structs.replace(CENTOS, versions=())
    assert kind_of(empty) is Kind.OTHER
    assert misfits(empty, Kind.SINGLE_FILE) == ["the product has no version"]


def test_maas_keeps_files_apart_by_their_file_name():
    assert kind_of(with_items(CENTOS, item("a/root-tgz"), item("b/manifest"))) is Kind.SINGLE_FILE
    clash = with_items(CENTOS, item("a/root-tgz"), item("b/root-tgz", name="manifest"))
    assert kind_of(clash) is Kind.OTHER


@pytest.mark.parametrize("key", ["src_package", "src_release", "src_version"])
def test_a_bootloader_names_its_source_package(key):
    grub = GRUB.versions[0].items[0]
    lame = {k: v for k, v in grub.attributes.items() if k != key}
    lame_item = msgspec.structs.replace(grub, attributes=lame)
    assert kind_of(with_items(GRUB, lame_item)) is Kind.OTHER
    assert kind_of(with_items(GRUB, grub, item("x/readme"))) is Kind.BOOTLOADER
    assert kind_of(with_items(GRUB, item("x/readme"))) is Kind.OTHER


@pytest.mark.parametrize(
    "broken",
    [
        changed(UBUNTU, os="u" * 21),
        changed(UBUNTU, release="r" * 21),
        with_items(UBUNTU, *UBUNTU.versions[0].items, item("x/version_name")),
        with_items(
            UBUNTU,
            *UBUNTU.versions[0].items[:3],
            msgspec.structs.replace(UBUNTU.versions[0].items[3], ftype="squashfs.img"),
        ),
        with_items(
            UBUNTU,
            *UBUNTU.versions[0].items[:3],
            msgspec.structs.replace(UBUNTU.versions[0].items[3], attributes={"kpackage": 5}),
        ),
    ],
)
def test_traps_that_fail_the_whole_source_are_other(broken):
    assert kind_of(broken) is Kind.OTHER


def test_a_product_that_fits_two_kinds_is_the_one_that_maas_tries_last():
    both = with_items(UBUNTU, *UBUNTU.versions[0].items, item("x/root-tgz"))
    assert kind_of(both) is Kind.SINGLE_FILE
    assert kind_of(product("x", *UBUNTU.versions)) is Kind.MULTI_FILE


def test_what_maas_would_read_as_a_kind_but_can_not_keep_is_no_other_kind_either():
    odd = msgspec.structs.replace(item("x/root-tgz"), ftype="odd")
    assert kind_of(with_items(UBUNTU, *UBUNTU.versions[0].items, odd)) is Kind.OTHER
