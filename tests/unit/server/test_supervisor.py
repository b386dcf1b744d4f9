from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import aiohttp
import msgspec
import pytest
from harness import children

from mirror.errors import AddressUnusable, NotInitialised, PortInUse
from mirror.server.supervisor import run_server

PROGRAM = """
import sys, msgspec
from mirror.server.options import ServerOptions
from mirror.server.supervisor import run_server
options = msgspec.json.decode(sys.argv[1], type=ServerOptions)
sys.exit(run_server(options, on_ready=lambda url: print(url, flush=True)))
"""
BIG = bytes(range(256)) * 100_000
FILES = {"streams/v1/index.json": b"{}\n", "big": BIG}
INDEX = "/images/stable/streams/v1/index.json"


class Running:
    def __init__(self, process, url):
        self.process = process
        self.url = url

    def workers(self):
        """Return the ids of the worker processes."""
        return set(children(self.process.pid))

    async def log(self):
        return (await self.process.stderr.read()).decode()


@pytest.fixture
def supervised(mirror):
    mirror.publish(FILES)

    @asynccontextmanager
    async def supervised(**changes):
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-c",
                PROGRAM,
                msgspec.json.encode(mirror.options(**changes)).decode(),
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            url = (await process.stdout.readline()).decode().strip()
            assert url, (await process.stderr.read()).decode()
            yield Running(process, url)
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            await process.wait()

    return supervised


async def _get(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.read()


async def test_both_workers_serve_and_a_killed_one_is_replaced(supervised, eventually):
    async with supervised() as server:
        first = server.workers()
        assert len(first) == 2
        victim = min(first)
        os.kill(victim, signal.SIGKILL)

        async def replaced():
            workers = server.workers()
            return len(workers) == 2 and victim not in workers

        assert await eventually(replaced)
        # connections go to either worker; one queued for the dead one waits for its successor
        answers = await asyncio.gather(*(_get(server.url + INDEX) for _ in range(30)))
        assert answers == [(200, b"{}\n")] * 30
        server.process.send_signal(signal.SIGTERM)
        assert await server.process.wait() == 0
        assert f"worker {victim} ended with status -9; restarting it" in await server.log()


async def test_sigterm_lets_a_transfer_end_and_takes_no_new_one(supervised, eventually):
    async with supervised() as server, aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/images/stable/big") as response:
            begin = await response.content.readexactly(1000)
            server.process.send_signal(signal.SIGTERM)

            async def refused():
                try:
                    await _get(server.url + INDEX)
                except aiohttp.ClientConnectorError:
                    return True
                except aiohttp.ClientError:
                    return False

            assert await eventually(refused)
            assert server.process.returncode is None
            assert begin + await response.read() == BIG
        assert await server.process.wait() == 0


async def test_a_transfer_that_takes_longer_than_the_drain_is_cut(supervised):
    async with (
        supervised(drain=timedelta(seconds=0.3), workers=1) as server,
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/images/stable/big") as response,
    ):
        await response.content.readexactly(1000)
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(server.process.wait(), 5) == 0
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_second_signal_ends_it_at_once(supervised, eventually):
    async with (
        supervised(drain=timedelta(minutes=5)) as server,
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/images/stable/big") as response,
    ):
        await response.content.readexactly(1000)
        server.process.send_signal(signal.SIGINT)

        async def draining():
            return len(server.workers()) == 1

        assert await eventually(draining)
        server.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(server.process.wait(), 5) == 0


async def test_workers_do_not_outlive_a_killed_supervisor(supervised, eventually):
    async with supervised() as server:
        workers = server.workers()
        server.process.kill()

        async def gone():
            return not any(map(_exists, workers))

        assert await eventually(gone)


async def test_a_port_that_another_program_has_is_refused(mirror):
    with socket.socket() as other:
        # even by one that would share it
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} is taken"):
            run_server(mirror.options(port=port))


async def test_an_address_that_is_not_ours_is_refused(mirror):
    with pytest.raises(AddressUnusable, match=r"192\.0\.2\.1"):
        run_server(mirror.options(host="192.0.2.1"))
    with pytest.raises(AddressUnusable, match="not an address"):
        run_server(mirror.options(host="no such host"))


async def test_a_directory_that_is_not_a_mirror_is_refused(mirror, tmp_path):
    (tmp_path / "empty").mkdir()
    options = msgspec.structs.replace(mirror.options(), data_dir=str(tmp_path / "empty"))
    with pytest.raises(NotInitialised):
        run_server(options)


async def test_a_client_that_takes_nothing_is_let_go(supervised, eventually):
    async with supervised(send_timeout=timedelta(seconds=1), workers=1) as server:
        [worker] = server.workers()
        host, port = server.url.removeprefix("http://").split(":")
        idle = _sockets(worker)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((host, int(port)))
            client.sendall(b"GET /images/stable/big HTTP/1.1\r\nHost: x\r\n\r\n")

            async def sending():
                return _sockets(worker) > idle + 1

            assert await eventually(sending)

            async def let_go():
                return _sockets(worker) == idle

            assert await eventually(let_go)


def _exists(process):
    return Path(f"/proc/{process}").exists()


def _sockets(process):
    return sum(
        _link(entry).startswith("socket:") for entry in Path(f"/proc/{process}/fd").iterdir()
    )


def _link(descriptor):
    try:
        return descriptor.readlink().name
    except FileNotFoundError:  # the process closed it after it was listed
        return ""
