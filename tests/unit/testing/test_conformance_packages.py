"""What the suite takes for a package: as dpkg, rpm and snap write them."""

from __future__ import annotations

import pytest

from mirror.api import Package
from mirror.testing.conformance.making import is_package


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("libc6:amd64", "2.39-0ubuntu8.4"),
        ("zlib1g", "1:1.3.dfsg-3.1ubuntu2.1"),
        ("glibc.i686", "2.28-164.el8"),
        ("snap:core22", "latest/stable 1748"),
    ],
)
def test_a_package(name, version):
    assert is_package(Package(name, version))


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("", "1"),
        ("bash", ""),
        ("ba sh", "1"),
        (" bash", "1"),
        ("bash", " 1"),
        ("bash", "1 "),
        ("bash", "latest/stable  1748"),
        ("bash", " "),
        ("bash", "1\t2"),
        ("bash", "1\x1b"),
        ("bash", 1),
        (None, "1"),
    ],
)
def test_no_package(name, version):
    assert not is_package(Package(name, version))
