from __future__ import annotations

import asyncio
import os

import aiohttp
import pytest

from mirror.server.blobs import OpenBlobs
from mirror.server.replies import Piece, _send

KERNEL = b"kernel" * 1000
BIG = bytes(range(256)) * 250_000
FILES = {"streams/v1/index.json": b"{}\n", "kernel": KERNEL, "big": BIG}


@pytest.fixture
async def url(mirror):
    mirror.publish(FILES)
    async with mirror.serving() as url:
        yield url


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_blob_that_vanished_is_said_so_never_404(mirror, url, http, caplog):
    mirror.blob_path(KERNEL).unlink()
    async with http.get(f"{url}/images/stable/kernel") as response:
        assert response.status == 500
        assert "MIR-503" in await response.text()
    assert "mirror verify --repair" in caplog.text
    async with http.get(f"{url}/images/stable/streams/v1/index.json") as response:
        assert response.status == 200


async def test_a_blob_that_is_cut_short_is_not_sent(mirror, url, http):
    path = mirror.blob_path(KERNEL)
    path.chmod(0o644)
    os.truncate(path, 100)
    async with http.get(f"{url}/images/stable/kernel") as response:
        assert response.status == 500
        assert "100 bytes on disk instead of 6000" in await response.text()


async def test_a_blob_that_shrinks_while_it_is_sent_cuts_the_connection(mirror, url, http, caplog):
    path = mirror.blob_path(BIG)
    path.chmod(0o644)
    async with http.get(f"{url}/images/stable/big") as response:
        assert response.status == 200
        assert await response.content.readexactly(1000) == BIG[:1000]
        os.truncate(path, 1000)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert "shrank" in caplog.text


async def test_a_client_that_goes_away_is_no_error(url, http, caplog):
    for _ in range(5):
        async with http.get(f"{url}/images/stable/big") as response:
            await response.content.readexactly(1000)
            response.close()
    async with http.get(f"{url}/images/stable/kernel") as response:
        assert await response.read() == KERNEL
    assert caplog.records == []


async def test_two_hundred_readers_at_once(url):
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def read(start):
            headers = {"Range": f"bytes={start}-{start + 99_999}"}
            async with session.get(f"{url}/images/stable/big", headers=headers) as response:
                return await response.read() == BIG[start : start + 100_000]

        assert all(await asyncio.gather(*(read(n * 1000) for n in range(200))))


async def test_bytes_are_copied_where_sendfile_is_not_to_be_had(tmp_path):
    (tmp_path / "big").write_bytes(BIG)
    blob = await OpenBlobs(tmp_path.joinpath).get("big")
    loop = asyncio.get_running_loop()
    out, into = os.pipe()
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(into, "wb")
    )
    received = asyncio.create_task(asyncio.to_thread(_read_all, out))

    class Writer:
        drain = protocol._drain_helper

    await _send(transport, Writer(), [b"head", Piece(blob, 10, len(BIG) - 20), b"tail"])
    transport.close()
    assert await received == b"head" + BIG[10:-10] + b"tail"


def _read_all(descriptor):
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
