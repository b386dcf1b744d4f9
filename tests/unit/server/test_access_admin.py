"""The admin side on an address of its own, and what browsers may not be made to do."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import signal
import subprocess
import sys

import aiohttp
import pytest

from mirror.errors import CrossOrigin, PortInUse
from mirror.model import Role
from mirror.server.access import refuse_cross_origin
from mirror.server.serving import running_server
from mirror.service import Mirror as Service
from mirror.settings import Settings

FILES = {"streams/v1/index.json": b"{}", "a": b"a"}


@pytest.fixture
def admin(mirror):
    with Service.open(Settings(data_dir=mirror.root)) as service:
        yield service.tokens.create("root", Role.ADMIN, by="test").secret


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


async def statuses(url, paths, token=None):
    async with aiohttp.ClientSession(headers=bearer(token) if token else {}) as session:
        found = {}
        for path in paths:
            async with session.get(url + path) as answer:
                found[path] = answer.status
        return found


ADMIN_ONLY = ("/api/v1/tokens", "/api/v1/openapi.json", "/metrics")
CONTENT_ONLY = ("/images/stable/a", "/images/stable/streams/v1/index.json")
BOTH = ("/healthz", "/readyz", "/keys/mirror.gpg")


async def test_the_admin_side_is_at_its_own_address_and_nowhere_else(mirror, admin, free_port):
    mirror.publish(FILES)
    async with mirror.serving(admin_port=free_port) as url:
        there = f"http://127.0.0.1:{free_port}"
        assert url != there
        assert set((await statuses(url, ADMIN_ONLY, admin)).values()) == {404}
        assert set((await statuses(there, ADMIN_ONLY, admin)).values()) == {200}
        assert set((await statuses(url, CONTENT_ONLY)).values()) == {200}
        assert set((await statuses(there, CONTENT_ONLY, admin)).values()) == {404}
        for at in (url, there):
            assert set((await statuses(at, BOTH)).values()) == {200}
        # a token in the path is for images, not for the admin side
        paths = [f"/t/{admin}{path}" for path in ADMIN_ONLY]
        for at in (url, there):
            assert set((await statuses(at, paths)).values()) == {404}


async def test_without_an_address_of_its_own_it_is_beside_the_images(mirror, admin):
    mirror.publish(FILES)
    async with mirror.serving() as url:
        found = await statuses(url, (*ADMIN_ONLY, *CONTENT_ONLY, *BOTH), admin)
    assert set(found.values()) == {200}


async def test_an_admin_port_that_is_taken_is_said_and_leaves_nothing_open(mirror, free_port):
    async with mirror.serving() as url:
        taken = int(url.rsplit(":", 1)[1])
        with pytest.raises(PortInUse, match=str(taken)):
            async with running_server(mirror.options(port=free_port, admin_port=taken)):
                pass
    async with mirror.serving(port=free_port):
        pass


async def test_workers_and_supervisor_serve_both_addresses(mirror, admin, free_port, eventually):
    mirror.publish(FILES)
    program = (
        "import sys, msgspec; from mirror.server.options import ServerOptions;"
        "from mirror.server.supervisor import run_server;"
        "run_server(msgspec.json.decode(sys.argv[1], type=ServerOptions),"
        " on_ready=lambda url: print(url, flush=True))"
    )
    import msgspec

    options = msgspec.json.encode(mirror.options(admin_port=free_port, workers=2)).decode()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, options), stdout=subprocess.PIPE
    )
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        url, there = line.decode().strip(), f"http://127.0.0.1:{free_port}"
        for _ in range(8):  # whichever worker answers
            assert (await statuses(url, ADMIN_ONLY, admin)) == dict.fromkeys(ADMIN_ONLY, 404)
            assert (await statuses(there, ADMIN_ONLY, admin)) == dict.fromkeys(ADMIN_ONLY, 200)
            assert set((await statuses(url, CONTENT_ONLY)).values()) == {200}
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0


@pytest.mark.parametrize(
    ("method", "headers", "refused"),
    [
        ("GET", {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil"}, False),
        ("HEAD", {"Sec-Fetch-Site": "cross-site"}, False),
        ("POST", {}, False),
        ("POST", {"Sec-Fetch-Site": "same-origin", "Origin": "http://mirror:8080"}, False),
        ("POST", {"Sec-Fetch-Site": "none"}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, True),
        ("POST", {"Sec-Fetch-Site": "same-site", "Origin": "http://mirror:8080"}, True),
        ("POST", {"Sec-Fetch-Site": ""}, True),
        ("DELETE", {"Origin": "http://evil", "Host": "mirror:8080"}, True),
        ("DELETE", {"Origin": "http://mirror:8080", "Host": "mirror:8080"}, False),
        ("DELETE", {"Origin": "http://mirror:81", "Host": "mirror:8080"}, True),
        ("PATCH", {"Origin": "null", "Host": "mirror"}, True),
        ("PATCH", {"Origin": "null", "Host": ""}, True),
        ("PUT", {"Origin": "http://mirror.evil", "Host": "mirror"}, True),
        ("PUT", {"Origin": "http://mirror@evil", "Host": "mirror"}, True),
        ("FOO", {"Origin": "http://[", "Host": "mirror"}, True),
    ],
)
def test_a_page_of_another_site_changes_nothing(method, headers, refused):
    if refused:
        with pytest.raises(CrossOrigin):
            refuse_cross_origin(method, headers)
    else:
        refuse_cross_origin(method, headers)


async def test_credentials_that_a_browser_adds_do_not_help_another_site(mirror, admin):
    mirror.publish(FILES)
    login = base64.b64encode(f"me:{admin}".encode()).decode()
    body = json.dumps({"name": "x", "role": "reader"})
    json_type = {"Content-Type": "application/json", "Authorization": f"Basic {login}"}
    async with mirror.serving() as url, aiohttp.ClientSession(headers=json_type) as session:

        async def create(**headers):
            async with session.post(f"{url}/api/v1/tokens", data=body, headers=headers) as answer:
                return answer.status, await answer.json()

        for foreign in ({"Origin": "http://evil"}, {"Sec-Fetch-Site": "cross-site"}):
            status, problem = await create(**foreign)
            assert status == 403
            assert problem["code"] == "MIR-805"
        for own in ({}, {"Origin": url}, {"Sec-Fetch-Site": "same-origin"}):
            assert (await create(**own))[0] == 201


@pytest.mark.parametrize("reading", ["open", "token"])
@pytest.mark.parametrize("apart", [False, True])
async def test_nothing_changes_without_a_token_on_any_address(mirror, free_port, reading, apart):
    with Service.open(Settings(data_dir=mirror.root)) as service:
        assert service.audit.list() == []
    mirror.publish(FILES)
    port = free_port if apart else None
    async with mirror.serving(reading=reading, admin_port=port) as url:
        addresses = [url, f"http://127.0.0.1:{port}"] if apart else [url]
        async with aiohttp.ClientSession() as session:
            document = f"{addresses[-1]}/api/v1/openapi.json"
            async with session.get(document) as answer:
                paths = json.loads(await answer.read())["paths"]
            changes = [
                (method, path)
                for path, methods in paths.items()
                for method in methods
                if method in {"post", "put", "patch", "delete"}
            ]
            assert len(changes) > 5
            for address in addresses:
                expected = 401 if address == addresses[-1] else 404
                for method, path in changes:
                    at = address + re.sub(r"\{\w+\}", "1", path)
                    async with session.request(method, at, json={}) as answer:
                        assert answer.status == expected, (method, at)
    with Service.open(Settings(data_dir=mirror.root)) as service:
        assert service.audit.list() == []
