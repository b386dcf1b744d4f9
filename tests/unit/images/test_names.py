"""MAAS's rules for names: what it refuses is refused here, with the rule and the way out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.images.declaration import Wanted, declared
from mirror.images.names import check_names, check_type, split_name, usual_licence
from mirror.model import Licence, Severity


def found(name: str, ftype: str = "root-tgz", provider: str = "", **more: str):
    declaration = declared(Wanted(name=name, **more), ftype)
    return [*check_names(declaration, provider), *check_type(declaration)]


def errors(name: str, ftype: str = "root-tgz", **more: str) -> dict[str, str]:
    return {
        each.code.removeprefix("image-"): each.message
        for each in found(name, ftype, **more)
        if each.severity is Severity.ERROR
    }


@pytest.mark.parametrize(
    ("name", "ftype"),
    [
        ("windows/win2022", "root-dd.gz"),
        ("windows/win2019dc-core", "root-dd.raw"),
        ("rhel/9", "root-tgz"),
        ("rhel/rhel9.4", "root-tgz"),
        ("rhel/8-custom", "root-tgz"),
        ("centos/centos9-stream", "root-tgz"),
        ("suse/sles15", "root-tgz"),
        ("suse/opensuse15.6-leap", "root-tgz"),
        ("ol/ol9.4", "root-tgz"),
        ("esxi/8.0.3", "root-dd.gz"),
        ("ubuntu-core/22", "root-dd.xz"),
        ("rocky-9", "root-tgz"),
        ("custom/debian-12", "root-txz"),
        ("custom/ubuntu-raw", "root-dd.gz"),
        ("custom/anything", "squashfs"),
    ],
)
def test_what_maas_takes(name: str, ftype: str):
    assert errors(name, ftype) == {}


@pytest.mark.parametrize(
    ("name", "code", "way_out"),
    [
        ("rocky/9", "os-unknown", "--name custom/rocky-9"),
        ("ubuntu/noble", "os-not-custom", "--name custom/ubuntu-noble"),
        ("bootloader/grub", "os-not-custom", "--name custom/"),
        ("onie/x", "os-not-custom", "--name custom/"),
        ("rhel/9/extra", "name-slashes", "Write -"),
        ("rhel/", "name-empty", "OS/RELEASE"),
        ("windows", "name-reserved", "--name custom/windows-custom"),
        ("custom/ubuntu", "name-reserved", "ubuntu-custom"),
        ("centos70", "name-reserved", "centos/centos70-custom"),
        ("suse/15sp5", "release-form", "sles15"),
        ("custom/-x", "name-characters", "letters"),
        ("custom/a b", "name-characters", "letters"),
        ("custom/é", "name-characters", "letters"),
        ("custom/a-name-of-21-letters-", "name-too-long", "shorter"),
    ],
)
def test_what_maas_refuses(name: str, code: str, way_out: str):
    assert way_out in errors(name)[code]


@pytest.mark.parametrize(
    ("name", "ftype", "rule"),
    [
        ("windows/win2022", "root-tgz", "disk images (dd) only"),
        ("esxi/8.0", "root-txz", "disk images (dd) only"),
        ("ubuntu-core/22", "squashfs", "disk images (dd) only"),
        ("rhel/9", "root-dd.gz", "root-tgz only"),
        ("centos/centos9", "root-txz", "root-tgz only"),
        ("suse/sles15", "root-tbz", "root-tgz only"),
        ("ol/ol9", "root-dd", "root-tgz only"),
    ],
)
def test_a_type_that_is_not_deployed(name: str, ftype: str, rule: str):
    message = errors(name, ftype)["type-not-deployed"]
    assert rule in message
    assert "Missing boot image" in message


def test_what_a_boot_source_provides_is_taken():
    assert "boot source 'maas'" in errors("centos/centos8", provider="maas")["name-taken"]


@pytest.mark.parametrize("base", ["jammy", "debian/bookworm", "ubuntu/", "ubuntu/a/b"])
def test_a_base_image_that_maas_does_not_take(base: str):
    assert "ubuntu/jammy" in errors("rocky-9", base_image=base)["base-image"]


def test_a_base_image_is_for_custom_images_only():
    assert errors("rocky-9", base_image="rhel/9") == {}
    assert "only images of custom" in errors("rhel/9", base_image="rhel/9")["base-image"]


@pytest.mark.parametrize(
    ("arch", "hint"), [("x86_64", "write amd64"), ("aarch64/generic", "write arm64"), ("vax", "")]
)
def test_an_architecture_that_maas_does_not_know(arch: str, hint: str):
    assert hint in errors("rocky-9", arch=arch)["arch-unknown"]


def test_an_unusual_architecture_is_a_warning():
    [warning] = found("rocky-9", arch="arm64/xgene-uboot")
    assert (warning.severity, warning.code) == (Severity.WARNING, "image-arch-unusual")


def test_a_release_without_a_title_of_maas_is_a_note_unless_one_is_given():
    [note] = found("rhel/9")
    assert (note.severity, note.code) == (Severity.NOTE, "image-release-form")
    assert found("rhel/9", title="RHEL 9") == []


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("windows/win2022", Licence.PROPRIETARY),
        ("esxi/8.0", Licence.PROPRIETARY),
        ("rhel/9", Licence.SUBSCRIPTION),
        ("suse/sles15", Licence.SUBSCRIPTION),
        ("suse/opensuse15", Licence.FREE),
        ("ol/ol9", Licence.SUBSCRIPTION),
        ("centos/centos9", Licence.FREE),
        ("rocky-9", Licence.FREE),
    ],
)
def test_the_usual_licence(name: str, licence: Licence):
    assert usual_licence(*split_name(name)) is licence
    assert declared(Wanted(name=name, licence=Licence.FREE)).licence is Licence.FREE


@given(st.text(max_size=60), st.text(max_size=40), st.text(max_size=40))
def test_any_words_are_judged(name: str, arch: str, base: str):
    for each in found(name, arch=arch, base_image=base):
        assert each.message
        assert each.code.startswith("image-")
