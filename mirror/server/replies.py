"""What goes out on the wire: a head in one piece, then bytes from memory or by sendfile.

aiohttp builds each response's headers anew, and its FileResponse opens the file in a thread each
time. Here a resource's header lines are made once, and written with the body in one call.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import HttpVersion10, web

from mirror.server.sendfile import SendfileUnavailable, sendfile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp.abc import AbstractStreamWriter

    from mirror.server.blobs import OpenBlob

COPY_BYTES = 2**18

TLS_BUFFER = 2**17
"""Encrypted bytes that may wait for a client before the next are read from the file."""

_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}

_log = logging.getLogger(__name__)


def _count_nothing(_: int) -> None:
    pass


class Piece(NamedTuple):
    """Bytes `start` to `start + length` of an open blob."""

    blob: OpenBlob
    start: int
    length: int


class Reply(web.StreamResponse):
    """A response whose header lines are bytes already.

    `fields` are whole header lines, each ending in CRLF. Date, Connection and Content-Length are
    added here. A HEAD request gets the head alone.
    """

    def __init__(
        self, status: int, fields: bytes = b"", body: Sequence[bytes | Piece] = ()
    ) -> None:
        super().__init__(status=status)
        self._fields = fields
        self._pieces = body
        self._length = sum(len(p) if isinstance(p, bytes) else p.length for p in body)
        self._alive = False
        self.count: Callable[[int], object] = _count_nothing
        """Is told of the bytes of the body that go out, as they do."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open after this reply."""
        return self._alive

    @property
    def body_length(self) -> int:
        """The length of the body in bytes, for the access log."""
        return self._length

    @property
    def parts(self) -> list[tuple[int, int]]:
        """The (first, last) bytes of each part of a blob that goes out."""
        pieces = (piece for piece in self._pieces if isinstance(piece, Piece))
        return [(piece.start, piece.start + piece.length - 1) for piece in pieces]

    def keep_private(self) -> None:
        """Let no shared cache keep it, and no browser tell another site where it is from."""
        fields = self._fields.replace(b"Cache-Control: public", b"Cache-Control: private")
        fields = fields.replace(b"Cache-Control: no-cache", b"Cache-Control: private, no-cache")
        if b"Cache-Control: " not in fields:
            fields += b"Cache-Control: no-store\r\n"
        if b"Authorization\r\n" not in fields:
            fields += b"Vary: Authorization\r\n"
        if b"Referrer-Policy: " not in fields:
            fields += b"Referrer-Policy: no-referrer\r\n"
        self._fields = fields

    async def send(self, request: web.BaseRequest) -> None:
        """Send all of it; a client that goes away is no error."""
        try:
            await self._send_all(request)
        except ConnectionError:
            self._alive = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002
        """Do nothing: aiohttp calls this after the handler, and `send` has sent all by then."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing, for the same reason."""

    async def _send_all(self, request: web.BaseRequest) -> None:
        transport = _check_open(request.transport)
        self._alive = request.keep_alive and self._keep_alive is not False
        head = self._head(request)
        body = self._pieces if request.method != "HEAD" else ()
        self.count(sum(len(piece) for piece in body if isinstance(piece, bytes)))
        await _send(transport, request.writer, (head, *body), self.count)
        await request.writer.drain()

    def _head(self, request: web.BaseRequest) -> bytes:
        length = b"" if self.status == 304 else b"Content-Length: %d\r\n" % self._length
        if not self._alive:
            connection = b"Connection: close\r\n"
        elif request.version == HttpVersion10:
            connection = b"Connection: keep-alive\r\n"
        else:
            connection = b""
        line = _STATUS_LINES[self.status]
        return b"".join((line, self._fields, length, _date(), connection, b"\r\n"))


_date_line: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    """Return the Date line, made once a second."""
    global _date_line  # noqa: PLW0603 - a cache of the clock, not state
    now = int(time.time())
    if _date_line[0] != now:
        _date_line = (now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode())
    return _date_line[1]


async def _send(
    transport: asyncio.Transport,
    writer: AbstractStreamWriter,
    pieces: Sequence[bytes | Piece],
    count: Callable[[int], object] = _count_nothing,
) -> None:
    """Write what is in memory, joined, and send the rest from the files."""
    waiting: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            waiting.append(piece)
            continue
        transport.write(b"".join(waiting))
        waiting.clear()
        await _send_piece(transport, writer, piece, count)
    if waiting:
        transport.write(b"".join(waiting))


async def _send_piece(
    transport: asyncio.Transport,
    writer: AbstractStreamWriter,
    piece: Piece,
    count: Callable[[int], object],
) -> None:
    if transport.get_extra_info("sslcontext") is not None:
        # never 0 here: asyncio's TLS would pause for good once nothing is left to write
        transport.set_write_buffer_limits(TLS_BUFFER)
        sent = await _copy(transport, writer, piece, count)
    else:
        # what is written already must be out before the file goes past it
        transport.set_write_buffer_limits(0)
        await writer.drain()
        try:
            sent = await sendfile(transport, piece.blob, piece.start, piece.length, count)
        except SendfileUnavailable:
            sent = await _copy(transport, writer, piece, count)
    if sent < piece.length:
        _abort(transport, piece, sent)


async def _copy(
    transport: asyncio.Transport,
    writer: AbstractStreamWriter,
    piece: Piece,
    count: Callable[[int], object],
) -> int:
    """Send without sendfile: for a file system, or a transport, that has none."""
    sent = 0
    while sent < piece.length:
        size = min(COPY_BYTES, piece.length - sent)
        data = await asyncio.to_thread(os.pread, piece.blob.fileno(), size, piece.start + sent)
        if not data:
            break
        _check_open(transport)
        transport.write(data)
        await writer.drain()
        sent += len(data)
        count(len(data))
    return sent


def _check_open(transport: asyncio.Transport | None) -> asyncio.Transport:
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    return transport


def _abort(transport: asyncio.Transport, piece: Piece, sent: int) -> None:
    """Cut the connection: the client must see that bytes are missing."""
    _log.error(
        "a blob shrank while it was sent: %d of %d bytes from byte %d went out; the connection was "
        "cut. Run `mirror verify --repair`",
        sent,
        piece.length,
        piece.start,
    )
    transport.abort()
    raise ConnectionResetError("the blob shrank")
