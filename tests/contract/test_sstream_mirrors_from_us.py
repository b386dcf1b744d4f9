from __future__ import annotations

import asyncio
import hashlib

import pytest

from mirror.model import Snapshot, utcnow
from mirror.server.options import ServerOptions
from mirror.server.serving import running_server
from mirror.store.layout import DataDir
from mirror.store.store import Store
from mirror.testing.sstream import mirrored_files, sstream_mirror, sstream_query


@pytest.fixture
async def url(sample_upstream, signing_key, tmp_path):
    """Serve a signed stream that we did not write, as a snapshot."""
    layout = DataDir(tmp_path / "data")
    layout.create()
    layout.gnupg.mkdir(mode=0o700)
    (layout.gnupg / "public.gpg").write_bytes(signing_key.public_binary())
    (layout.gnupg / "public.asc").write_bytes(signing_key.public_armored())
    store = Store.open(layout.root, key=signing_key)
    files = {
        file.relative_to(sample_upstream.root).as_posix(): store.blobs.add_bytes(file.read_bytes())
        for file in sample_upstream.root.rglob("*")
        if file.is_file()
    }
    now = utcnow()
    snapshot_id = store.snapshots.save(Snapshot(created=now, updated=now, files=files))
    store.channels.switch("stable", snapshot_id, "test")
    async with running_server(ServerOptions(data_dir=str(layout.root), port=0)) as url:
        yield url


@pytest.mark.parametrize("suffix", ["/streams/v1/index.sjson", "", "/"])
async def test_the_whole_stream(url, sample_upstream, tmp_path, suffix):
    # without the last slash sstream-mirror asks for /images/stablestreams/v1/index.sjson first,
    # and takes any answer but 404 for the stream
    outcome = await asyncio.to_thread(
        sstream_mirror,
        f"{url}/images/stable{suffix}",
        tmp_path / "out",
        keyring=sample_upstream.keyring,
    )
    assert outcome.status == 0, outcome.errors
    assert mirrored_files(tmp_path / "out") == sample_upstream.files()


async def test_a_query_lists_every_file(url, sample_upstream):
    items = await asyncio.to_thread(
        sstream_query,
        f"{url}/images/stable/streams/v1/index.sjson",
        keyring=sample_upstream.keyring,
    )
    assert {item["path"] for item in items} == set(sample_upstream.files())


async def test_downloads_that_were_cut_are_resumed(url, sample_upstream, tmp_path):
    # sstream-mirror asks for the rest of a file even if it has all of it, and hashes the body of
    # the 416 that it gets
    partial = 0
    for path, (sha256, size) in sample_upstream.files().items():
        content = (sample_upstream.root / path).read_bytes()
        part = tmp_path / "out" / f"{path}.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content if partial % 2 else content[: size // 2])
        assert hashlib.sha256(content).hexdigest() == sha256
        partial += 1
    assert partial > 2
    outcome = await asyncio.to_thread(
        sstream_mirror, f"{url}/images/stable/", tmp_path / "out", keyring=sample_upstream.keyring
    )
    assert outcome.status == 0, outcome.errors
    assert mirrored_files(tmp_path / "out") == sample_upstream.files()
