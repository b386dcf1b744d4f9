"""Tables of any bytes: read in bounded time, or refused; nothing else gets out."""

from __future__ import annotations

import os
import struct
from zlib import crc32

import pytest
from disk_builder import ESP, MIB, Slice, gpt, mbr
from file_disk import FileDisk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mirror_custom_images.disks.gpt import moved, shrunk
from mirror_custom_images.disks.partitions import read_partitions

EXAMPLES = int(os.environ.get("MIRROR_FUZZ_EXAMPLES", "60"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

ODD = st.sampled_from([0, 1, 2, 33, 34, 127, 2047, 2048, 2**31, 2**32 - 1, 2**63, 2**64 - 1])
CHANGES = st.lists(
    st.tuples(st.integers(0, 40 * 512), st.binary(min_size=1, max_size=9)), max_size=12
)


@pytest.fixture(scope="module")
def of_gpt(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("fuzz")
    return gpt(folder / "gpt", [Slice(kind=ESP), Slice(size=MIB)]).read_bytes()


@pytest.fixture(scope="module")
def of_mbr(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("fuzz")
    slices = [Slice(kind="83"), *[Slice(kind="83", extended=True)] * 3]
    return mbr(folder / "mbr", slices).read_bytes()


def look(content: bytes) -> None:
    with FileDisk(content) as disk:
        table = read_partitions(disk)
        assert len(table.partitions) <= 128
        assert len(table.problems) < 500
        wrong = {each.where for each in table.problems}
        for each in table.partitions:
            on_disk = 0 < each.start < each.end <= disk.size
            assert on_disk or f"partition {each.number}" in wrong
        if table.gpt is not None and shrunk(table.gpt) < 64 * MIB:
            size = shrunk(table.gpt)
            assert all(0 <= at <= size - len(data) for at, data in patches(table, size))


def patches(table, size):
    from mirror.formats import FormatError

    try:
        return moved(table.gpt, size, bytes(510) + b"\x55\xaa")
    except FormatError:
        return []


@FUZZ
@given(changes=CHANGES)
def test_a_gpt_with_bytes_changed(of_gpt, changes):
    content = bytearray(of_gpt)
    for at, data in changes:
        content[at : at + len(data)] = data
    look(bytes(content[: len(of_gpt)]))


@FUZZ
@given(fields=st.lists(st.tuples(st.sampled_from([24, 32, 40, 48, 72]), ODD), max_size=3),
       count=ODD.map(lambda value: value & 0xFFFFFFFF),
       entry=st.tuples(ODD, ODD))  # fmt: skip
def test_a_gpt_that_lies_with_checksums_that_are_right(of_gpt, fields, count, entry):
    content = bytearray(of_gpt)
    struct.pack_into("<QQ", content, 1024 + 32, *entry)
    for at, value in fields:
        struct.pack_into("<Q", content, 512 + at, value)
    struct.pack_into("<I", content, 512 + 80, count)
    (entries_at,) = struct.unpack_from("<Q", content, 512 + 72)
    entries = content[entries_at * 512 : entries_at * 512 + min(count * 128, len(content))]
    struct.pack_into("<I", content, 512 + 88, crc32(entries))
    struct.pack_into("<I", content, 512 + 16, 0)
    struct.pack_into("<I", content, 512 + 16, crc32(content[512 : 512 + 92]))
    look(bytes(content))


@FUZZ
@given(
    places=st.lists(
        st.tuples(
            st.sampled_from([0, 2048, 4096, 5120, 7168, 9216]),
            st.integers(0, 3),
            st.sampled_from([0, 5, 0x0F, 0x83, 0xEE]),
            ODD,
            ODD,
        ),
        max_size=12,
    )
)
def test_an_mbr_with_entries_changed(of_mbr, places):
    content = bytearray(of_mbr)
    for sector, index, kind, first, sectors in places:
        at = sector * 512 + 446 + 16 * index
        if at + 66 > len(content):
            continue
        entry = (0, b"", kind, b"", first & 0xFFFFFFFF, sectors & 0xFFFFFFFF)
        struct.pack_into("<B3sB3sII", content, at, *entry)
        content[sector * 512 + 510 : sector * 512 + 512] = b"\x55\xaa"
    look(bytes(content))


@FUZZ
@given(content=st.binary(max_size=3 * 512))
def test_any_bytes(content):
    look(content)
    look(content[:446].ljust(510, b"\0") + b"\x55\xaa" + content)
