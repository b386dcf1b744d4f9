from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirror.errors import BlobMissing
from mirror.server import blobs as module
from mirror.server.blobs import OpenBlobs


def _open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_blob_is_opened_once(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    blobs = OpenBlobs(tmp_path.joinpath)
    assert blobs.cached("a") is None
    blob = await blobs.get("a", 5)
    assert os.pread(blob.fileno(), 10, 0) == b"hello"
    assert await blobs.get("a", 5) is blob
    assert blobs.cached("a") is blob


async def test_a_blob_that_is_not_there_has_an_error(tmp_path):
    with pytest.raises(BlobMissing, match="blob a is not in the store"):
        await OpenBlobs(tmp_path.joinpath).get("a")


async def test_a_symlink_is_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(b"hello")
    (tmp_path / "a").symlink_to(tmp_path / "secret")
    with pytest.raises(BlobMissing, match="can't be opened"):
        await OpenBlobs(tmp_path.joinpath).get("a")


async def test_what_is_no_regular_file_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(BlobMissing, match="not a regular file"):
        await OpenBlobs(tmp_path.joinpath).get("a")


async def test_a_blob_of_another_size_is_refused_until_it_is_mended(tmp_path):
    (tmp_path / "a").write_bytes(b"hell")
    blobs = OpenBlobs(tmp_path.joinpath)
    with pytest.raises(BlobMissing, match="4 bytes on disk instead of 5"):
        await blobs.get("a", 5)
    (tmp_path / "new").write_bytes(b"hello")
    (tmp_path / "new").replace(tmp_path / "a")
    assert (await blobs.get("a", 5)).size == 5


async def test_a_blob_is_looked_up_again_after_a_while(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"hello")
    blobs = OpenBlobs(tmp_path.joinpath)
    first = await blobs.get("a")
    monkeypatch.setattr(module, "MAX_AGE", 0)
    assert await blobs.get("a") is not first


async def test_descriptors_are_closed_when_the_last_user_lets_go(tmp_path, monkeypatch, eventually):
    (tmp_path / "a").write_bytes(b"hello")
    blobs = OpenBlobs(tmp_path.joinpath)
    before = _open_files()
    held = await blobs.get("a")
    monkeypatch.setattr(module, "MAX_AGE", 0)
    blobs.drop_stale()
    assert os.pread(held.fileno(), 1, 0) == b"h"
    del held

    async def closed():
        # the thread that opened it may hold it for a moment longer
        return _open_files() == before

    assert await eventually(closed)


async def test_no_more_than_a_few_stay_open(tmp_path, monkeypatch, eventually):
    monkeypatch.setattr(module, "MAX_OPEN", 3)
    blobs = OpenBlobs(tmp_path.joinpath)
    before = _open_files()
    for name in "abcdef":
        (tmp_path / name).write_bytes(b"x")
        await blobs.get(name)

    async def three():
        return _open_files() == before + 3

    assert await eventually(three)
    assert blobs.cached("a") is None
    assert blobs.cached("f") is not None
