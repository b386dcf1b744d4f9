from __future__ import annotations

import os
import time

import pytest

from mirror.store.blobs import LocalBlobs
from mirror.store.census import Census, Count


@pytest.fixture
def blobs(tmp_path):
    return LocalBlobs(tmp_path / "blobs")


def test_it_counts_what_comes_and_goes(blobs):
    census = Census(blobs.root)
    assert census.take() == Count(0, 0)
    refs = [blobs.add_bytes(bytes([n]) * n) for n in range(1, 101)]
    for _ in range(3):
        assert census.take() == Count(100, 5050)
    blobs.delete(refs[99].sha256)
    assert census.take() == Count(99, 4950)
    blobs.add_bytes(b"x" * 50)
    assert census.take() == Count(100, 5000)


def test_unfinished_files_are_no_blobs(blobs):
    ref = blobs.add_bytes(b"abc")
    (blobs.path(ref.sha256).parent / f".{ref.sha256}.tmp").write_bytes(b"half")
    assert Census(blobs.root).take() == Count(1, 3)


def test_a_folder_that_did_not_change_is_not_read_again(blobs):
    ref = blobs.add_bytes(b"abc")
    folder = blobs.path(ref.sha256).parent
    _settle(folder)
    census = Census(blobs.root)
    assert census.take() == Count(1, 3)
    # a second name, with the folder's time put back as no real change could
    before = folder.stat().st_mtime_ns
    (folder / ("0" * 64)).write_bytes(b"12345")
    os.utime(folder, ns=(before, before))
    assert census.take() == Count(1, 3)
    os.utime(folder)
    assert census.take() == Count(2, 8)


def test_a_folder_that_changed_just_now_is_read_again(blobs):
    census = Census(blobs.root)
    ref = blobs.add_bytes(b"abc")
    folder = blobs.path(ref.sha256).parent
    now = time.time_ns()
    os.utime(folder, ns=(now, now))
    assert census.take() == Count(1, 3)
    (folder / ("0" * 64)).write_bytes(b"12345")
    os.utime(folder, ns=(now, now))  # as if both were in one tick of the file system's clock
    assert census.take() == Count(2, 8)


def _settle(folder):
    long_ago = time.time_ns() - 60_000_000_000
    os.utime(folder, ns=(long_ago, long_ago))
