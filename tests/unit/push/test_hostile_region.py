"""A region, or what answers in its place, that says odd things, slowly, or without end."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from maas_region import KEY

from mirror.errors import FetchError, RegionAnswerInvalid, RegionRefused, Stalled
from mirror.push.oauth import parse_key
from mirror.push.region import Region, open_region
from mirror.push.replies import read_image


@asynccontextmanager
async def answering(body, *, stall=5):
    """Yield a region of which every answer is what `body`, a coroutine, writes."""

    async def serve(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            await body(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        url = f"http://127.0.0.1:{port}/MAAS"
        async with open_region(url, parse_key(KEY), stall=stall) as region:
            yield region
    finally:
        server.close()


def head(status="200 OK", fields=""):
    return f"HTTP/1.1 {status}\r\nConnection: close\r\n{fields}\r\n".encode()


async def test_an_answer_that_comes_in_pieces_is_read_to_its_end():
    async def body(writer):
        writer.write(head())
        for piece in (b'{"id": 7, "sets"', b': {}, "resource_uri": "/x"', b"}"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.1)

    async with answering(body) as region:
        assert read_image((await region.get("x/")).body).id == 7


async def test_an_answer_without_end_is_cut():
    async def body(writer):
        writer.write(head())
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with answering(body) as region:
        answer = await region.get("x/")
    assert len(answer.body) == 1 << 20
    with pytest.raises(RegionAnswerInvalid):
        read_image(answer.body)


async def test_an_answer_that_comes_a_byte_at_a_time_is_not_waited_for():
    async def body(writer):
        writer.write(head())
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    began = time.monotonic()
    async with answering(body, stall=0.6) as region:
        with pytest.raises(Stalled):
            await region.get("x/")
    assert time.monotonic() - began < 5


async def test_the_key_is_in_no_error():
    async def body(writer):
        writer.write(head("400 Bad Request"))
        writer.write(b"you sent &s3cr3tXYZ in oauth_signature=%26s3cr3tXYZ")

    async with answering(body) as region:
        with pytest.raises(RegionRefused) as refused:
            await region.get("x/")
    assert "s3cr3tXYZ" not in str(refused.value)
    assert "you sent &***" in str(refused.value)


@pytest.mark.parametrize("place", ["http://[", "http://a:99999999/", "//[::1"])
async def test_a_place_that_is_none(place):
    async def body(writer):
        writer.write(head())

    async with answering(body) as region:
        with pytest.raises((RegionAnswerInvalid, RegionRefused)):
            await region.put(place, b"x")


@pytest.mark.parametrize("place", ["http://evil.example/x", "//evil.example/x"])
async def test_another_host_is_told_nothing(place):
    async def body(writer):
        writer.write(head())

    async with answering(body) as region:
        with pytest.raises(RegionRefused):
            await region.put(place, b"x")


@pytest.mark.parametrize(
    "said", [b'{"id":1,"x":' + b"[" * 500_000, b'{"id":1e999}', b"\xff", b"", b"null"]
)
def test_a_description_that_is_none(said):
    with pytest.raises(RegionAnswerInvalid):
        read_image(said)


async def test_a_redirect_is_not_followed():
    async def body(writer):
        writer.write(head("302 Found", "Location: http://evil.example/\r\n"))

    async with answering(body) as region:
        assert isinstance(region, Region)
        with pytest.raises((RegionRefused, FetchError)):
            await region.get("x/")
