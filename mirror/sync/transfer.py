"""One file from a boot source: requests that fill its pieces, and the writer that drains them."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from mirror.errors import MirrorError, SizeMismatch, Stalled, Truncated
from mirror.sync.events import Received
from mirror.sync.pieces import Piece, Pieces
from mirror.sync.urls import show_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mirror.sync.events import Emit
    from mirror.sync.http import Http
    from mirror.sync.partial import Partial

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)", re.ASCII)
_EVENT_EVERY = 0.25
"""Seconds between two `Received` events of one file."""


class Wanted(msgspec.Struct, frozen=True):
    """A file to fetch: `size` bytes with digest `sha256`, from `url`; published at `path`."""

    sha256: str
    size: int
    path: str
    url: str


class FetchFailure(msgspec.Struct, frozen=True):
    """A file that could not be had, and why."""

    wanted: Wanted
    error: MirrorError


class FetchOptions(msgspec.Struct, frozen=True):
    """How to fetch. Sizes are in bytes, times in seconds."""

    connections: int = 8
    """Transfers at once, over all files of a boot source."""
    attempts: int = 5
    """Tries that bring nothing new before a file is given up; progress starts the count anew."""
    wait_initial: float = 0.5
    wait_max: float = 30.0
    low_speed: int = 1024
    """Bytes per second below which a connection is taken for stalled ..."""
    low_speed_time: float = 30.0
    """... after waiting that long for bytes."""
    batch: int = 1 << 20
    """Bytes that are hashed and written at a time, in a thread: while the CPU's cache has them."""
    piece: int = 4 << 20
    """Bytes of a Range request, where connections are left over."""
    divide_above: float = 0.5
    """How long a file must still be expected to take for its rest to be cut into pieces."""
    window: int = 48 << 20
    """Bytes of pieces that may wait in memory for their turn, over all files."""


class NotResumed(Truncated):
    """The server sent the file from its start instead of the range that was asked for."""


class Transfer:
    """The transfer of `wanted` into `partial`, which may hold a prefix of it already.

    `moved` is set whenever another connection may find something to do in it.
    """

    def __init__(
        self,
        wanted: Wanted,
        partial: Partial,
        options: FetchOptions,
        *,
        emit: Emit,
        moved: asyncio.Event,
    ) -> None:
        self.wanted = wanted
        self.pieces = Pieces(wanted.size, partial.size)
        self._partial = partial
        self._options = options
        self._emit = emit
        self._moved = moved
        self._validator = partial.validator
        self._unreported = 0
        self._began = self._reported_at = time.monotonic()
        self._began_with = partial.size

    @property
    def helpable(self) -> bool:
        """Whether other connections may take pieces, or what is left is worth cutting into them."""
        if self.pieces.cut:
            return True
        come = self.pieces.first.at - self._began_with
        if not come or not self.pieces.divisible:
            return False
        spent = time.monotonic() - self._began
        return spent / come * self.pieces.left > self._options.divide_above

    async def stream(self, http: Http, piece: Piece) -> None:
        """Fill `piece` from where it stands, with one request.

        Raises `Truncated`, `Stalled` and other `FetchError`s; `SizeMismatch` when the source's file
        is longer or shorter than it should be; `NotResumed`.
        """
        headers = self._request_headers(piece)
        async with http.get(self.wanted.url, headers, ok=(200, 206, 416)) as response:
            self._check_answer(response, piece)
            await self._note_validator(response)
            try:
                await self._receive(http, piece, response.content)
            except aiohttp.ClientPayloadError:
                await self._put(piece, _rest(response.content))
                if not piece.whole:
                    raise
            if response.content_length is None and piece.end == self.wanted.size:
                await self._expect_end(response)

    async def write(self, append: Callable[[list[bytes], int], Awaitable[None]]) -> None:
        """Drain the pieces in order into `append`, until the file is whole."""
        while self.pieces.written < self.wanted.size:
            chunks, count = await self.pieces.next_batch(self._options.batch)
            if count:
                await append(chunks, count)
                self.pieces.written += count
                self._moved.set()
                self._report(count)

    async def _receive(self, http: Http, piece: Piece, content: aiohttp.StreamReader) -> None:
        low = _LowSpeed(self._options, self._url)
        while not piece.whole:
            chunk = await low.watch(content)
            if not chunk:
                raise Truncated(f"{self._url} ended after {piece.at} of {self.wanted.size} bytes")
            await http.rate.take(len(chunk))
            await self._put(piece, chunk)

    async def _put(self, piece: Piece, chunk: bytes) -> None:
        if piece.end == self.wanted.size and piece.at + len(chunk) > piece.end:
            raise self._mismatch("the source sends more")
        piece.put(chunk)
        self.pieces.arrived(piece, self._options.batch)
        if piece.buffered >= 2 * self._options.batch:
            await self.pieces.room(piece, 2 * self._options.batch)

    async def _expect_end(self, response: aiohttp.ClientResponse) -> None:
        if await response.content.readany():
            raise self._mismatch("the source sends more")

    def _request_headers(self, piece: Piece) -> dict[str, str]:
        if piece.at == 0 and piece.end == self.wanted.size:
            return {}
        headers = {"Range": f"bytes={piece.at}-{piece.end - 1}"}
        if self._validator:
            headers["If-Range"] = self._validator
        return headers

    def _check_answer(self, response: aiohttp.ClientResponse, piece: Piece) -> None:
        if response.status == 416:
            raise self._mismatch(f"the source has no byte {piece.at}")
        size = response.content_length
        if response.status == 206:
            given = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if given is None or int(given[1]) != piece.at:
                raise NotResumed(f"{self._url}: the source sent another range than asked for")
            size = None if given[2] == "*" else int(given[2])
        elif piece.at > 0:
            raise NotResumed(f"{self._url}: the source does not resume")
        if size is not None and size != self.wanted.size:
            raise self._mismatch(f"the source offers {size} bytes ({_form(response)})")
        if response.status == 206 or response.headers.get("Accept-Ranges") == "bytes":
            self.pieces.divisible = True

    async def _note_validator(self, response: aiohttp.ClientResponse) -> None:
        given = _validator(response)
        if given and given != self._validator:
            self._validator = given
            if self.wanted.size > self._options.batch:
                await asyncio.to_thread(self._partial.note_validator, given)

    @property
    def _url(self) -> str:
        return show_url(self.wanted.url)

    def _mismatch(self, what: str) -> SizeMismatch:
        return SizeMismatch(f"{self._url}: {what}; {self.wanted.size} bytes are signed")

    def _report(self, count: int) -> None:
        self._unreported += count
        now = time.monotonic()
        if now - self._reported_at >= _EVENT_EVERY or self.pieces.written == self.wanted.size:
            self._emit(Received(path=self.wanted.path, bytes=self._unreported))
            self._unreported, self._reported_at = 0, now

    @property
    def reported(self) -> int:
        """How many bytes the `Received` events have told of, those of earlier runs included."""
        return self.pieces.written - self._unreported


class _LowSpeed:
    """Measures how fast bytes come while they are waited for: our own pauses don't count."""

    def __init__(self, options: FetchOptions, url: str) -> None:
        self._options = options
        self._url = url
        self._waited = 0.0
        self._received = 0

    async def watch(self, content: aiohttp.StreamReader) -> bytes:
        """Return the next chunk of `content`, empty at its end. Raises `Stalled`."""
        before = time.monotonic()
        chunk, _ = await content.readchunk()
        while not chunk and not content.at_eof():  # the end of an HTTP chunk
            chunk, _ = await content.readchunk()
        self._waited += time.monotonic() - before
        self._received += len(chunk)
        if self._waited >= self._options.low_speed_time:
            if self._received < self._options.low_speed * self._waited:
                raise Stalled(
                    f"{self._url}: only {self._received} bytes came in {self._waited:.0f} s"
                )
            self._waited, self._received = 0.0, 0
        return chunk


def _rest(content: aiohttp.StreamReader) -> bytes:
    """Return what had come before the connection broke: reading would give the error first."""
    content.set_exception(None)  # type: ignore[arg-type]  # the only public way to clear it
    return content.read_nowait()


def _validator(response: aiohttp.ClientResponse) -> str:
    """Return what If-Range takes: a strong ETag, else the time of the last change."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified", "")


def _form(response: aiohttp.ClientResponse) -> str:
    coding = response.headers.get("Content-Encoding", "")
    return f"{response.content_type}, {coding}" if coding else response.content_type
