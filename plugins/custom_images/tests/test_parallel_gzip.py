"""Gzip that is made on all cores: everyone's reader takes it, and its bytes are always the same."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import subprocess
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib
from mirror_custom_images.building.parallel_gzip import LEVELS, PIECE, ParallelGzip

from mirror.testing.artefacts import noise
from mirror.testing.tools import tool

TEXT = b"".join(b"line %d of a text that can be compressed\n" % n for n in range(80_000))


def packed(*writes: bytes | int, **how) -> bytes:
    """Compress what is written in such pieces; a number is so many zeros."""
    out = io.BytesIO()
    packed_to(out, *writes, **how)
    return out.getvalue()


def packed_to(out, *writes: bytes | int, **how) -> None:
    with ParallelGzip(out, **how) as target:
        for each in writes:
            if isinstance(each, int):
                target.write_zeros(each)
            else:
                target.write(each)


def plain(*writes: bytes | int) -> bytes:
    return b"".join(bytes(each) if isinstance(each, int) else each for each in writes)


WRITES = {
    "nothing": (),
    "a byte": (b"x",),
    "zeros": (3 * PIECE + 5,),
    "many zeros": (70 * PIECE,),
    "text": (TEXT,),
    "noise": (noise("gzip", 3 * PIECE + 1),),
    "one piece": (TEXT[:PIECE],),
    "holes": (b"a" * 700, 5 * PIECE, TEXT, 100, b"b", PIECE - 1, TEXT[:PIECE], 2 * PIECE, b"c"),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("what", WRITES)
def test_python_and_isal_read_it(what, level):
    writes = WRITES[what]
    made = packed(*writes, level=level)
    assert gzip.decompress(made) == plain(*writes)
    assert isal_zlib.decompress(made, 31) == plain(*writes)


@pytest.mark.parametrize("what", WRITES)
def test_gzip_reads_it(what, tmp_path):
    file = tmp_path / "made.gz"
    file.write_bytes(packed(*WRITES[what]))
    subprocess.run([tool("gzip"), "-tv", file], check=True, capture_output=True)
    done = subprocess.run([tool("gzip"), "-dc", file], check=True, capture_output=True)
    assert done.stdout == plain(*WRITES[what])


def test_it_is_one_member_without_a_time_or_a_name():
    made = packed(TEXT)
    reader = zlib.decompressobj(31)
    assert reader.decompress(made) == TEXT
    assert (reader.eof, reader.unused_data) == (True, b"")
    assert made[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_the_threads_do_not_show(threads):
    assert packed(*WRITES["holes"], threads=threads) == packed(*WRITES["holes"])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 2 * PIECE), max_size=6), st.integers())
def test_how_it_is_written_does_not_show(cuts, seed):
    """A disk is the same however its file tells its holes."""
    content = plain(*WRITES["holes"])
    dice, writes, at = random.Random(seed), [], 0
    for cut in cuts:
        piece = content[at : at + cut]
        at += len(piece)
        hole = piece.count(0) == len(piece) and dice.random() < 0.7
        writes.append(len(piece) if hole else dice.choice([bytes, bytearray, memoryview])(piece))
    assert packed(*writes, content[at:]) == packed(*WRITES["holes"])


def test_digests_of_both_forms():
    out = io.BytesIO()
    with ParallelGzip(out, plain_digest=True) as target:
        for each in (TEXT, noise("x", 99), TEXT):
            assert target.write(each) == len(each)
        target.write_zeros(70 * PIECE)
    content = plain(TEXT, noise("x", 99), TEXT, 70 * PIECE)
    assert target.plain_sha256 == hashlib.sha256(content).hexdigest()
    assert target.sha256 == hashlib.sha256(out.getvalue()).hexdigest()
    assert (target.size, target.packed_size) == (len(content), len(out.getvalue()))


def test_a_hole_is_a_thousandth_of_its_size():
    out = io.BytesIO()
    with ParallelGzip(out) as target:
        target.write_zeros(10 * 1024 * PIECE)
    assert target.size == 10 * 1024 * PIECE
    assert target.packed_size < target.size / 1000
    assert isal_zlib.decompressobj(31).decompress(out.getvalue(), 10) == bytes(10)


class Full(io.BytesIO):
    def write(self, data):
        if self.tell() > PIECE:
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_a_full_disk_is_said_and_ends_it():
    with pytest.raises(OSError, match="No space left"):
        packed_to(Full(), *[noise("full", PIECE)] * 100)


def test_what_was_stopped_has_no_end():
    def work(out):
        with ParallelGzip(out) as target:
            target.write(TEXT)
            raise KeyError("stopped")

    out = io.BytesIO()
    with pytest.raises(KeyError, match="stopped"):
        work(out)
    with pytest.raises((EOFError, zlib.error)):
        gzip.decompress(out.getvalue())
