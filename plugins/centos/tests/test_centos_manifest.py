from __future__ import annotations

import pytest
from mirror_centos.images import CentosImages
from mirror_centos.manifest import read_manifest
from mirror_centos.settings import CentosSettings

from mirror.api import Package, Product, Version
from mirror.formats import FormatError


@pytest.fixture
def manifest(tmp_path):
    def write(data: bytes):
        file = tmp_path / "manifest"
        file.write_bytes(data)
        return file

    return write


def test_what_rpm_lists(manifest):
    lines = b"""kernel-4.18.0-348.el8.x86_64
kernel-4.18.0-240.el8.x86_64
glibc-common-2.28-164.el8.x86_64
glibc-2.28-164.el8.i686
tzdata-2021e-1.el8.noarch

gpg-pubkey-8483c65d-5ccc5b19\r
"""
    assert read_manifest(manifest(lines)) == [
        Package("kernel.x86_64", "4.18.0-348.el8"),
        Package("kernel.x86_64", "4.18.0-240.el8"),
        Package("glibc-common.x86_64", "2.28-164.el8"),
        Package("glibc.i686", "2.28-164.el8"),
        Package("tzdata.noarch", "2021e-1.el8"),
        Package("gpg-pubkey", "8483c65d-5ccc5b19"),
    ]


def test_a_name_and_a_version_with_space_between(manifest):
    assert read_manifest(manifest(b"bash\t5.2-1\n  dash   0.5-1")) == [
        Package("bash", "5.2-1"),
        Package("dash", "0.5-1"),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"<html>", "is a web page"),
        (b"b\0-1-1", "is not text"),
        (b"\n \n", "lists no package"),
        (b"\xff\xfeb\0", "is not UTF-8 text"),
        (b"bash-5.2-1.x86_64\nthis is no package\n", "a line 2 that is no package: 'this is no"),
        (b"bash\n", "a line 1 that is no package: 'bash'"),
        (b"-1-1\n", "a line 1 that is no package"),
        (b"a" * 1001 + b"-1-1\n", "a line 1 that is too long, or no text"),
        (b"bash\x1b[31m-1-1\n", "a line 1 that is too long, or no text"),
        (b"a-1-1\n" * 50_001, "lists more than 50,000 packages"),
        (b"\n" * (4 << 20) + b"a", "has more than 4,194,304 bytes"),
    ],
)
def test_what_is_no_manifest(manifest, data, said):
    with pytest.raises(FormatError, match=said):
        read_manifest(manifest(data))


def test_what_the_plugin_lists(manifest):
    images, product = CentosImages(CentosSettings()), Product("p", "c", {}, ())
    files = {"manifest": manifest(b"bash-5.2-1.el8.x86_64\n")}
    listed = images.packages(product, Version("1", ()), files)
    assert list(listed) == [Package("bash.x86_64", "5.2-1.el8")]
    assert list(images.packages(product, Version("1", ()), {})) == []
