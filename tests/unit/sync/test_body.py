"""Bodies that are received past aiohttp's parser: whole, in turn, and the connection used again."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from mirror.sync.body import BUFFER, Body, Buffers, DirectBody, StreamBody, open_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Send = Callable[[asyncio.StreamWriter], Awaitable[None]]

DATA = random.Random(5).randbytes(5 * BUFFER + 12_345)


class Server:
    """Answers each request of a connection with what `send` writes; counts both."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.connections = 0
        self.requests = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET"):
                self.requests += 1
                await self._send(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def served(send: Send) -> AsyncIterator[tuple[aiohttp.ClientSession, str, Server]]:
    server = Server(send)
    async with (
        await asyncio.start_server(server.talk, "127.0.0.1", 0) as listening,
        aiohttp.ClientSession(read_bufsize=1 << 20) as session,
    ):
        port = listening.sockets[0].getsockname()[1]
        yield session, f"http://127.0.0.1:{port}/", server


def head(length: int) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()


async def send_all(writer: asyncio.StreamWriter) -> None:
    writer.write(head(len(DATA)) + DATA)
    await writer.drain()


async def read_into(got: bytearray, body: Body, buffers: Buffers) -> None:
    while chunk := await body.read():
        got += chunk
        buffers.give([chunk])


async def read_all(body: Body, buffers: Buffers) -> bytes:
    got = bytearray()
    await read_into(got, body, buffers)
    return bytes(got)


async def test_a_connection_is_used_again_after_a_body_was_received_past_aiohttp() -> None:
    buffers = Buffers()
    async with served(send_all) as (session, url, server):
        for _ in range(3):
            async with session.get(url) as response:
                body = open_body(response, buffers, 5)
                assert isinstance(body, DirectBody)
                assert await read_all(body, buffers) == DATA
    assert (server.requests, server.connections) == (3, 1)


async def test_a_reader_that_waits_makes_the_sender_wait() -> None:
    sent = asyncio.Event()

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(head(len(DATA) * 20))
        for _ in range(20):
            writer.write(DATA)
            await writer.drain()
        sent.set()

    buffers = Buffers()
    async with served(send) as (session, url, _), session.get(url) as response:
        body = open_body(response, buffers, 5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await sent.wait()
        assert await read_all(body, buffers) == DATA * 20


async def test_what_came_before_a_connection_broke_is_not_lost() -> None:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(head(len(DATA)) + DATA[:-1])
        writer.close()

    buffers, got = Buffers(), bytearray()
    async with served(send) as (session, url, _), session.get(url) as response:
        body = open_body(response, buffers, 5)
        with pytest.raises(aiohttp.ClientPayloadError):
            await read_into(got, body, buffers)
    assert bytes(got) == DATA[:-1]


async def test_a_little_is_handed_over_soon_and_silence_ends_it() -> None:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(head(len(DATA)))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"a little")

    buffers = Buffers()
    async with served(send) as (session, url, _), session.get(url) as response:
        body = open_body(response, buffers, 0.5)
        assert await body.read() == b"a little"
        with pytest.raises(TimeoutError):
            await body.read()


async def test_a_body_of_unknown_length_comes_through_aiohttp() -> None:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    buffers = Buffers()
    async with served(send) as (session, url, _), session.get(url) as response:
        body = open_body(response, buffers, 5)
        assert isinstance(body, StreamBody)
        assert await read_all(body, buffers) == b"abcde"


async def test_a_reader_that_leaves_early_does_not_spoil_the_next_answer() -> None:
    buffers = Buffers()
    async with served(send_all) as (session, url, server):
        async with session.get(url) as response:
            await open_body(response, buffers, 5).read()
        async with session.get(url) as response:
            assert await read_all(open_body(response, buffers, 5), buffers) == DATA
    assert server.connections == 2
