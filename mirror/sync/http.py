"""One boot source's HTTP client: proxy, CA, credentials, redirects, and our own errors."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from mirror.errors import (
    AddressRefused,
    FetchError,
    HttpStatus,
    ProxyUnreachable,
    SourceInvalid,
    Stalled,
    TlsFailed,
    TooManyRedirects,
    Truncated,
    Unreachable,
)
from mirror.sync.addresses import ConnectionRefusedByUs, Guard, scope_of_host
from mirror.sync.proxy import proxy_of
from mirror.sync.rate import Rate
from mirror.sync.secrets import read_secret
from mirror.sync.urls import clean_url, show_url, stream_urls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from mirror.model import BootSource

USER_AGENT = "maas-image-mirror"
MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_READ_BUFFER = 1 << 20
"""Bytes that aiohttp gathers (it may hold twice that) before it stops reading the socket.

Large: pausing and resuming a socket for each 64 KiB is what makes asyncio slow on a fast link.
"""


class Http:
    """GETs from one boot source. Made by `open_session`.

    `bases` are where its stream is, each with its last slash: in the order of the source's URLs.
    """

    def __init__(self, source: BootSource, access: _Access) -> None:
        self.rate = Rate(source.bandwidth)
        urls = (source.url, *source.fallback_urls)
        self.bases = tuple(dict.fromkeys(stream_urls(url).base for url in urls))
        self._access = access
        origins = [clean_url(url).origin() for url in urls]
        self._guards = {origin: Guard(origin.raw_host or "") for origin in origins}
        self._main = self._guards[origins[0]]
        self._sessions: dict[object, aiohttp.ClientSession] = {}

    @asynccontextmanager
    async def get(
        self, url: str, headers: Mapping[str, str] | None = None, *, ok: tuple[int, ...] = (200,)
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the response to a GET whose status is one of `ok`, after following redirects.

        The body is not decoded. Errors of the network, also while the body is read inside the
        `async with`, come as `FetchError`s; any other status as `HttpStatus`.
        """
        with translated(url):
            async with asyncio.timeout(self._access.answer_within):
                answer = await self._follow(url, headers or {})
            async with answer as response:
                if response.status not in ok:
                    raise _status_error(response)
                yield response

    def addresses(self, path: str, first: str = "") -> list[str]:
        """Return the URLs of a file of the stream, at every base: `first` first, if it is one.

        An address that the source no longer has is not asked any more.
        """
        return sorted((base + path for base in self.bases), key=lambda url: url != first)

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()

    async def _follow(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        target = first = clean_url(url)
        for _ in range(MAX_REDIRECTS + 1):
            proxy = self._access.proxy_for(target)
            response = await self._session(first, target, proxied=proxy is not None).get(
                target, headers=self._headers(target, headers), proxy=proxy, allow_redirects=False
            )
            location = response.headers.get("Location", "")
            if response.status not in _REDIRECTS or not location:
                return response
            response.release()
            target = _redirected(target, location)
        raise TooManyRedirects(f"{show_url(url)} redirects more than {MAX_REDIRECTS} times")

    def _session(self, first: URL, target: URL, *, proxied: bool) -> aiohttp.ClientSession:
        """Return the session for a request to `target` that set out for `first`.

        Each kind has connections of its own: what was connected to without a look at its address is
        never used for a redirect. See `addresses`.
        """
        origin, own = target.origin(), self._guards.get(first.origin(), self._main)
        if proxied:
            if origin not in self._guards and scope_of_host(target.raw_host or "") > own.farthest:
                raise _refused(str(target))
            return self._opened("proxied", None)
        if origin in self._guards:
            return self._opened(origin, self._guards[origin])
        return self._opened(("beyond", first.origin()), Guard("", within=own))

    def _opened(self, key: object, guard: Guard | None) -> aiohttp.ClientSession:
        if key not in self._sessions:
            self._sessions[key] = self._access.session(guard)
        return self._sessions[key]

    def _headers(self, target: URL, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers to send to `target`: credentials only ever go to the source itself."""
        if self._access.authorization and target.origin() in self._guards:
            return {**headers, "Authorization": self._access.authorization}
        return dict(headers)


@dataclass(frozen=True)
class _Access:
    """How to reach a source: what is read from files once, before the first request."""

    tls: ssl.SSLContext | bool
    authorization: str
    proxy_for: Callable[[URL], URL | None]
    connect: float
    stall: float

    @property
    def answer_within(self) -> float:
        return self.connect + 2 * self.stall

    def session(self, guard: Guard | None) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=self.connect, sock_read=self.stall
        )
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, ssl=self.tls, socket_factory=guard.socket if guard else None
            ),
            timeout=timeout,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )


@asynccontextmanager
async def open_session(
    source: BootSource, *, connect: float = 15, stall: float = 30
) -> AsyncIterator[Http]:
    """Yield the client of `source`.

    Connecting may take `connect` seconds; silence of `stall` seconds in an answer is `Stalled`.
    Raises `SourceInvalid` for a CA, password file or proxy that can't be used.
    """
    http = Http(source, await asyncio.to_thread(_access, source, connect, stall))
    try:
        yield http
    finally:
        await http.close()


def check_access(source: BootSource) -> None:
    """Raise `SourceInvalid` for what `open_session` could not work with. Blocks."""
    _access(source, 0, 0)


def _access(source: BootSource, connect: float, stall: float) -> _Access:
    return _Access(
        tls=_tls_context(source),
        authorization=_authorization(source),
        proxy_for=proxy_of(source),
        connect=connect,
        stall=stall,
    )


def _refused(url: str) -> AddressRefused:
    return AddressRefused(
        f"{url}: a redirect leads there, which is nearer to this machine than the source is"
    )


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
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedByUs()):
            return _refused(url)
        case aiohttp.ClientProxyConnectionError():
            proxy = f"{error.host}:{error.port}"
            return ProxyUnreachable(
                f"{url}: the proxy {proxy}: {_why_not_connected(error.os_error)}"
            )
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
        return _trusting(Path(source.ca_file).read_bytes())
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise SourceInvalid(
            f"source {source.name}: the CA file {source.ca_file} can't be used: {error}"
        ) from error


@lru_cache(maxsize=64)
def _trusting(certificates: bytes) -> ssl.SSLContext:
    """Return what trusts the system's authorities and these (PEM).

    Kept, for a sync with nothing new would spend nearly all of its time on reading the system's.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=certificates.decode("ascii", "ignore"))
    return context


def _authorization(source: BootSource) -> str:
    """Return the Authorization header of the source's own credentials, or of those in its URL."""
    given = URL(source.url)
    user, password = given.user or "", given.password or ""
    if source.username:
        user = source.username
        password = read_secret(source.name, "password file", source.password_file)
    if not user:
        return ""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
