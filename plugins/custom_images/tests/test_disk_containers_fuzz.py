"""Headers and tables of any bytes: the disk is read, or refused; nothing else gets out."""

from __future__ import annotations

import os
import struct
import time

import pytest
from disk_samples import MIB, compress, convert, raw_disk, tar_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mirror_custom_images.disks.containers import open_disk
from test_disk_containers_damage import vhd_sum, vhdx_sum

from mirror.formats import FormatError

FUZZ = settings(
    max_examples=int(os.environ.get("MIRROR_FUZZ_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

LONGEST = 20
"""Seconds for one of a few MiB, on a machine that does other things as well."""

NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 3, 6, 7, 9, 21, 22, 63, 512, 65_536, 2**20, 2**31, 2**32 - 1]),
    st.sampled_from([2**41, 2**41 + 1, 2**55, 2**62, 2**62 + 1, 2**63, 2**63 - 1, 2**64 - 1]),
    st.integers(0, 2**64 - 1),
)
WIDTHS = st.sampled_from([1, 2, 4, 8])


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return raw_disk(tmp_path_factory.mktemp("fuzz") / "raw", 18 * MIB)


@pytest.fixture(scope="module")
def sample(raw):
    made = {}

    def make(form):
        if form not in made:
            made[form] = convert(raw, raw.with_name(form), form)
        return made[form]

    return make


def changes(places, order: str):
    """Numbers of any width, at some of the places."""

    def packed(number: int, width: int) -> bytes:
        return (number % (1 << 8 * width)).to_bytes(width, order)

    return st.lists(
        st.tuples(st.sampled_from(places), st.builds(packed, NUMBERS, WIDTHS)),
        min_size=1,
        max_size=4,
    )


def look(file, scratch) -> None:
    """Read what a disk has at first, at the end, and in its first extents."""
    started, refused = time.monotonic(), "is read"
    try:
        with open_disk(file, scratch) as disk:
            disk.read(0, min(disk.size, 70_000))
            disk.read(max(0, disk.size - 70_000), min(disk.size, 70_000))
            end, left = 0, 32 * MIB
            for start, finish in disk.extents(0, disk.size):
                assert end <= start < finish <= disk.size
                end = finish
                if left > 0:
                    disk.read(start, min(finish - start, left))
                    left -= finish - start
    except FormatError as error:
        refused = str(error)
    assert refused.startswith(("is ", "has ", "was ", "holds ", "begins ", "expands "))
    assert time.monotonic() - started < LONGEST


def check(file, patches, scratch, mend=lambda stream: None) -> None:
    """Look at a file with other bytes in it, and mend it again."""
    with file.open("r+b") as stream:
        size, before = file.stat().st_size, []
        try:
            for at, data in patches:
                stream.seek(at)
                before.append((at, stream.read(len(data))))
                stream.seek(at)
                stream.write(data)
            before.extend(mend(stream) or [])
            stream.flush()
            look(file, scratch)
        finally:
            for at, data in reversed(before):
                stream.seek(at)
                stream.write(data)
            stream.truncate(size)


def table_places(content: bytes, form: str) -> list[int]:
    """Where the entries of a qcow2's tables are: the used ones, and some that are not."""
    (l1,) = struct.unpack_from(">Q", content, 40)
    l2 = struct.unpack_from(">Q", content, l1)[0] & 0x00FFFFFFFFFFFE00
    return [*range(l1, l1 + 64, 8), *range(l2, l2 + 400, 8)]


@pytest.mark.parametrize(
    "form", ["qcow2", "qcow2-v2", "qcow2-512", "qcow2-zlib", "qcow2-zstd", "qcow2-2m"]
)
@given(data=st.data())
@FUZZ
def test_qcow2(form, sample, data, tmp_path):
    file = sample(form)
    header = [4, 8, 16, 20, 24, 32, 36, 40, 48, 56, 60, 64, 72, 80, 88, 96, 100, 104, 112]
    places = header + table_places(file.read_bytes(), form)
    check(file, data.draw(changes(places, "big")), tmp_path)


@given(data=st.data())
@FUZZ
def test_vhd(sample, data, tmp_path):
    file = sample("vhd")
    end = file.stat().st_size - 512
    (table,) = struct.unpack_from(">Q", file.read_bytes(), 528)
    footer = [end + at for at in (0, 8, 16, 48, 56, 60, 84)]
    header = [512 + at for at in (0, 8, 16, 24, 28, 32)]
    places = [*footer, *header, *range(table, table + 40, 4)]

    def mend(stream):
        for at, size, place in ((end, 512, 64), (512, 1024, 36)):
            stream.seek(at)
            block = stream.read(size)
            stream.seek(at)
            stream.write(vhd_sum(block, place))
            yield at, block

    check(file, data.draw(changes(places, "big")), tmp_path, lambda stream: list(mend(stream)))


@given(data=st.data())
@FUZZ
def test_vhdx(sample, data, tmp_path):
    file = sample("vhdx-1m")
    kib, content = 1024, file.read_bytes()
    (table,) = struct.unpack_from("<Q", content, 192 * kib + 32)
    (metadata,) = struct.unpack_from("<Q", content, 192 * kib + 64)
    places = [
        *(at * kib + place for at in (64, 128) for place in (8, 48, 64, 66, 68, 72)),
        *(192 * kib + place for place in (8, *range(16, 80, 4))),
        *range(table, table + 160, 8),
        *(metadata + place for place in (0, 10, *range(32, 192, 4))),
        *(metadata + 64 * kib + place for place in range(0, 64, 4)),
    ]

    def mend(stream):
        for at, size in ((64, 4), (128, 4), (192, 64)):
            stream.seek(at * kib)
            block = stream.read(size * kib)
            stream.seek(at * kib)
            stream.write(vhdx_sum(block))
            yield at * kib, block

    check(file, data.draw(changes(places, "little")), tmp_path, lambda stream: list(mend(stream)))


@pytest.mark.parametrize("form", ["gzip", "xz", "bzip2", "zstd"])
@pytest.mark.parametrize("tarred", [False, True])
@given(data=st.data())
@settings(FUZZ, max_examples=FUZZ.max_examples // 5)
def test_what_is_expanded(form, tarred, raw, data, tmp_path):
    file = raw.with_name(f"{form}-{tarred}")
    if not file.exists():
        (tar_of(file, raw, form=form) if tarred else compress(raw, file, form))
    size = file.stat().st_size
    places = st.one_of(st.integers(0, min(2000, size - 1)), st.integers(0, size - 1))
    patches = st.lists(st.tuples(places, st.binary(min_size=1, max_size=9)), min_size=1, max_size=4)
    check(file, data.draw(patches), tmp_path)
