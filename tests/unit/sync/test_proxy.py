"""Which requests go through a source's proxy, and what is sent to it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from yarl import URL

from mirror.errors import MirrorError, SourceInvalid
from mirror.model import BootSource
from mirror.sync.http import open_session
from mirror.sync.proxy import is_exempt, parse_no_proxy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("no_proxy", "url", "exempt"),
    [
        ("example.com", "http://example.com/", True),
        ("example.com", "http://images.example.com/", True),
        ("example.com", "http://notexample.com/", False),
        (".example.com", "http://example.com/", True),
        ("*.example.com", "http://images.example.com/", True),
        ("EXAMPLE.com", "http://Images.Example.COM./", True),
        ("images.example.com", "http://example.com/", False),
        ("example.com:8080", "http://example.com:8080/", True),
        ("example.com:8080", "http://example.com/", False),
        ("example.com:443", "https://example.com/", True),
        ("10.0.0.0/8", "http://10.200.3.4:5240/MAAS/", True),
        ("10.0.0.0/8", "http://11.0.0.1/", False),
        ("10.0.0.0/8", "http://ten.example/", False),
        ("10.1.2.3", "http://10.1.2.3/", True),
        ("10.1.2.3:81", "http://10.1.2.3/", False),
        ("fd00::/8", "http://[fd00::17]/", True),
        ("[fd00::17]:80", "http://[fd00::17]/", True),
        ("a.example b.example,  c.example", "http://b.example/", True),
        ("*", "http://anything/", True),
        ("", "http://anything/", False),
        (" , ", "http://anything/", False),
    ],
)
def test_what_is_reached_without_the_proxy(no_proxy: str, url: str, exempt: bool) -> None:
    assert is_exempt(URL(url), parse_no_proxy(no_proxy)) is exempt


@pytest.mark.parametrize(
    "no_proxy", ["10.0.0.0/99", "10.0.0", "http://host/", "me@host", "a..b", "-", "ex*mple.com"]
)
def test_what_cannot_be_read_is_named(no_proxy: str) -> None:
    with pytest.raises(SourceInvalid, match="no_proxy"):
        parse_no_proxy(f"fine.example,{no_proxy}")


async def _answer(request: web.BaseRequest) -> web.StreamResponse:
    said = request.headers.get("Proxy-Authorization", "nobody")
    return web.Response(text=f"{request.raw_path} by {said}")


@pytest.fixture
async def server():
    """A server that answers as a proxy would, and as a host does. Its port."""
    runner = web.ServerRunner(web.Server(_answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def _get(url: str, **more: str) -> str:
    source = BootSource(name="source", url=url, **more)
    async with open_session(source, connect=2, stall=2) as http, http.get(url) as response:
        return await response.text()


async def test_the_proxy_is_told_who_we_are_and_the_host_is_not(server, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret of the proxy\n")
    given = {
        "proxy": f"http://127.0.0.1:{server}",
        "proxy_username": "mirror",
        "proxy_password_file": str(password),
        "no_proxy": "127.0.0.0/8",
    }
    said = base64.b64encode(b"mirror:s3cret of the proxy").decode()
    assert await _get("http://nowhere.invalid/x", **given) == (
        f"http://nowhere.invalid/x by Basic {said}"
    )
    assert await _get(f"http://127.0.0.1:{server}/x", **given) == "/x by nobody"


async def test_the_environment_does_not_count(server, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert await _get(f"http://127.0.0.1:{server}/x") == "/x by nobody"


@pytest.mark.parametrize("content", [None, b"two\nlines\n", b"\xff\xfe", b"x" * 5000, b"a\0b"])
async def test_a_password_file_is_one_line_and_is_never_repeated(
    content: bytes | None, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    for fields in (
        {"username": "me", "password_file": str(file)},
        {
            "proxy": "http://127.0.0.1:9",
            "proxy_username": "me",
            "proxy_password_file": str(file),
        },
    ):
        with pytest.raises(MirrorError) as raised:
            await _get("http://127.0.0.1:9/", **fields)
        assert raised.value.code == "MIR-120"
        assert str(file) in raised.value.what
        assert "lines" not in raised.value.what


async def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceInvalid, match="is not a file"):
        await _get("http://127.0.0.1:9/", username="me", password_file=str(tmp_path / "pipe"))
