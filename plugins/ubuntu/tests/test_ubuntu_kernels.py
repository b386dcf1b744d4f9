"""The names of kernels."""

from __future__ import annotations

import pytest
from mirror_ubuntu.kernels import (
    agree,
    kernel_of,
    maas_name,
    numbers,
    package_flavour,
    package_version,
    version_flavour,
)


@pytest.mark.parametrize(
    ("subarch", "kflavor", "kernel"),
    [
        ("ga-24.04", "generic", ("ga", "24.04", False, "generic")),
        ("hwe-24.04", "lowlatency", ("hwe", "24.04", False, "lowlatency")),
        ("hwe-24.04-edge", "generic", ("hwe", "24.04", True, "generic")),
        ("hwe-24.04-generic-64k-edge", "generic", ("hwe", "24.04", True, "generic-64k")),
        ("ga-20.04-lowlatency", "lowlatency", ("ga", "20.04", False, "lowlatency")),
        ("hwe-rolling-edge", "generic", ("hwe", "rolling", True, "generic")),
        ("hwe-w", "generic", ("hwe", "15.10", False, "generic")),
        ("hwe-z", "generic", ("hwe", "z", False, "generic")),
        ("generic", "generic", ("", "", False, "generic")),
        ("keystone", "keystone", ("", "", False, "keystone")),
        ("xgene-uboot", "", ("", "", False, "xgene-uboot")),
        ("", "", ("", "", False, "generic")),
    ],
)
def test_the_kernel_of_a_product(subarch, kflavor, kernel):
    assert kernel_of(subarch, kflavor) == kernel


@pytest.mark.parametrize(
    ("subarch", "kflavor", "name"),
    [
        ("ga-22.04", "generic", "ga-22.04"),
        ("ga-22.04", "", "ga-22.04"),
        ("hwe-22.04", "lowlatency", "hwe-22.04-lowlatency"),
        ("hwe-22.04-edge", "lowlatency", "hwe-22.04-lowlatency-edge"),
        ("xgene-uboot", "xgene-uboot", "xgene-uboot"),
        ("generic", "raspi", "generic"),
    ],
)
def test_the_name_that_maas_gives_it(subarch, kflavor, name):
    assert maas_name(subarch, kflavor) == name


@pytest.mark.parametrize(
    ("package", "flavour"),
    [
        ("linux-generic", "generic"),
        ("linux-image-generic", "generic"),
        ("linux-generic-hwe-24.04", "generic"),
        ("linux-generic-hwe-22.04-edge", "generic"),
        ("linux-signed-generic-hwe-16.04", "generic"),
        ("linux-signed-image-generic-lts-xenial", "generic"),
        ("linux-image-generic-lts-utopic", "generic"),
        ("linux-generic-64k-hwe-24.04", "generic-64k"),
        ("linux-generic-lpae-hwe-16.04-edge", "generic-lpae"),
        ("linux-lowlatency-hwe-22.04", "lowlatency"),
        ("linux-generic-6.8", "generic"),
        ("linux-oem-24.04b", "oem"),
        ("linux-nvidia-64k-hwe-22.04", "nvidia-64k"),
        ("linux-raspi2-hwe-18.04", "raspi2"),
        ("linux-image-cloud-amd64", "cloud-amd64"),
        ("linux-image-686-pae", "686-pae"),
        ("linux-image-6.8.0-64-generic", "generic"),
        ("linux-image-unsigned-6.8.0-64-generic-64k", "generic-64k"),
        ("kernel-core", ""),
        ("", ""),
    ],
)
def test_the_flavour_of_a_package(package, flavour):
    assert package_flavour(package) == flavour


def test_the_package_of_one_kernel():
    assert package_version("linux-image-6.8.0-64-generic") == "6.8.0-64-generic"
    assert package_version("linux-image-unsigned-5.4.0-1-raspi") == "5.4.0-1-raspi"
    assert package_version("linux-generic-6.8") == ""
    assert package_version("linux-image-generic") == ""


@pytest.mark.parametrize(
    ("version", "flavour"),
    [
        ("6.8.0-64-generic", "generic"),
        ("6.8.0-64-generic-64k", "generic-64k"),
        ("6.8.0-1001-raspi", "raspi"),
        ("3.13.0-24-generic-lpae", "generic-lpae"),
        ("6.1.0-50-cloud-amd64", "cloud-amd64"),
        ("6.1.0-0.deb11.7-amd64", "amd64"),
        ("6.12.30+deb13-amd64", "amd64"),
        ("3.2.0-4-686-pae", "686-pae"),
        ("4.18.0-348.el8.x86_64", ""),
        ("6.8.0", ""),
        ("", ""),
    ],
)
def test_the_flavour_of_a_version(version, flavour):
    assert version_flavour(version) == flavour


def test_what_a_package_may_bring():
    assert agree("generic", "generic") is True
    assert agree("virtual", "generic") is True
    assert agree("", "generic") is True
    assert agree("generic", "") is True
    assert agree("generic", "virtual") is False
    assert agree("generic", "generic-64k") is False
    assert agree("cloud-amd64", "amd64") is False
    assert agree("strange", "generic") is None


def test_numbers_of_a_version():
    assert numbers("6.14.0-24-generic") == (6, 14)
    assert numbers("") is None
