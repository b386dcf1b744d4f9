"""Manifests: a publisher's text, of which nothing is believed."""

from __future__ import annotations

import pytest
from mirror_ubuntu.images import UbuntuImages
from mirror_ubuntu.manifest import (
    MAX_SIZE,
    kernels_in,
    manifest_text,
    parse_manifest,
    read_manifest,
)
from ubuntu_samples import image, version_of

from mirror.api import Package
from mirror.formats import FormatError

MANIFEST = """adduser\t3.137ubuntu1
libc6:amd64\t2.39-0ubuntu8.4
linux-image-6.8.0-64-generic\t6.8.0-64.67
linux-image-generic\t6.8.0-64.67
removed\t
snap:core22\tlatest/stable\t1748
zlib1g:amd64\t1:1.3.dfsg-3.1ubuntu2.1
"""


def test_packages():
    assert parse_manifest(MANIFEST) == (
        Package("adduser", "3.137ubuntu1"),
        Package("libc6:amd64", "2.39-0ubuntu8.4"),
        Package("linux-image-6.8.0-64-generic", "6.8.0-64.67"),
        Package("linux-image-generic", "6.8.0-64.67"),
        Package("snap:core22", "latest/stable 1748"),
        Package("zlib1g:amd64", "1:1.3.dfsg-3.1ubuntu2.1"),
    )


def test_spaces_empty_lines_and_line_ends_do_not_matter():
    expected = (Package("bash", "5.2-1"), Package("dash", "0.5-1"))
    assert parse_manifest("bash 5.2-1\r\n\n\t\n  dash   0.5-1") == expected


def test_a_package_twice_and_in_two_versions():
    twice = parse_manifest("a\t1\na\t2\na\t1\n")
    assert twice == (Package("a", "1"), Package("a", "2"))


def test_the_kernels_in_it():
    assert kernels_in(parse_manifest(MANIFEST)) == {"6.8.0-64-generic"}
    lines = "linux-image-unsigned-6.8.0-1-raspi:arm64\t1\nlinux-image-amd64\t2\nbash\t5\n"
    assert kernels_in(parse_manifest(lines)) == {"6.8.0-1-raspi"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"ok\t1\nbash\t5.2\x1b[31m", "characters in line 2"),
        ("ba\u202esh\t5.2".encode(), "characters in line 1"),
        (b"bash\t" + b"5" * 2000, "line 1 of more than 1000"),
        (b"a word too many here", "line 1"),
        (b"bash", "line 1"),
        (b'{"packages": ["bash"]}', "line 1"),
        (b"kernel-4.18.0-348.el8.x86_64", "line 1"),
        (b"removed\t\n", "lists no package"),
        (b"", "lists no package"),
        (b"\n".join(b"p%d\t1" % number for number in range(60_000)), "more than 50,000"),
    ],
)
def test_what_is_no_list_of_packages(data, said):
    with pytest.raises(FormatError, match=said) as caught:
        parse_manifest(data.decode())
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        ("bash\t5".encode("utf-16"), "is not UTF-8"),
        ("bash\t5".encode("utf-16-le"), "is not text"),
        (b"", "is empty"),
        (b"<html>", "is a web page"),
        (b"\xff" * 10, "is not UTF-8"),
    ],
)
def test_what_is_no_text(tmp_path, data, said):
    file = tmp_path / "blob"
    file.write_bytes(data)
    with pytest.raises(FormatError, match=said):
        manifest_text(file)


def test_a_file(tmp_path):
    file = tmp_path / "blob"
    file.write_text(MANIFEST)
    assert read_manifest(file) == parse_manifest(MANIFEST)
    ubuntu = UbuntuImages()
    found = ubuntu.packages(image(), version_of("manifest"), {"manifest": file})
    assert len(list(found)) == 6
    assert list(ubuntu.packages(image(), version_of("squashfs"), {"squashfs": file})) == []
    file.write_bytes(b"a\t1\n" * (MAX_SIZE // 4 + 1))
    with pytest.raises(FormatError, match="has more than 4,194,304 bytes"):
        read_manifest(file)
