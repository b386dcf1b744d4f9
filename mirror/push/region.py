"""A MAAS region's API, as far as uploads need it."""

from __future__ import annotations

import asyncio
import io
import ssl
import time
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
from yarl import URL

from mirror.errors import (
    ApiKeyInvalid,
    HttpStatus,
    RegionAnswerInvalid,
    RegionRefused,
    SourceInvalid,
)
from mirror.plugin_manager.words import clean
from mirror.push.oauth import authorization
from mirror.sync.http import USER_AGENT, translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mirror.push.oauth import ApiKey

_SKEW = 60.0
"""Seconds between its clock and ours from which on a refusal may be due to that."""
_LONGEST_ANSWER = 1 << 20
_WORDS = 500
"""Characters of what MAAS says that are shown."""


class Answer(NamedTuple):
    """What the region said."""

    status: int
    body: bytes


def api_of(url: str) -> URL:
    """Return where the API is, for the address of a MAAS (`http://maas:5240/MAAS/`).

    Raises `SourceInvalid`.
    """
    try:
        parsed = URL(url)
    except ValueError as error:
        raise SourceInvalid(f"{url!r} is not the address of a MAAS: {error}") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.user:
        what = (
            f"{str(parsed.with_user(None)) if parsed.host else url!r} is not http://HOST:5240/MAAS"
        )
        raise SourceInvalid(what)
    path = parsed.path.rstrip("/").removesuffix("/api/2.0") or "/MAAS"
    return parsed.with_path(f"{path}/api/2.0/")


class Region:
    """One region's API. Made by `open_region`."""

    def __init__(
        self, api: URL, key: ApiKey, session: aiohttp.ClientSession, patience: float = 60
    ) -> None:
        self.api = api
        self._key = key
        self._session = session
        self._patience = patience
        """Seconds that the whole body of an answer may take."""
        self._ahead = 0.0
        """How many seconds its clock is ahead of ours, as far as that matters."""

    async def post(self, path: str, fields: dict[str, str]) -> Answer:
        """POST a form; 200 or 201 is success. Raises as `send` does."""
        return await self.send("POST", path, fields=fields)

    async def put(self, path: str, body: bytes) -> Answer:
        """PUT bytes. Raises as `send` does."""
        return await self.send("PUT", path, body=body)

    async def get(self, path: str) -> Answer:
        """GET. Raises as `send` does."""
        return await self.send("GET", path)

    async def delete(self, path: str) -> Answer:
        """DELETE. Raises as `send` does."""
        return await self.send("DELETE", path)

    async def send(
        self, method: str, path: str, *, fields: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Send one request, signed afresh; once more where only the clocks differ.

        `path` is relative to the API, or begins with a slash. Raises `RegionRefused` for a 4xx,
        `ApiKeyInvalid` for a 401, `HttpStatus` for what may pass, and `FetchError`.
        """
        url = self._url(path)
        for last in (False, True):
            with translated(str(url)):
                async with self._session.request(
                    method,
                    url,
                    headers={"Authorization": authorization(self._key, time.time() + self._ahead)},
                    data=self._body(fields, body),
                    allow_redirects=False,
                ) as response:
                    async with asyncio.timeout(self._patience):
                        said = await _all_said(response.content)
                    status, date = response.status, response.headers.get("Date", "")
            if status != 401 or last or not self._heed_clock(date):
                break
        said = said.replace(self._key.secret.encode(), b"***")  # some say what they were asked
        return _checked(str(url), Answer(status, said))

    def _url(self, path: str) -> URL:
        """Return the URL: what MAAS tells us to use must be on this MAAS."""
        try:
            url = self.api.join(URL(path))
        except ValueError as error:
            what = f"{self.api.origin()} names a place that is none: {path[:200]!r}: {error}"
            raise RegionAnswerInvalid(what) from None
        if url.origin() != self.api.origin():
            raise RegionRefused(f"{self.api.origin()} wants the image to be sent to {url.origin()}")
        return url

    @staticmethod
    def _body(fields: dict[str, str] | None, body: bytes) -> aiohttp.FormData | io.BytesIO | None:
        if fields is None:
            return io.BytesIO(body) if body else None
        form = aiohttp.FormData(default_to_multipart=True)
        for name, value in fields.items():
            form.add_field(name, value)
        return form

    def _heed_clock(self, date: str) -> bool:
        """Learn from an answer what time it is there; say whether that makes a difference."""
        try:
            there = parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError):
            return False
        ahead = there - time.time()
        differs = abs(ahead - self._ahead) > _SKEW
        self._ahead = ahead if differs else self._ahead
        return differs


@asynccontextmanager
async def open_region(
    url: str, key: ApiKey, *, ca_file: Path | None = None, stall: float = 60
) -> AsyncIterator[Region]:
    """Yield the region. Silence of `stall` seconds in an answer is `Stalled`.

    Raises `SourceInvalid` for an address or CA file that can't be used.
    """
    api = api_of(url)
    tls = await asyncio.to_thread(_tls, ca_file)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=stall)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls),
        middlewares=(_only_once,),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
    ) as session:
        yield Region(api, key, session, stall)


async def _all_said(content: aiohttp.StreamReader) -> bytes:
    """Read a body to its end, or as much of it as is ever looked at."""
    said = bytearray()
    while len(said) < _LONGEST_ANSWER and (piece := await content.readany()):
        said += piece
    return bytes(said[:_LONGEST_ANSWER])


async def _only_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Raise our own error where the connection breaks.

    At its own, aiohttp sends a PUT a second time, which to MAAS is another piece.
    """
    with translated(str(request.url)):
        return await handler(request)


def _tls(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ValueError) as error:
        raise SourceInvalid(f"the CA file {ca_file} can't be used: {error}") from None


def _checked(url: str, answer: Answer) -> Answer:
    status = answer.status
    if status < 300:
        return answer
    said = clean(answer.body[:4096].decode(errors="replace"), _WORDS)
    what = f"{url} answered {status}: {said}" if said else f"{url} answered {status}"
    if status == 401:
        raise ApiKeyInvalid(what)
    if 400 <= status < 500 and status not in {408, 425, 429}:
        raise RegionRefused(what, status=status)
    raise HttpStatus(what, status=status)
