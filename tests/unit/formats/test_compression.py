from __future__ import annotations

import gzip
import io
import lzma
import struct
import tracemalloc
from typing import BinaryIO

import lz4.frame
import pytest
import zstandard
from format_damage import damaged, only_refused
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.formats import FormatError, compression_of, decompressed
from mirror.testing.artefacts import noise
from mirror.testing.kernels import packed

FORMATS = ["gzip", "xz", "lzma", "zstd", "bzip2", "lz4", "lz4-legacy"]
CONTENT = noise("content", 150_000) + b"and what compresses " * 20_000
SMALL = noise("small", 300) + b"small " * 200
MIB = 1024**2


def expand(data: bytes, limit: int = 64 * MIB) -> bytes:
    out = bytearray()
    with decompressed(io.BytesIO(data), limit=limit) as stream:
        while piece := stream.read(70_000):
            out += piece
    return bytes(out)


def read_to_end(stream: BinaryIO) -> None:
    while stream.read(65_536):
        pass


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_compressed_comes_out(form, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(packed(CONTENT, form))
    with decompressed(file, limit=MIB) as stream:
        assert stream.read() == CONTENT
    assert compression_of(file.read_bytes()[:16]) == form


def test_what_is_not_compressed_comes_out_as_it_is():
    assert expand(CONTENT) == CONTENT
    assert expand(b"") == b""
    assert compression_of(CONTENT[:16]) == ""
    with pytest.raises(FormatError, match=r"expands to more than 100 bytes"):
        expand(CONTENT, limit=100)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [0, 1, 131_072, 131_073])
def test_every_size_comes_out(form, size):
    assert expand(packed(CONTENT[:size], form)) == CONTENT[:size]


@pytest.mark.parametrize("form", FORMATS)
def test_members_that_follow_each_other_are_one_stream(form):
    parts = [b"one", b"", SMALL, CONTENT]
    assert expand(b"".join(packed(part, form) for part in parts)) == b"".join(parts)


@pytest.mark.parametrize("form", FORMATS)
def test_zeros_may_follow(form):
    assert expand(packed(SMALL, form) + bytes(200_000)) == SMALL


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("rest", [b"garbage that is no compressed data", bytes(10) + b"x"])
def test_nothing_else_may_follow(form, rest):
    with pytest.raises(FormatError, match=r"^(has something else behind|is (damaged|cut))"):
        expand(packed(SMALL, form) + rest)


@pytest.mark.parametrize("form", FORMATS)
def test_a_cut_anywhere_is_found(form):
    data = packed(SMALL, form)
    for size in range(16, len(data)):
        with pytest.raises(FormatError, match=r"^is (cut|damaged): its "):
            expand(data[:size])


@pytest.mark.parametrize("form", FORMATS)
def test_a_cut_in_the_second_member_is_found(form):
    data = packed(SMALL, form)
    for missing in (1, len(data) // 2, len(data) - 16):
        with pytest.raises(FormatError, match=r"^is (cut|damaged): its "):
            expand((data + data)[:-missing])


@pytest.mark.parametrize("form", ["gzip", "xz", "bzip2"])
def test_a_changed_byte_is_found_by_the_checksum(form):
    data = bytearray(packed(CONTENT, form))
    data[len(data) // 2] ^= 1
    with pytest.raises(FormatError, match=f"^is damaged: its {form} data"):
        expand(bytes(data))


def test_the_checksums_of_zstd_and_lz4_are_looked_at():
    checked = zstandard.ZstdCompressor(level=1, write_checksum=True).compress(CONTENT)
    framed = lz4.frame.compress(CONTENT, content_checksum=True)
    assert (expand(checked), expand(framed)) == (CONTENT, CONTENT)
    for data in (checked, framed):
        with pytest.raises(FormatError, match=r"^is damaged: its "):
            expand(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("at", [-8, -4])
def test_the_crc_and_the_size_of_gzip_are_looked_at(at):
    data = bytearray(packed(SMALL, "gzip"))
    data[at] ^= 1
    with pytest.raises(FormatError, match=r"^is damaged: its gzip data"):
        expand(bytes(data))


@pytest.mark.parametrize("form", FORMATS)
def test_a_bomb_is_stopped_at_the_limit_in_little_memory(form):
    bomb = packed(bytes(40 * MIB), form)
    assert len(bomb) < 2 * MIB
    tracemalloc.start()
    try:
        with (
            pytest.raises(FormatError, match=r"^expands to more than 4 MiB$"),
            decompressed(io.BytesIO(bomb), limit=4 * MIB) as stream,
        ):
            read_to_end(stream)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # lz4's old form has blocks of 8 MiB, and nothing smaller
    assert peak < (20 if form == "lz4-legacy" else 4) * MIB


def test_what_went_wrong_goes_wrong_again():
    with decompressed(io.BytesIO(packed(CONTENT, "gzip")[:-5]), limit=MIB) as stream:
        for _ in range(2):
            with pytest.raises(FormatError, match=r"is cut"):
                read_to_end(stream)


def test_blocks_that_hold_nothing_end_nothing():
    nothing = b"\1\0\0\0\0"  # the size of a block, then a block of lz4 without literals
    assert expand(b"\x02\x21\x4c\x18" + nothing * 3 + packed(SMALL, "lz4-legacy")[4:]) == SMALL
    frame = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    parts = [frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for _ in range(3)]
    data = b"".join(parts) + frame.compress(SMALL) + frame.flush()
    assert expand(data) == SMALL


CRUMBS = {
    "gzip": packed(b"", "gzip") * 20_000,
    "gzip of a byte each": packed(b"x", "gzip") * 20_000,
    "xz": packed(b"", "xz") * 20_000,
    "bzip2": packed(b"x", "bzip2") * 20_000,
    "lz4": packed(b"", "lz4") * 20_000,
    "lz4-legacy blocks": b"\x02\x21\x4c\x18" + b"\1\0\0\0\0" * 20_000,
    "zstd": packed(b"", "zstd") * 20_000,
    "zstd to skip": packed(b"", "zstd") + b"\x50\x2a\x4d\x18\0\0\0\0" * 20_000,
    "zstd blocks": b"\x28\xb5\x2f\xfd\0\x58" + bytes(60_000) + b"\1\0\0",
}


@pytest.mark.parametrize("form", CRUMBS)
def test_crumbs_without_end_are_refused(form):
    with pytest.raises(FormatError, match=r"^has 10,\d\d\d pieces of .* that hold next to nothing"):
        expand(CRUMBS[form])


@pytest.mark.parametrize("form", FORMATS)
def test_many_members_of_some_size_are_read(form):
    member = packed(SMALL * 6, form)
    assert len(expand(member * 11_000, 1 << 30)) == 11_000 * 6 * len(SMALL)


def test_zstd_frames_that_do_not_know_their_size():
    maker = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    data = maker.compress(CONTENT) + maker.flush()
    skippable = struct.pack("<II", 0x184D2A5A, 5) + b"notes"
    assert expand(skippable + data + skippable + data) == CONTENT * 2
    with pytest.raises(FormatError, match=r"is cut"):
        expand(data + skippable[:-1])


def test_streams_that_want_much_memory_are_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 * MIB}]
    head = bytearray(packed(SMALL, "lzma"))
    head[1:5] = struct.pack("<I", 1 << 30)
    window = zstandard.ZstdCompressionParameters(window_log=29, enable_ldm=True)
    maker = zstandard.ZstdCompressor(compression_params=window).compressobj()
    for data in (
        lzma.compress(b"x", filters=filters),
        bytes(head),
        maker.compress(b"x") + maker.flush(),
    ):
        with pytest.raises(FormatError, match=r"^is damaged: its "):
            expand(data)


def test_gzip_with_a_name_and_a_comment():
    out = io.BytesIO()
    with gzip.GzipFile("a-long-name" * 50, "wb", fileobj=out, mtime=0) as stream:
        stream.write(SMALL)
    assert expand(out.getvalue()) == SMALL


@settings(max_examples=150, deadline=2000)
@given(st.data())
@pytest.mark.parametrize("form", FORMATS)
def test_damage_never_raises_anything_else(form, data):
    assert only_refused(
        lambda bad: expand(bad, limit=MIB),
        data.draw(damaged(packed(SMALL, form) + packed(b"more", form))),
    )
