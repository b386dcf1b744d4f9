from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import resource
import shutil
import ssl
import subprocess
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from certificates import make_certificate

from mirror.errors import TlsInvalid
from mirror.server.supervisor import run_server
from mirror.server.tls import Tls

BIG = 40 * 2**20
FILES = {"streams/v1/index.json": b'{"index": {}}', "small": b"small"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Certificates by name, and of both kinds of keys."""
    directory = tmp_path_factory.mktemp("certificates")
    return {
        name: make_certificate(directory, name, kind=kind)
        for name, kind in (("first", "ec"), ("second", "ec"), ("third", "rsa"))
    }


@pytest.fixture
def pair(tmp_path, made):
    """The files that the server reads; `use` puts another pair there as a renewal does."""

    class Pair:
        certificate, key = tmp_path / "tls.pem", tmp_path / "tls.key"

        def use(self, name, *, only=""):
            for target, source in zip((self.certificate, self.key), made[name], strict=True):
                if only in ("", target.suffix):
                    fresh = target.with_suffix(".new")
                    shutil.copy(source, fresh)
                    fresh.replace(target)

        @property
        def options(self):
            return {"tls_certificate": str(self.certificate), "tls_key": str(self.key)}

    pair = Pair()
    pair.use("first")
    return pair


def trusting(made, *names):
    context = ssl.create_default_context()
    for name in names or made:
        context.load_verify_locations(made[name][0])
    return context


async def served_name(url, made, *, sni=None, context=None):
    """Return whose certificate a new connection is shown."""
    host, port = url.removeprefix("https://").split(":")
    context = context or trusting(made)
    _, writer = await asyncio.open_connection(
        host, int(port), ssl=context, server_hostname=sni or host
    )
    [[[_, name]]] = writer.get_extra_info("peercert")["subject"]
    writer.close()
    await writer.wait_closed()
    return name


async def test_files_ranges_and_metadata_come_over_tls(mirror, pair, made):
    data = os.urandom(BIG)
    mirror.publish({**FILES, "big": data})
    connector = aiohttp.TCPConnector(ssl=trusting(made))
    async with (
        mirror.serving(**pair.options) as url,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        assert url.startswith("https://")

        async def get(path, **headers):
            async with session.get(f"{url}/images/stable/{path}", headers=headers) as answer:
                return answer.status, await answer.read()

        assert await get("streams/v1/index.json") == (200, FILES["streams/v1/index.json"])
        assert await get("big") == (200, data)
        assert await get("big", Range="bytes=1000000-20999999") == (206, data[1000000:21000000])
        status, parts = await get("big", Range="bytes=0-9,100-109,-10")
        assert status == 206
        assert all(part in parts for part in (data[:10], data[100:110], data[-10:]))
        at_once = await asyncio.gather(*(get("big") for _ in range(4)))
        assert {hashlib.sha256(body).digest() for _, body in at_once} == {
            hashlib.sha256(data).digest()
        }
        async with session.head(f"{url}/images/stable/big") as answer:
            assert answer.headers["Content-Length"] == str(BIG)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_spoken(mirror, pair, made, version):
    mirror.publish(FILES)
    context = trusting(made)
    context.minimum_version = context.maximum_version = version
    async with mirror.serving(**pair.options) as url:
        assert await served_name(url, made, context=context) == "first"


async def test_older_versions_are_refused(mirror, pair):
    mirror.publish(FILES)
    async with mirror.serving(**pair.options) as url:
        done = await asyncio.to_thread(
            subprocess.run,
            ["openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-connect", url[8:]],
            input=b"",
            capture_output=True,
            check=False,
        )
    assert done.returncode != 0
    assert b"Cipher is (NONE)" in done.stdout


async def test_a_renewed_certificate_is_taken_and_running_transfers_go_on(
    mirror, pair, made, eventually
):
    data = os.urandom(BIG)
    mirror.publish({**FILES, "big": data})
    connector = aiohttp.TCPConnector(ssl=trusting(made), limit=1)
    async with (
        mirror.serving(**pair.options) as url,
        aiohttp.ClientSession(connector=connector, read_bufsize=2**16) as session,
        session.get(f"{url}/images/stable/big") as running,
    ):
        begun = await running.content.readexactly(100)
        for name in ("second", "third", "first"):
            pair.use(name)

            async def renewed(name=name):
                # by address, so without a server name; and with one
                return (
                    await served_name(url, made) == name
                    and await served_name(url, made, sni="localhost") == name
                )

            await eventually(renewed)
        assert begun + await running.content.read() == data


async def test_a_bad_renewal_changes_nothing_and_is_said(mirror, pair, made, eventually, caplog):
    mirror.publish(FILES)
    connector = aiohttp.TCPConnector(ssl=trusting(made), force_close=True)
    async with (
        mirror.serving(**pair.options) as url,
        aiohttp.ClientSession(connector=connector) as session,
    ):

        async def warnings():
            async with session.get(f"{url}/readyz") as answer:
                assert answer.status == 200
                return (await answer.json())["warnings"]

        async def warned():
            return "certificate_not_renewed" in await warnings()

        async def fine():
            return "certificate_not_renewed" not in await warnings()

        assert await fine()

        def truncated():
            pair.certificate.write_bytes(pair.certificate.read_bytes()[:100])

        def mismatched():
            pair.use("first")
            pair.use("second", only=".pem")

        for breaks in (truncated, mismatched, pair.key.unlink):
            breaks()
            await eventually(warned)
            assert await served_name(url, made) == "first"
            assert "stays in use" in caplog.text
            pair.use("first")
            await eventually(fine)
        pair.use("second")

        async def second():
            return await served_name(url, made) == "second"

        await eventually(second)


async def test_plain_http_on_a_tls_port_does_no_harm(mirror, pair, made, ask, caplog):
    mirror.publish(FILES)
    async with mirror.serving(**pair.options) as url:
        plain = url.replace("https", "http")
        for request in (
            b"GET /images/stable/small HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x00" * 5000,
            b"\x16\x03\x01\x07\xd0" + os.urandom(2000),  # a whole record, of nonsense
            b"\r\n" * 10,
        ):
            try:
                answer = await ask(plain, request)
            except ConnectionError:
                answer = b""
            assert b"200" not in answer
            assert b"small" not in answer
        for _ in range(50):
            _, writer = await asyncio.open_connection(*plain.removeprefix("http://").split(":"))
            writer.close()
        assert await served_name(url, made) == "first"
    assert "Traceback" not in caplog.text
    loud = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not [record for record in loud if record.name in {"asyncio", "mirror.server.app"}]


async def test_a_slow_client_costs_little_memory(mirror, pair, made):
    data = os.urandom(BIG)
    mirror.publish({**FILES, "big": data})
    readers = 20
    async with mirror.serving(**pair.options) as url:
        host, port = url.removeprefix("https://").split(":")
        before = _memory()
        opened = []
        for _ in range(readers):
            reader, writer = await asyncio.open_connection(
                host, int(port), ssl=trusting(made), limit=2**14
            )
            writer.write(b"GET /images/stable/big HTTP/1.1\r\nHost: x\r\n\r\n")
            opened.append((reader, writer))
        for reader, _ in opened:
            await reader.readexactly(1000)
        await asyncio.sleep(2)
        grown = _memory() - before
        for _, writer in opened:
            writer.transport.abort()
        await asyncio.sleep(0.1)
    assert grown < readers * 3 * 2**20  # of client and server together


async def test_a_client_that_takes_nothing_is_cut_off(mirror, pair, made, eventually):
    mirror.publish({**FILES, "big": os.urandom(BIG)})
    async with mirror.serving(**pair.options, send_timeout=timedelta(seconds=2)) as url:
        host, port = url.removeprefix("https://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=trusting(made), limit=2**14)
        writer.write(b"GET /images/stable/big HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.5)
        writer.transport.pause_reading()
        inode = writer.get_extra_info("socket").getsockname()[1]

        async def cut():
            return not _established(int(port), inode)

        await eventually(cut, 20)
        writer.transport.abort()


async def test_a_blob_that_shrank_ends_in_a_cut_connection(mirror, pair, made):
    data = os.urandom(BIG)
    mirror.publish({**FILES, "big": data})
    path = mirror.blob_path(data)
    async with mirror.serving(**pair.options) as url:
        connector = aiohttp.TCPConnector(ssl=trusting(made))
        async with (
            aiohttp.ClientSession(connector=connector, read_bufsize=2**16) as session,
            session.get(f"{url}/images/stable/big") as answer,
        ):
            await answer.content.readexactly(100)
            path.chmod(0o600)
            os.truncate(path, BIG // 2)
            with pytest.raises(aiohttp.ClientError):
                await answer.content.read()


async def test_shutting_down_does_not_wait_for_idle_clients(mirror, pair, made):
    mirror.publish(FILES)
    loop = asyncio.get_running_loop()
    context = mirror.serving(**pair.options)
    url = await context.__aenter__()
    host, port = url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting(made))
    writer.write(b"GET /images/stable/small HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"small")
    writer.transport.pause_reading()  # it does not even answer a goodbye
    start = loop.time()
    await context.__aexit__(None, None, None)
    assert loop.time() - start < 5
    writer.transport.abort()
    await asyncio.sleep(0.1)


def test_what_can_not_be_used_is_said_before_anything_is_served(mirror, tmp_path, made):
    locked = make_certificate(tmp_path, "locked", passphrase="secret")
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    cases = (
        (tmp_path / "missing", made["first"][1]),
        (made["first"][0], tmp_path / "missing"),
        (made["first"][0], made["second"][1]),
        (made["first"][0], made["third"][1]),
        (empty, made["first"][1]),
        (made["first"][1], made["first"][1]),
        (made["first"][0], ""),
        locked,
    )
    for certificate, key in cases:
        options = mirror.options(tls_certificate=str(certificate), tls_key=str(key))
        with pytest.raises(TlsInvalid) as refused:
            run_server(options)
        assert str(certificate) in str(refused.value)


def test_certificate_and_key_may_be_in_one_file(tmp_path, made):
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(file.read_bytes() for file in made["first"]))
    assert not Tls(str(both), "").problem


def _memory() -> int:
    """Return the resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _established(server: int, client: int) -> bool:
    """Say whether the server's end of a connection is still there."""
    wanted = f":{server:04X}", f":{client:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if local.endswith(wanted[0]) and remote.endswith(wanted[1]):
            return state == "01"
    return False
