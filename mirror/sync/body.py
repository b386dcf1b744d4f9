"""The body of an answer, received straight into large buffers that are used again.

aiohttp reads the head of every answer, and the whole of most. A large plain body of known length
gains nothing from its parser and stream: each copies, and each wakes us for every few kilobytes.
`direct_body` takes the connection over for such a body and gives it back to aiohttp afterwards.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler

if TYPE_CHECKING:
    from collections.abc import Iterable

Chunk = bytes | memoryview
"""Bytes that were received."""

BUFFER = 512 << 10
_PATIENCE = 0.25
"""Seconds after which a buffer is handed over although it is not full."""


class Body(Protocol):
    """What is left of an answer's body."""

    async def read(self) -> Chunk:
        """Return the next bytes, none at the end.

        Raises `aiohttp.ClientError` when the connection breaks, after what came before;
        `TimeoutError` when nothing comes for too long.
        """
        ...


class Buffers:
    """Buffers that are used again: the kernel need not clear new memory for each."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def take(self) -> memoryview:
        """Return a buffer of `BUFFER` bytes."""
        return self._free.pop() if self._free else memoryview(bytearray(BUFFER))

    def give(self, chunks: Iterable[Chunk]) -> None:
        """Take buffers back, of which `chunks` were parts: nobody may use them any longer."""
        self._free += (memoryview(each.obj) for each in chunks if isinstance(each, memoryview))


class StreamBody:
    """A body as aiohttp gives it: of any coding and any transport."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def read(self) -> Chunk:
        """Return the next bytes; see Body."""
        chunk, _ = await self._content.readchunk()
        while not chunk and not self._content.at_eof():  # the end of an HTTP chunk
            chunk, _ = await self._content.readchunk()
        return chunk


def open_body(response: aiohttp.ClientResponse, buffers: Buffers, stall: float) -> Body:
    """Return the body of `response`; silence of `stall` seconds ends it."""
    return _direct_body(response, buffers, stall) or StreamBody(response.content)


def _direct_body(
    response: aiohttp.ClientResponse, buffers: Buffers, stall: float
) -> DirectBody | None:
    """Take over the connection, if nothing but plain bytes of known number comes from it."""
    connection, content = response.connection, response.content
    if (
        connection is None
        or response.content_length is None
        or response.headers.get("Transfer-Encoding")
    ):
        return None
    protocol, transport = connection.protocol, connection.transport
    left = response.content_length - content.total_bytes
    if (
        not isinstance(protocol, ResponseHandler)
        or not isinstance(transport, asyncio.Transport)
        or transport.get_extra_info("sslcontext")
        or not transport.is_reading()
        or left <= 0
        or content.exception()
    ):
        return None
    return DirectBody(content, protocol, transport, left=left, buffers=buffers, stall=stall)


class DirectBody(asyncio.BufferedProtocol):
    """A body of which `left` bytes have not been received by aiohttp."""

    def __init__(
        self,
        content: aiohttp.StreamReader,
        protocol: ResponseHandler,
        transport: asyncio.Transport,
        *,
        left: int,
        buffers: Buffers,
        stall: float,
    ) -> None:
        self._content = content
        self._protocol = protocol
        self._transport = transport
        self._left = left
        self._buffers = buffers
        self._stall = stall
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Chunk] = deque()
        self._buffer = buffers.take()
        self._filled = 0
        self._broken: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        if content.total_bytes:
            self._ready.append(content.read_nowait())
        protocol.pause_reading()  # and with it the parser, and its own watch for silence
        transport.set_protocol(self)
        transport.resume_reading()

    async def read(self) -> Chunk:
        """Return the next bytes; see Body."""
        silent = 0.0
        while not self._ready and self._left and not self._broken:
            await self._wait()
            if self._filled and not self._ready:
                return self._take_some()
            silent += _PATIENCE
            if silent >= self._stall and not self._ready:
                raise TimeoutError
        if self._ready:
            if self._left:  # else the connection is no longer ours
                self._transport.resume_reading()
            return self._ready.popleft()
        if self._filled:
            return self._take_some()
        if self._broken:
            raise self._broken
        return b""

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(_PATIENCE, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _take_some(self) -> bytes:
        """Return what is in a buffer that is not full: a copy, so that little holds little."""
        some = bytes(self._buffer[: self._filled])
        self._filled = 0
        return some

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  (asyncio's)
        """Say where the next bytes go: never those of another answer."""
        return self._buffer[self._filled : self._filled + self._left]

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of bytes that came."""
        self._filled += nbytes
        self._left -= nbytes
        if self._filled == BUFFER:
            self._ready.append(self._buffer)
            self._buffer = self._buffers.take()
            self._filled = 0
            if len(self._ready) > 1 and self._left:
                self._transport.pause_reading()
            self._wake()
        if not self._left:
            self._give_back()
            self._wake()

    def _give_back(self) -> None:
        """Let aiohttp use the connection for its next request."""
        self._transport.set_protocol(self._protocol)
        self._content.feed_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let aiohttp know, and say the same as it would."""
        self._protocol.connection_lost(exc)
        self._broken = self._content.exception() or aiohttp.ClientPayloadError("it ended early")
        self._wake()
