"""A disk with patches over it reads as bytes do that were written over."""

from __future__ import annotations

import os

import pytest
from file_disk import FileDisk
from hypothesis import given, settings
from hypothesis import strategies as st
from mirror_custom_images.building.overlay import Overlay

from mirror.formats import FormatError

CONTENT = b"".join(
    bytes(4096) if number in {1, 2, 5, 9} else bytes([number + 1]) * 4096 for number in range(12)
)


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    file = tmp_path_factory.mktemp("disk") / "disk"
    with file.open("wb") as out:
        for at in range(0, len(CONTENT), 4096):
            if any(CONTENT[at : at + 4096]):
                out.seek(at)
                out.write(CONTENT[at : at + 4096])
        os.truncate(file, len(CONTENT))
    with FileDisk(file) as opened:
        yield opened


patches = st.lists(
    st.tuples(st.integers(0, 70_000), st.binary(min_size=1, max_size=9000)), max_size=4
)


def expected(size, over):
    content = bytearray(CONTENT[:size].ljust(size, b"\0"))
    for at, data in sorted(over):
        room = max(0, size - at)
        content[at : at + len(data[:room])] = data[:room]
    return bytes(content)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 80_000), patches, st.integers(0, 80_000), st.integers(0, 80_000))
def test_reads_and_extents(disk, size, over, first, second):
    overlay, content = Overlay(disk, size, over), expected(size, over)
    start, end = sorted((min(first, size), min(second, size)))
    assert overlay.size == size
    assert overlay.read(start, end - start) == content[start:end]
    here, told = start, bytearray(end - start)
    for begin, finish in overlay.extents(start, end):
        assert here <= begin < finish <= end
        here = finish
        told[begin - start : finish - start] = content[begin:finish]
    assert bytes(told) == content[start:end]  # what no extent covers is zeros


def test_holes_stay_holes(disk):
    overlay = Overlay(disk, 10**12, [(10**11, b"x")])
    assert list(overlay.extents(len(CONTENT), 10**12)) == [(10**11, 10**11 + 1)]


@pytest.mark.parametrize(("at", "size"), [(-1, 1), (0, 101), (100, 1), (5, -1)])
def test_nothing_is_read_beyond_the_end(disk, at, size):
    with pytest.raises(FormatError, match="beyond its end"):
        Overlay(disk, 100).read(at, size)
