"""The body of a request, read ahead of whoever takes it: to a bound, and from the first moment on.

When a connection breaks, aiohttp drops what came and nobody has taken: an upload over a bad line
would never get on.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import StreamReader, web

_AHEAD = 512 * 1024
"""Bytes that are held at most, more or less: who sends them may not have been asked for a token."""


class Body:
    """What has come of a body. `error` is why no more will, where it did not come whole."""

    def __init__(self, content: StreamReader) -> None:
        self.error: ConnectionError | None = None
        self._content = content
        self._held = bytearray()
        self._ended = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def read(self) -> None:
        """Read to the end, as far as there is room."""
        try:
            async for piece in self._content.iter_any():
                self._held += piece
                self._news.set()
                while len(self._held) >= _AHEAD:
                    self._room.clear()
                    await self._room.wait()
        except ConnectionError as error:
            self.error = error
        finally:
            self._ended = True
            self._news.set()

    async def take(self) -> bytes:
        """Return what has come, as soon as that is anything; nothing at the end."""
        while not self._held and not self._ended:
            self._news.clear()
            await self._news.wait()
        data = bytes(self._held)
        self._held.clear()
        self._room.set()
        return data


@asynccontextmanager
async def reading_ahead(request: web.Request) -> AsyncIterator[Body]:
    """Read the body of a request from now on, until the block is left."""
    body = Body(request.content)
    task = asyncio.create_task(body.read())
    try:
        yield body
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
