"""Get one metadata file: bounded in size and time, compressed on the way if the source can."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

import msgspec
import stamina

from mirror.errors import FetchError, MetadataTooLarge, Stalled
from mirror.sync.retry import backoff, worth_retrying
from mirror.sync.urls import show_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aiohttp

    from mirror.sync.http import Http

ATTEMPTS = 4
"""How often a file is asked for before it is given up."""
_TOTAL_TIME = 300.0
"""Seconds that one file may take in all."""
_GZIP = 16 + zlib.MAX_WBITS


class Answer(msgspec.Struct, frozen=True):
    """An answer of status 200 or 304 and its body, decoded; validators are empty if not given."""

    status: int
    body: bytes
    etag: str
    last_modified: str


async def get_document(
    http: Http,
    url: str,
    *,
    cap: int,
    headers: Mapping[str, str],
    attempts: int = ATTEMPTS,
    wait: float,
    retrying: Callable[[int, float, str], None],
) -> Answer:
    """Get a file of at most `cap` bytes; try again what may pass by itself.

    `retrying` is told the number of the attempt that failed, the seconds to wait, and why. Raises
    `MetadataTooLarge` and `FetchError`s.
    """
    async for attempt in stamina.retry_context(
        on=backoff, attempts=attempts, timeout=None, wait_initial=wait, wait_jitter=wait
    ):
        with attempt:
            try:
                return await _get(http, url, cap, headers)
            except FetchError as error:
                if attempt.num < attempts and worth_retrying(error):
                    retrying(attempt.num, attempt.next_wait, error.what)
                raise
    raise AssertionError


async def _get(http: Http, url: str, cap: int, headers: Mapping[str, str]) -> Answer:
    headers = {"Accept-Encoding": "gzip", **headers}
    try:
        async with asyncio.timeout(_TOTAL_TIME), http.get(url, headers, ok=(200, 304)) as response:
            body = await _read(response, cap)
            coding = response.headers.get("Content-Encoding", "identity").lower()
    except TimeoutError:
        raise Stalled(f"{show_url(url)} took more than {_TOTAL_TIME:.0f} s") from None
    return Answer(
        status=response.status,
        body=await asyncio.to_thread(_decode, body, coding, cap, show_url(url)),
        etag=response.headers.get("ETag", ""),
        last_modified=response.headers.get("Last-Modified", ""),
    )


async def _read(response: aiohttp.ClientResponse, cap: int) -> bytes:
    if (response.content_length or 0) > cap:
        raise MetadataTooLarge(f"{response.url}: {response.content_length:,} bytes (limit {cap:,})")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > cap:
            raise MetadataTooLarge(f"{response.url}: more than {cap:,} bytes")
    return bytes(body)


def _decode(body: bytes, coding: str, cap: int, url: str) -> bytes:
    if coding == "identity" or not body:
        return body
    if coding not in {"gzip", "x-gzip"}:
        raise FetchError(f"{url} came with Content-Encoding {coding}, which was not asked for")
    unpacking = zlib.decompressobj(_GZIP)
    try:
        decoded = unpacking.decompress(body, cap + 1)
    except zlib.error as error:
        raise FetchError(f"{url} came with Content-Encoding gzip, but is not gzip") from error
    if len(decoded) > cap:
        raise MetadataTooLarge(f"{url}: more than {cap:,} bytes when unpacked")
    if not unpacking.eof:
        raise FetchError(f"{url}: the gzip data ends too early")
    return decoded
