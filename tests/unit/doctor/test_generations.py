from __future__ import annotations

import copy
import json

import pytest

from mirror.doctor.commands import base_url, commands
from mirror.doctor.generations import generations

BASE = "http://mirror:8080/images/stable/"
UPDATED = "Mon, 24 Nov 2025 08:00:00 +0000"
SHA = "a" * 64
SELECT = (
    "maas $PROFILE boot-source-selections create $ID os=ubuntu release=noble arches=amd64 "
    "subarches='*' labels='*'"
)
OLD, MIDDLE, NEW = "2.x to 3.4", "3.5 and 3.6", "3.7 and later"


def item(name, ftype="", **more):
    return {"ftype": ftype or name, "path": f"x/{name}", "sha256": SHA, "size": 1, **more}


def ubuntu(release="noble", arch="amd64", *, root="squashfs", versions=("20250101",), **more):
    names = ("boot-kernel", "boot-initrd", root, "manifest")
    return {
        "arch": arch,
        "kflavor": "generic",
        "krel": release,
        "label": "stable",
        "os": "ubuntu",
        "release": release,
        "release_codename": release,
        "release_title": f"Ubuntu {release}",
        "subarch": "ga-24.04",
        "subarches": "generic,ga-24.04",
        "support_eol": None,
        "version": "24.04",
        "versions": {v: {"items": {name: item(name) for name in names}} for v in versions},
        **more,
    }


def bootloader(kind, os, arch):
    source = {"src_package": "p", "src_release": "r", "src_version": "1"}
    items = {"grub2-signed": item("grub2-signed", "archive.tar.xz", **source)}
    return {
        "arch": arch,
        "arches": arch,
        "bootloader-type": kind,
        "label": "stable",
        "os": os,
        "versions": {"20250101.0": {"items": items}},
    }


UEFI = {"com.x:1:grub-efi-signed:uefi:amd64": bootloader("uefi", "grub-efi-signed", "amd64")}
PXE = {"com.x:1:pxelinux:pxe:i386": bootloader("pxe", "pxelinux", "i386")}


def stream(ubuntu_products, loaders=None, only_old=None):
    """Return the files of a stream; `only_old` are products that index-all alone leads to."""
    lists = {"ubuntu": ubuntu_products, "loaders": loaders or {}, "old": only_old or {}}
    lists = {name: products for name, products in lists.items() if products}
    files = {
        f"streams/v1/{name}.json": {
            "format": "products:1.0",
            "content_id": name,
            "datatype": "image-downloads",
            "updated": UPDATED,
            "products": products,
        }
        for name, products in lists.items()
    }

    def index(names):
        entries = {
            name: {
                "format": "products:1.0",
                "datatype": "image-downloads",
                "updated": UPDATED,
                "path": f"streams/v1/{name}.json",
                "products": list(lists[name]),
            }
            for name in names
        }
        return {"format": "index:1.0", "updated": UPDATED, "index": entries}

    files["streams/v1/index.json"] = index([name for name in lists if name != "old"])
    files["streams/v1/index-all.json"] = index(lists)
    return {path: json.dumps(copy.deepcopy(data)).encode() for path, data in files.items()}


def seen(files):
    return {each.maas: each for each in generations(files, BASE)}


def test_every_generation_offers_what_is_good():
    files = stream(
        {
            "com.x:v3:boot:24.04:amd64": ubuntu(versions=("20250101", "20250203")),
            "com.x:v3:boot:24.04:arm64": ubuntu(arch="arm64"),
        },
        UEFI | PXE,
    )
    for each in seen(files).values():
        [image] = each.offered
        assert (image.os, image.release, image.title) == ("ubuntu", "noble", "Ubuntu noble")
        assert image.versions == {"amd64": "20250203", "arm64": "20250101"}
        assert each.ignored == each.fails == ()
        assert each.url == BASE
        amd64, arm64 = each.arches
        assert amd64.commissioning == arm64.commissioning == ("noble",)
        assert amd64.missing_bootloaders == ()
        assert arm64.missing_bootloaders == ("uefi/grub-efi/arm64",)


def test_what_only_index_all_lists_is_for_older_maas():
    dd = {"com.x:win:amd64": ubuntu("2019", os="windows", root="squashfs")}
    dd["com.x:win:amd64"]["versions"]["20250101"]["items"] = {"root-dd": item("root-dd.gz")}
    views = seen(stream({"com.x:v3:boot:24.04:amd64": ubuntu()}, UEFI, dd))
    for maas in (OLD, MIDDLE):
        assert {(i.os, i.release) for i in views[maas].offered} >= {("windows", "2019")}
        assert views[maas].url == BASE + "streams/v1/index-all.sjson"
    assert {(i.os, i.release) for i in views[NEW].offered} == {("ubuntu", "noble")}
    assert [each.product for each in views[NEW].ignored] == ["com.x:win:amd64"]
    assert views[NEW].url == BASE


def test_one_bad_product_fails_a_new_maas_and_not_an_old_one():
    bad = ubuntu("jammy")
    del bad["versions"]["20250101"]["items"]["manifest"]
    files = stream({"com.x:v3:boot:24.04:amd64": ubuntu(), "com.x:v3:boot:22.04:amd64": bad})
    views = seen(files)
    assert any("manifest" in why for why in views[NEW].fails)
    assert views[NEW].offered == ()
    for maas in (OLD, MIDDLE):
        assert views[maas].fails == ()
        assert [i.release for i in views[maas].offered] == ["jammy", "noble"]


def test_a_product_that_is_named_oddly_is_ignored_with_the_reason():
    views = seen(
        stream({"com.x:v3:boot:24.04:amd64": ubuntu(), "com.x:daily:amd64": ubuntu("jammy")})
    )
    for each in views.values():
        [ignored] = each.ignored
        assert ignored.product == "com.x:daily:amd64"
        assert "named like" in ignored.why
        assert [i.release for i in each.offered] == ["noble"]


@pytest.mark.parametrize("kflavor", [None, "generic"])
def test_to_commission_takes_a_kernel_flavour(kflavor):
    product = ubuntu()
    if kflavor is None:
        del product["kflavor"]
    view = seen(stream({"com.x:v3:boot:24.04:amd64": product}))[OLD]
    assert [i.release for i in view.offered] == ["noble"]
    [amd64] = view.arches
    assert amd64.commissioning == (("noble",) if kflavor else ())


def test_the_greatest_version_is_what_counts():
    product = ubuntu(versions=("20250101", "20250102"))
    items = product["versions"]["20250102"]["items"]
    del items["boot-kernel"]
    view = seen(stream({"com.x:v3:boot:24.04:amd64": product}))[OLD]
    [amd64] = view.arches
    assert amd64.commissioning == ()


def test_an_architecture_without_bootloaders_in_streams_misses_none():
    view = seen(stream({"com.x:v3:boot:24.04:s390x": ubuntu(arch="s390x")}))[NEW]
    [s390x] = view.arches
    assert s390x.missing_bootloaders == ()


def test_the_commands_for_a_closed_mirror_over_tls():
    server = "https://mirror.example"
    files = stream({"com.x:v3:boot:24.04:amd64": ubuntu()}, UEFI)
    base = base_url(server + "/", "site-a", closed=True)
    assert base == "https://mirror.example/t/TOKEN/images/site-a/"
    lines = commands(generations(files, base)[2], server, closed=True)
    keyring = "/usr/share/keyrings/maas-image-mirror.gpg"
    commands_only = [line for line in lines if not line.startswith("#")]
    assert commands_only == [
        "mirror token create maas --role reader",
        f"sudo wget -O {keyring} https://mirror.example/keys/mirror.gpg",
        f"maas $PROFILE boot-sources create url={base} keyring_filename={keyring}",
        "maas $PROFILE boot-sources read",
        "maas $PROFILE boot-source delete $OLD_ID",
        SELECT,
        "maas $PROFILE boot-resources import",
        "maas $PROFILE maas set-config name=boot_images_no_proxy value=true",
    ]
    assert any("put mirror.example into its no_proxy" in line for line in lines)
    assert any("update-ca-certificates" in line for line in lines)
