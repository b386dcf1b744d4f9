"""Databases of packages with bytes changed are read or refused, and nothing else, in time."""

from __future__ import annotations

import io
import tempfile
from contextlib import suppress
from pathlib import Path

import package_builder as build
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirror_custom_images.packages.dpkg import dpkg_packages
from mirror_custom_images.packages.rpm import package_of, packages_of
from mirror_custom_images.packages.rpm_databases import rpm_headers
from reader_fuzz import EXAMPLES, flip

from mirror.formats import FormatError

HEADERS = [build.header(f"p{number}", epoch=1, size=number * 300) for number in range(30)]


def read(data: bytes) -> None:
    with suppress(FormatError):
        for package in packages_of(rpm_headers(io.BytesIO(data))):
            assert package.name
            assert (package.name + package.version).isprintable()


@pytest.fixture(scope="module")
def databases() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        return {
            "sqlite": build.sqlite(where / "db", HEADERS),
            "berkeley": build.berkeley(where / "Packages", HEADERS, page=512),
            "ndb": build.ndb(HEADERS),
        }


@pytest.mark.parametrize("form", ["sqlite", "berkeley", "ndb"])
@EXAMPLES
@given(data=st.data())
def test_a_database_with_bytes_changed(databases, form, data):
    whole = databases[form]
    # The start, where the structure is, as often as all the rest.
    read(flip(data, whole, [range(512), range(len(whole))]))


@pytest.mark.parametrize("form", ["sqlite", "berkeley", "ndb"])
@EXAMPLES
@given(data=st.data())
def test_a_database_that_is_cut(databases, form, data):
    whole = databases[form]
    read(whole[: data.draw(st.integers(0, len(whole)))])


@EXAMPLES
@given(data=st.data())
def test_a_header_with_bytes_changed(data):
    header = flip(data, HEADERS[3], [range(8), range(100), range(len(HEADERS[3]))])
    with suppress(FormatError):
        assert package_of(header) is not None


@EXAMPLES
@given(st.binary(max_size=400))
def test_a_header_of_anything(header):
    with pytest.raises(FormatError):
        package_of(header)


@EXAMPLES
@given(
    st.lists(
        st.sampled_from(
            [
                b"Package: ",
                b"Status: install ok installed\n",
                b"\n",
                b"a",
                b"\xff",
                b"Version: 1\n",
                b":",
                b"\0",
            ]
        )
    )
)
def test_a_status_of_anything(parts):
    with suppress(FormatError):
        list(dpkg_packages(io.BytesIO(b"".join(parts))))
