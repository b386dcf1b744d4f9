"""Where a redirect may lead: never nearer to this machine than the source itself is."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from mirror.errors import AddressRefused
from mirror.model import BootSource
from mirror.sync.addresses import Scope, scope_of, scope_of_host
from mirror.sync.http import open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("8.8.8.8", Scope.PUBLIC),
        ("2606:4700::1111", Scope.PUBLIC),
        ("10.0.0.1", Scope.PRIVATE),
        ("172.16.0.1", Scope.PRIVATE),
        ("192.168.1.1", Scope.PRIVATE),
        ("100.100.100.200", Scope.PRIVATE),
        ("fd00:ec2::254", Scope.PRIVATE),
        ("240.0.0.1", Scope.PRIVATE),
        ("169.254.169.254", Scope.LINK_LOCAL),
        ("fe80::1%eth0", Scope.LINK_LOCAL),
        ("224.0.0.1", Scope.LINK_LOCAL),
        ("127.0.0.1", Scope.LOOPBACK),
        ("127.9.9.9", Scope.LOOPBACK),
        ("0.0.0.0", Scope.LOOPBACK),
        ("::1", Scope.LOOPBACK),
        ("::", Scope.LOOPBACK),
        ("::ffff:127.0.0.1", Scope.LOOPBACK),
        ("::ffff:10.0.0.1", Scope.PRIVATE),
        ("::ffff:169.254.169.254", Scope.LINK_LOCAL),
        ("64:ff9b::7f00:1", Scope.LOOPBACK),
        ("2002:7f00:1::", Scope.LOOPBACK),
        ("64:ff9b::808:808", Scope.PUBLIC),
        ("nonsense", Scope.LOOPBACK),
    ],
)
def test_how_near_an_address_is(address: str, scope: Scope) -> None:
    assert scope_of(address) is scope


def test_a_name_is_public_until_it_is_resolved() -> None:
    assert scope_of_host("images.maas.io") is Scope.PUBLIC
    assert scope_of_host("localhost") is Scope.LOOPBACK
    assert scope_of_host("x.localhost") is Scope.LOOPBACK
    assert scope_of_host("10.0.0.1") is Scope.PRIVATE
    assert scope_of_host("fd00::1") is Scope.PRIVATE
    for other_form in ("LOCALHOST.", "127.0.0.1.", "127.1", "2130706433", "0x7f000001", "0x7f.1"):
        assert scope_of_host(other_form) is Scope.LOOPBACK, other_form


class Site:
    """A server on every address of this machine, that can redirect; it notes what it was asked."""

    def __init__(self) -> None:
        self.to = ""
        self.port = 0
        self.asked: list[tuple[str, str, str]] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        credentials = request.headers.get("Authorization", "")
        self.asked.append((request.host, request.path, credentials))
        if request.path.endswith("/away"):
            raise web.HTTPFound(self.to)
        return web.Response(text="answered")


@asynccontextmanager
async def serving() -> AsyncIterator[Site]:
    site = Site()
    runner = web.ServerRunner(web.Server(site.handle), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "0.0.0.0", 0).start()
        site.port = runner.addresses[0][1]
        yield site
    finally:
        await runner.cleanup()


def own_address() -> str:
    """An address of this machine that is not its loopback's, found without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


async def fetch(url: str, **source: Any) -> str:
    boot_source = BootSource(name="source", **{"url": url, **source})
    async with open_session(boot_source, connect=2, stall=2) as http, http.get(url) as response:
        return await response.text()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_a_source_elsewhere_does_not_lead_to_this_machine(host: str) -> None:
    async with serving() as site:
        site.to = f"http://{host}:{site.port}/secret"
        with pytest.raises(AddressRefused) as refused:
            await fetch(f"http://{own_address()}:{site.port}/away")
        assert refused.value.code == "MIR-410"
        assert [path for _, path, _ in site.asked] == ["/away"]


async def test_a_source_on_this_machine_may() -> None:
    async with serving() as site:
        site.to = f"http://localhost:{site.port}/there"
        assert await fetch(f"http://127.0.0.1:{site.port}/away") == "answered"


async def test_it_may_lead_further_away_and_credentials_stay_behind(tmp_path) -> None:
    (tmp_path / "password").write_text("secret")
    async with serving() as site:
        site.to = f"http://{own_address()}:{site.port}/there"
        given = {"username": "me", "password_file": str(tmp_path / "password")}
        assert await fetch(f"http://127.0.0.1:{site.port}/away", **given) == "answered"
        (_, _, first), (_, _, second) = site.asked
        assert (bool(first), bool(second)) == (True, False)


async def test_another_address_of_the_source_may_be_led_to() -> None:
    async with serving() as site:
        site.to = f"http://127.0.0.1:{site.port}/there"
        url = f"http://{own_address()}:{site.port}/away"
        fallback = (f"http://127.0.0.1:{site.port}/",)
        assert await fetch(url, fallback_urls=fallback) == "answered"


@pytest.mark.parametrize(
    "to", ["http://127.0.0.1:{port}/secret", "http://169.254.169.254/latest/meta-data/"]
)
async def test_a_public_source_behind_a_proxy_does_not_lead_inside(to: str) -> None:
    async with serving() as proxy:
        proxy.to = to.format(port=proxy.port)
        through = f"http://127.0.0.1:{proxy.port}"
        with pytest.raises(AddressRefused):
            await fetch("http://public.invalid/away", proxy=through)
        assert [path for _, path, _ in proxy.asked] == ["/away"]


async def test_a_name_that_resolves_to_this_machine_is_refused_when_it_is_connected_to() -> None:
    # public by its name, exempt from the proxy, and an address of this machine once it is resolved
    async with serving() as proxy:
        name = socket.gethostname()
        proxy.to = f"http://{name}:{proxy.port}/secret"
        given = {"proxy": f"http://127.0.0.1:{proxy.port}", "no_proxy": name}
        with pytest.raises(AddressRefused, match="nearer to this machine"):
            await fetch("http://public.invalid/away", **given)
        assert [path for _, path, _ in proxy.asked] == ["/away"]
