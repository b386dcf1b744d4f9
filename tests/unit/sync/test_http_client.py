"""The HTTP client of a boot source: addresses, credentials, proxy, CA, and whose error it is."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from mirror.errors import HttpStatus, MirrorError, SourceInvalid, Stalled
from mirror.model import BootSource
from mirror.sync.http import open_session
from mirror.sync.place import unsigned_text
from mirror.sync.urls import clean_url, show_url, stream_urls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


@asynccontextmanager
async def serving(handle: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Answer every request, of any form, with `handle`; yield the port."""
    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """Answer every connection with `talk`; yield the URL."""
    tasks: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await reader.readline()
            with suppress(ConnectionError):
                await talk(writer)
        finally:
            writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        running = [task for task in tasks if task]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def get(url: str, **source: Any) -> bytes:
    boot_source = BootSource(name="source", **{"url": url, **source})
    async with open_session(boot_source, connect=2, stall=2) as http, http.get(url) as response:
        return await response.read()


async def code(url: str, **source: Any) -> str:
    with pytest.raises(MirrorError) as raised:
        await get(url, **source)
    assert "secret" not in str(raised.value)
    return raised.value.code


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    """Answer with what was asked for, and how."""
    auth = request.headers.get("Authorization", "")
    return web.Response(text=f"{request.method} {request.raw_path} {auth}")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("http://me:secret@host/base/", "http://host/base/"),
        ("https://host:8443/a%20b", "https://host:8443/a%20b"),
        ("http://host:99999/", "(a URL that can't be read)"),
        ("me:secret@host/base/", "(a URL that can't be read)"),
        ("host/base/", "host/base/"),
    ],
)
def test_urls_are_shown_without_credentials(given: str, shown: str) -> None:
    assert show_url(given) == shown


@pytest.mark.parametrize("url", ["ftp://host/", "host/path", "", "file:///etc/passwd", "http://"])
def test_what_is_not_http_is_refused(url: str) -> None:
    with pytest.raises(SourceInvalid):
        clean_url(url)


@pytest.mark.parametrize("path", ["", "/"])
def test_a_base_url_is_that_of_a_stream(path: str) -> None:
    urls = stream_urls(f"https://me:secret@host/ephemeral-v3/stable{path}")
    assert urls.base == "https://host/ephemeral-v3/stable/"
    assert urls.indexes == ("streams/v1/index.sjson", "streams/v1/index.json")
    unsigned = stream_urls("https://host/", signed=False)
    assert unsigned.base == "https://host/"
    assert unsigned.indexes == ("streams/v1/index.json", "streams/v1/index.sjson")


@pytest.mark.parametrize("name", ["index.sjson", "index.json", "com.example:daily.sjson"])
def test_an_index_may_be_named(name: str) -> None:
    urls = stream_urls(f"http://host:81/x/streams/v1/{name}")
    assert (urls.base, urls.indexes) == ("http://host:81/x/", (f"streams/v1/{name}",))


def test_the_text_of_a_signed_file_is_read_without_verifying_it() -> None:
    signed = (
        b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA512\r\n\r\n{\r\n- -1: 2\r\n}\r\n"
        b"-----BEGIN PGP SIGNATURE-----\r\n\r\nabc\r\n-----END PGP SIGNATURE-----\r\n"
    )
    assert unsigned_text(signed) == b"{\n-1: 2\n}"
    assert unsigned_text(b"{}\n") == b"{}\n"


async def test_credentials_of_the_url_and_of_the_settings_are_sent(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    async with serving(echo) as port:
        host = f"127.0.0.1:{port}"
        assert await get(f"http://me:secret@{host}/a") == b"GET /a Basic bWU6c2VjcmV0"
        given = {"username": "me", "password_file": str(password)}
        assert await get(f"http://{host}/a", **given) == b"GET /a Basic bWU6c2VjcmV0"
        assert await get(f"http://{host}/a") == b"GET /a "


async def test_credentials_do_not_follow_a_redirect_to_another_host() -> None:
    async with serving(echo) as other:

        async def away(request: web.BaseRequest) -> web.StreamResponse:
            assert "Authorization" in request.headers
            raise web.HTTPFound(f"http://me:secret@127.0.0.1:{other}/b")

        async with serving(away) as port:
            assert await get(f"http://me:secret@127.0.0.1:{port}/a") == b"GET /b "


async def test_relative_redirects_keep_the_credentials() -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/a/b":
            raise web.HTTPMovedPermanently("c")
        return await echo(request)

    async with serving(handle) as port:
        url = f"http://me:secret@127.0.0.1:{port}/a/b"
        assert await get(url) == b"GET /a/c Basic bWU6c2VjcmV0"


async def test_a_proxy_is_used() -> None:
    async with serving(echo) as port:
        proxy = f"http://127.0.0.1:{port}"
        assert await get("http://nowhere.invalid/x", proxy=proxy) == (
            b"GET http://nowhere.invalid/x "
        )


async def test_a_proxy_that_is_not_there(unused_tcp_port: int) -> None:
    proxy = f"http://me:secret@127.0.0.1:{unused_tcp_port}"
    assert await code("http://host.invalid/x", proxy=proxy) == "MIR-411"


@pytest.mark.parametrize("proxy", ["socks5://host", "host:3128", "http://", "http://h:99999"])
async def test_a_proxy_that_makes_no_sense(proxy: str) -> None:
    assert await code("http://host.invalid/", proxy=proxy) == "MIR-120"


async def test_a_name_that_does_not_resolve() -> None:
    assert await code("http://nowhere.invalid/") == "MIR-401"


async def test_what_answers_is_not_http() -> None:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()

    async with talking(talk) as url:
        assert await code(url) == "MIR-400"


async def test_headers_that_never_end_are_stalled() -> None:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            writer.write(b"y")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with talking(talk) as url:
        source = BootSource(name="source", url=url)
        async with open_session(source, connect=0.1, stall=0.1) as http:
            with pytest.raises(Stalled):
                async with http.get(url):
                    pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, and its key, in one file."""
    openssl = shutil.which("openssl")
    assert openssl, "the tests of TLS need openssl"
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    subprocess.run(
        [openssl, *new, "-days", "2", *subject, "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text(key.read_text() + cert.read_text())
    return both


async def test_tls_is_verified_by_the_given_ca(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    async with serving(echo, tls) as port:
        url = f"https://me:secret@127.0.0.1:{port}/a"
        assert await get(url, ca_file=str(certificate)) == b"GET /a Basic bWU6c2VjcmV0"
        assert await code(url) == "MIR-406"


async def test_https_is_not_left_for_http(certificate: Path) -> None:
    async def down(request: web.BaseRequest) -> web.StreamResponse:
        raise web.HTTPFound("http://127.0.0.1:1/")

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    async with serving(down, tls) as port:
        assert await code(f"https://127.0.0.1:{port}/", ca_file=str(certificate)) == "MIR-400"


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
async def test_a_ca_file_that_cannot_be_used(content: bytes | None, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_bytes(content)
    assert await code("https://host.invalid/", ca_file=str(ca_file)) == "MIR-120"


async def test_a_password_file_that_is_missing(tmp_path: Path) -> None:
    given = {"username": "me", "password_file": str(tmp_path / "missing")}
    assert await code("http://host.invalid/", **given) == "MIR-120"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), ("soon", None), ("", None), ("-1", None)],
)
async def test_retry_after_is_read(value: str, seconds: float | None) -> None:
    async def busy(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=503, headers={"Retry-After": value})

    async with serving(busy) as port:
        with pytest.raises(HttpStatus) as raised:
            await get(f"http://127.0.0.1:{port}/")
    assert (raised.value.status, raised.value.retry_after) == (503, seconds)
