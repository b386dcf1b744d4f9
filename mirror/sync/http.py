"""One boot source's HTTP client: proxy, CA, credentials, redirects, and our own errors."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from mirror.errors import (
    FetchError,
    HttpStatus,
    SettingsInvalid,
    Stalled,
    TlsFailed,
    TooManyRedirects,
    Truncated,
    Unreachable,
)
from mirror.sync.rate import Rate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from mirror.model import BootSource

USER_AGENT = "maas-image-mirror"
MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_READ_BUFFER = 1 << 20
"""Bytes that aiohttp gathers (it may hold twice that) before it stops reading the socket.

Large: pausing and resuming a socket for each 64 KiB is what makes asyncio slow on a fast link.
"""


class Http:
    """GETs from one boot source. Made by `open_session`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        source: BootSource,
        authorization: str,
        *,
        answer_within: float,
    ) -> None:
        self.rate = Rate(source.bandwidth)
        self._answer_within = answer_within
        self._session = session
        self._origin = clean_url(source.url).origin()
        self._authorization = authorization

    @asynccontextmanager
    async def get(
        self, url: str, headers: Mapping[str, str] | None = None, *, ok: tuple[int, ...] = (200,)
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the response to a GET whose status is one of `ok`, after following redirects.

        The body is not decoded. Errors of the network, also while the body is read inside the
        `async with`, come as `FetchError`s; any other status as `HttpStatus`.
        """
        with translated(url):
            async with asyncio.timeout(self._answer_within):
                answer = await self._follow(url, headers or {})
            async with answer as response:
                if response.status not in ok:
                    raise _status_error(response)
                yield response

    async def _follow(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        target = clean_url(url)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._session.get(
                target, headers=self._headers(target, headers), allow_redirects=False
            )
            location = response.headers.get("Location", "")
            if response.status not in _REDIRECTS or not location:
                return response
            response.release()
            target = _redirected(target, location)
        raise TooManyRedirects(f"{show_url(url)} redirects more than {MAX_REDIRECTS} times")

    def _headers(self, target: URL, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers to send to `target`: credentials only ever go to the source itself."""
        if self._authorization and target.origin() == self._origin:
            return {**headers, "Authorization": self._authorization}
        return dict(headers)


@asynccontextmanager
async def open_session(
    source: BootSource, *, connect: float = 15, stall: float = 30
) -> AsyncIterator[Http]:
    """Yield the client of `source`.

    Connecting may take `connect` seconds; silence of `stall` seconds in an answer is `Stalled`.
    Raises `SettingsInvalid` for a CA, password file or proxy that can't be used.
    """
    context = await asyncio.to_thread(_tls_context, source)
    authorization = await asyncio.to_thread(_authorization, source)
    timeout = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=connect, sock_read=stall)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=context),
        timeout=timeout,
        auto_decompress=False,
        read_bufsize=_READ_BUFFER,
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=_proxy(source),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
    ) as session:
        yield Http(session, source, authorization, answer_within=connect + 2 * stall)


def clean_url(url: str) -> URL:
    """Parse an http or https URL and take user and password off it. Raises `SettingsInvalid`."""
    try:
        parsed = URL(url)
        origin = parsed.origin()
    except ValueError as error:
        raise SettingsInvalid(f"a boot source's URL can't be read: {error}") from None
    if origin.scheme not in {"http", "https"}:
        raise SettingsInvalid(f"{show_url(url)} is not an http or https URL")
    return parsed.with_user(None)


def show_url(url: str) -> str:
    """Return `url` as it may be shown: without user and password."""
    try:
        return str(URL(url).with_user(None))
    except ValueError:
        return "(a URL that can't be read)"


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise our errors for whatever aiohttp, TLS and the network raise inside."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _translate(error, show_url(url)) from error


def _translate(error: Exception, url: str) -> FetchError:  # noqa: PLR0911 (a table)
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            return TlsFailed(f"{url}: {error}")
        case aiohttp.ConnectionTimeoutError():
            return Unreachable(f"{url}: no connection in time")
        case TimeoutError():
            return Stalled(f"{url}: no byte came for too long")
        case aiohttp.ClientConnectorError():
            return Unreachable(f"{url}: {_why_not_connected(error.os_error)}")
        case aiohttp.ClientHttpProxyError():
            return HttpStatus(
                f"{url}: the proxy answered {error.status} {error.message}", status=error.status
            )
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError() | OSError():
            return Truncated(f"{url}: the connection was closed: {error}")
        case _:
            return FetchError(f"{url}: the answer is not HTTP: {type(error).__name__}: {error}")


def _why_not_connected(error: OSError) -> str:
    """Say it in the system's words: asyncio puts the address in their place."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)  # of a name that can't be resolved


def _status_error(response: aiohttp.ClientResponse) -> HttpStatus:
    return HttpStatus(
        f"{response.url} answered {response.status} {response.reason or ''}".rstrip(),
        status=response.status,
        retry_after=_retry_after(response.headers.get("Retry-After", "")),
    )


def _retry_after(value: str) -> float | None:
    """Read a Retry-After header, in seconds or as a date."""
    if value.isdecimal() and value.isascii():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
        return max(0.0, (at - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _redirected(base: URL, location: str) -> URL:
    try:
        target = base.join(URL(location)).with_user(None)
        allowed = target.scheme in {"http", "https"} and bool(target.host)
    except ValueError:
        allowed = False
    if not allowed:
        raise FetchError(f"{base} redirects to an address that is not http or https")
    if base.scheme == "https" and target.scheme == "http":
        raise FetchError(f"{base} redirects from https to http ({target.host}): not followed")
    return target


def _tls_context(source: BootSource) -> ssl.SSLContext | bool:
    if not source.ca_file:
        return True
    try:
        context = ssl.create_default_context()
        context.load_verify_locations(source.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsInvalid(
            f"source {source.name}: the CA file {source.ca_file} can't be used: {error}"
        ) from error
    return context


def _authorization(source: BootSource) -> str:
    """Return the Authorization header of the source's own credentials, or of those in its URL."""
    given = URL(source.url)
    user, password = given.user or "", given.password or ""
    if source.username:
        user, password = source.username, _password(source)
    if not user:
        return ""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def _password(source: BootSource) -> str:
    if not source.password_file:
        return ""
    try:
        return Path(source.password_file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(
            f"source {source.name}: the password file {source.password_file} can't be read: {error}"
        ) from error


def _proxy(source: BootSource) -> URL | None:
    if not source.proxy:
        return None
    try:
        proxy = URL(source.proxy)
    except ValueError:
        proxy = URL()
    if proxy.scheme not in {"http", "https"} or not proxy.host:
        raise SettingsInvalid(
            f"source {source.name}: the proxy must be an http or https URL, as http://HOST:PORT"
        )
    return proxy
