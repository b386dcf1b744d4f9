"""Which products are Ubuntu's, what they are called, what is taken of them, and where it goes."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from mirror_ubuntu.images import UbuntuImages
from mirror_ubuntu.settings import UbuntuSettings
from ubuntu_samples import image, loader, version_of

from mirror.api import Product

UBUNTU = UbuntuImages()
EVERYTHING = ("boot-initrd", "boot-kernel", "manifest", "root-image.gz", "squashfs")


@pytest.mark.parametrize(
    "name",
    [
        "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04",
        "com.ubuntu.maas.daily:v2:boot:14.04:amd64:hwe-t",
        "com.ubuntu.maas.candidate:v3+platform:boot:24.04:arm64:ga-24.04",
    ],
)
def test_images_of_every_stream(name):
    assert UBUNTU.claims(Product(name, "c", image().attributes, ()))


@pytest.mark.parametrize(
    "product",
    [
        loader("grub-efi-signed", "uefi", "amd64"),
        # a cloud image
        Product(
            "com.ubuntu.cloud:server:24.04:amd64",
            "c",
            {"os": "ubuntu", "release": "noble", "arch": "amd64"},
            (),
        ),
        Product("com.ubuntu.cloud:server:24.04:amd64", "c", image().attributes, ()),
        # Ubuntu Core
        Product("com.ubuntu.maas:v4:boot:16:amd64", "c", {"os": "ubuntu-core"}, ()),
        Product("com.ubuntu.maas:v4:boot:16:amd64", "c", image().attributes, ()),
        image(os="centos"),
        image(subarch=""),
        image(subarch=None),
        image(os=None),
    ],
)
def test_what_is_not_an_image_that_maas_boots(product):
    assert not UBUNTU.claims(product)


@pytest.mark.parametrize(
    ("attributes", "title"),
    [
        ({}, "Ubuntu 24.04 LTS (noble), amd64, GA kernel"),
        (
            {"arch": "arm64", "subarch": "hwe-24.04", "kflavor": "generic-64k"},
            "Ubuntu 24.04 LTS (noble), arm64, HWE kernel, 64K pages",
        ),
        (
            {"subarch": "hwe-24.04-edge", "kflavor": "lowlatency"},
            "Ubuntu 24.04 LTS (noble), amd64, edge HWE kernel, low latency",
        ),
        ({"subarch": "hwe-rolling"}, "Ubuntu 24.04 LTS (noble), amd64, rolling HWE kernel"),
        ({"subarch": "ga-22.04"}, "Ubuntu 24.04 LTS (noble), amd64, GA kernel of 22.04"),
        ({"kflavor": None}, "Ubuntu 24.04 LTS (noble), amd64, GA kernel"),
        ({"subarch": "xgene-uboot"}, "Ubuntu 24.04 LTS (noble), amd64, X-Gene kernel"),
        ({"subarch": "generic"}, "Ubuntu 24.04 LTS (noble), amd64, generic kernel"),
        (
            {"release": "trusty", "version": "14.04", "release_title": None, "subarch": "hwe-t"},
            "Ubuntu 14.04 (trusty), amd64, HWE kernel",
        ),
        (
            {"release": "trusty", "version": "14.04", "release_title": "", "subarch": "hwe-u"},
            "Ubuntu 14.04 (trusty), amd64, HWE kernel of 14.10",
        ),
        (
            {"release": "\x1b[2J", "arch": "x" * 5000},
            f"Ubuntu 24.04 LTS (\\x1b[2J), {'x' * 27}..., GA kernel",
        ),
    ],
)
def test_the_description_of_a_product(attributes, title):
    assert UBUNTU.describe(image(**attributes)) == title


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (EVERYTHING, ["boot-initrd", "boot-kernel", "manifest", "squashfs"]),
        (EVERYTHING[:-1], ["boot-initrd", "boot-kernel", "manifest", "root-image.gz"]),
        (
            (*EVERYTHING, "boot-dtb", "di-kernel"),
            ["boot-initrd", "boot-kernel", "manifest", "boot-dtb", "squashfs"],
        ),
        (EVERYTHING[:3], []),
        (EVERYTHING[1:], []),
        (("boot-initrd", "manifest", "squashfs"), []),
        (("boot-initrd", "boot-kernel", "squashfs"), []),
        ((), []),
    ],
)
def test_what_is_taken_of_a_version(offered, chosen):
    taken = UBUNTU.choose_items(image(), version_of(*offered))
    assert [item.name for item in taken] == chosen


def places(product, version):
    return {each.path: each.item for each in UBUNTU.lay_out(product, version)}


def test_the_first_kernel_of_a_release_is_also_the_generic_one():
    assert places(image(), version_of("boot-initrd", "boot-kernel", "manifest", "squashfs")) == {
        "ubuntu/amd64/ga-24.04/noble/stable/boot-initrd": "boot-initrd",
        "ubuntu/amd64/ga-24.04/noble/stable/boot-kernel": "boot-kernel",
        "ubuntu/amd64/ga-24.04/noble/stable/squashfs": "squashfs",
        "ubuntu/amd64/generic/noble/stable/boot-initrd": "boot-initrd",
        "ubuntu/amd64/generic/noble/stable/boot-kernel": "boot-kernel",
        "ubuntu/amd64/generic/noble/stable/squashfs": "squashfs",
    }


@pytest.mark.parametrize(
    ("attributes", "folders"),
    [
        ({"subarch": "hwe-24.04"}, {"hwe-24.04"}),
        ({"subarch": "hwe-24.04-edge"}, {"hwe-24.04-edge"}),
        ({"kflavor": "lowlatency"}, {"ga-24.04-lowlatency"}),
        (
            {"subarch": "hwe-24.04-edge", "kflavor": "generic-64k"},
            {"hwe-24.04-generic-64k-edge"},
        ),
        ({"kflavor": None}, {"ga-24.04", "generic"}),
        ({"release": "trusty", "subarch": "hwe-t"}, {"hwe-t", "generic"}),
        ({"release": "trusty", "subarch": "hwe-u"}, {"hwe-u"}),
        ({"subarch": "generic"}, {"generic"}),
        ({"subarch": "xgene-uboot", "kflavor": "xgene-uboot"}, {"xgene-uboot"}),
    ],
)
def test_the_folders_of_a_kernel(attributes, folders):
    placed = places(image(**attributes), version_of("boot-kernel"))
    assert {path.split("/")[2] for path in placed} == folders


@pytest.mark.parametrize("key", ["arch", "label", "os", "release", "subarch"])
@pytest.mark.parametrize("value", ["../..", "", "/etc", "a/b", "a\nb", None, 7, "x" * 5000])
def test_a_stream_can_not_say_where_a_rack_writes(key, value):
    assert places(image(**{key: value}), version_of("boot-kernel")) == {}


def test_two_files_of_one_name_are_placed_once():
    version = version_of("boot-kernel", "boot-initrd")
    same = [
        item.__class__(item.name, item.ftype, "a/boot", item.sha256, 1) for item in version.items
    ]
    placed = list(UBUNTU.lay_out(image(), version.__class__("1", tuple(same))))
    assert len(placed) == len({each.path for each in placed}) == 2


def said(today, *, days=90, **attributes):
    ubuntu = UbuntuImages(UbuntuSettings(warn_days=days))
    found = list(ubuntu.notices(image(**attributes), date.fromisoformat(today)))
    assert {each.severity for each in found} <= {"warning"}
    assert {each.where for each in found} <= {""}
    return [f"{each.code}: {each.message}" for each in found]


def test_support_that_lasts():
    assert said("2026-11-24") == []
    assert said("2029-03-01") == []


def test_support_that_ends_soon():
    ends = "standard support ends on 2029-05-31; ESM until 2034-04-25 needs Ubuntu Pro"
    for day in ("2029-03-02", "2029-05-31"):
        assert said(day) == [f"ubuntu-support-ends: {ends}"]
    assert said("2029-05-31", days=0) != []
    assert said("2029-05-30", days=0) == []
    assert said("2028-06-01", days=365) != []


def test_standard_support_that_has_ended():
    ended = "standard support ended on 2029-05-31; ESM until 2034-04-25 needs Ubuntu Pro"
    assert said("2029-06-01") == [f"ubuntu-support-ended: {ended}"]
    assert said("2034-04-25") == [
        f"ubuntu-support-ended: {ended}",
        "ubuntu-support-ends: ESM ends on 2034-04-25",
    ]


def test_esm_that_has_ended():
    ended = "standard support ended on 2029-05-31; ESM ended on 2034-04-25"
    assert said("2034-04-26") == [f"ubuntu-support-ended: {ended}"]


def test_a_release_without_esm():
    plucky = {"support_eol": "2026-01-15", "support_esm_eol": None}
    assert said("2026-01-10", **plucky) == ["ubuntu-support-ends: support ends on 2026-01-15"]
    assert said("2026-01-16", **plucky) == ["ubuntu-support-ended: support ended on 2026-01-15"]
    assert said("2026-01-16", support_eol="2026-01-15", support_esm_eol="2026-01-15") == [
        "ubuntu-support-ended: support ended on 2026-01-15"
    ]


@pytest.mark.parametrize("value", [None, "", "soon", "2029-02-30", "20290531", 2029, "2029-5-31"])
def test_a_date_that_is_none(value):
    assert said("2040-01-01", support_eol=value) == []


def test_the_first_and_the_last_day_of_the_calendar():
    assert UBUNTU.notices is not None
    for day in (date.min, date.max - timedelta(days=1), date.max):
        assert len(list(UBUNTU.notices(image(), day))) == (day != date.min)
