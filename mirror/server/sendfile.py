"""Send part of a file through a connection without copying it.

`loop.sendfile` does this too, but it takes the socket out of the selector and back twice for each
few megabytes, and pushes a fast reader's whole image before anyone else gets a turn: a third more
CPU than nginx, or a stalled event loop. Here a duplicate of the socket's descriptor is registered
once, and each turn of the loop sends a little.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirror.server.blobs import OpenBlob

TURN = 2**21
"""Bytes that one connection may send before the others get their turn: under a millisecond."""

SHORT_TURN = 2**19
"""The same where many read one file: readers take short bursts faster, at the cost of some CPU."""

MANY = 8

_COUNT_EVERY = 2**21
"""Bytes: to count each short turn would cost a tenth of the CPU that sending takes."""

_NO_SENDFILE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class SendfileUnavailable(Exception):
    """Neither the file system nor the kernel can send this file; nothing went out."""


async def sendfile(
    transport: asyncio.Transport,
    blob: OpenBlob,
    start: int,
    length: int,
    count: Callable[[int], object],
) -> int:
    """Send `length` bytes of the blob from byte `start`; return how many there were to send.

    Fewer than asked means that the file is shorter than that. `count` is told of the bytes that go
    out, about two megabytes at a time. The transport must have nothing left to write. Raises
    ConnectionError when the client has gone.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("sslcontext") is not None:
        raise SendfileUnavailable
    # of our own, for the loop guards the transport's; it also outlives a client's half-close
    descriptor = os.dup(sock.fileno())
    blob.readers += 1
    try:
        return await _Push(descriptor, blob, start, length, count).run()
    finally:
        blob.readers -= 1
        os.close(descriptor)


class _Push:
    def __init__(
        self,
        to: int,
        blob: OpenBlob,
        start: int,
        length: int,
        count: Callable[[int], object],
    ) -> None:
        self._to = to
        self._count = count
        self._blob = blob
        self._source = blob.fileno()
        self._start = start
        self._at = start
        self._counted = start
        self._end = start + length
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> int:
        self._turn()
        try:
            if self._done.done():
                self._done.result()
            else:
                await self._turns()
        finally:
            self._tell()
        return self._at - self._start

    async def _turns(self) -> None:
        self._loop.add_writer(self._to, self._turn)
        try:
            await self._done
        finally:
            self._loop.remove_writer(self._to)

    def _turn(self) -> None:
        """Send what the socket takes now, up to a limit."""
        if self._done.done():
            return
        turn = TURN if self._blob.readers <= MANY else SHORT_TURN
        try:
            sent = os.sendfile(self._to, self._source, self._at, min(turn, self._end - self._at))
        except BlockingIOError:
            return
        except OSError as error:
            self._done.set_exception(self._explain(error))
            return
        self._at += sent
        if self._at - self._counted >= _COUNT_EVERY:
            self._tell()
        if sent == 0 or self._at == self._end:
            self._done.set_result(None)

    def _tell(self) -> None:
        """Have the bytes counted that went out since the last time."""
        self._count(self._at - self._counted)
        self._counted = self._at

    def _explain(self, error: OSError) -> Exception:
        if error.errno in _NO_SENDFILE and self._at == self._start:
            return SendfileUnavailable()
        return error if isinstance(error, ConnectionError) else ConnectionError(*error.args)
