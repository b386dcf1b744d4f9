from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import pytest

from mirror.server.notify import notify, watchdog_interval


@pytest.fixture
def manager(tmp_path):
    """Return a socket as the service manager's, and its address."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.settimeout(20)
        yield sock, address


def test_it_reaches_a_socket_in_a_directory(manager, monkeypatch):
    sock, address = manager
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1", "STATUS=well")
    assert sock.recv(1000) == b"READY=1\nSTATUS=well"


def test_it_reaches_a_socket_in_the_kernel(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        name = f"mirror-test-{os.getpid()}"
        sock.bind("\0" + name)
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify("READY=1")
        assert sock.recv(1000) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "relative", "/there/is/no/such/socket"])
def test_without_a_manager_nothing_happens(address, monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


@pytest.mark.parametrize(
    ("usec", "pid", "expected"),
    [
        ("60000000", None, 30.0),
        ("60000000", "ours", 30.0),
        ("60000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_pings_go_twice_as_often_as_asked(usec, pid, expected, monkeypatch):
    pid = str(os.getpid()) if pid == "ours" else pid
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert watchdog_interval() == expected


async def test_a_served_mirror_says_that_it_is_ready_well_and_stopping(mut, cli, manager):
    sock, address = manager
    process = await _serve(cli, address)
    try:
        assert (await _next(sock)).startswith("READY=1\nSTATUS=serving http://127.0.0.1:")
        assert await _next(sock) == "WATCHDOG=1"
        assert await _next(sock) == "WATCHDOG=1"
        process.send_signal(signal.SIGTERM)
        while (said := await _next(sock)) == "WATCHDOG=1":
            pass
        assert said.startswith("STOPPING=1")
    finally:
        await _end(process)
    assert process.returncode == 0


async def test_with_a_worker_that_hangs_it_does_not_say_that_it_is_well(mut, cli, manager):
    sock, address = manager
    process = await _serve(cli, address, hung="1")
    try:
        assert (await _next(sock)).startswith("READY=1")
        [worker] = await _workers(process)
        assert await _next(sock) == "WATCHDOG=1"
        os.kill(worker, signal.SIGSTOP)
        await asyncio.sleep(1.5)
        _drain(sock)
        await asyncio.sleep(1)
        assert not _drain(sock)
        os.kill(worker, signal.SIGCONT)
        assert await _next(sock) == "WATCHDOG=1"
    finally:
        await _end(process)


# `mirror serve`, with another idea of how long a worker may hang
PROGRAM = """
import sys
from mirror.server import supervisor
supervisor.HUNG = float(sys.argv.pop(1))
from mirror.cli import main
main()
"""


async def _serve(cli, address, hung="20"):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, hung, "--data-dir", str(cli.data_dir)),
        *("serve", "--host", "127.0.0.1", "--port", "0", "--workers", "1", "--no-jobs"),
        env={**cli.environment, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _next(sock):
    return (await asyncio.to_thread(sock.recv, 1000)).decode()


def _drain(sock):
    said = []
    sock.setblocking(False)
    try:
        while True:
            said.append(sock.recv(1000))
    except BlockingIOError:
        return said
    finally:
        sock.settimeout(20)


async def _workers(process):
    children = await asyncio.create_subprocess_exec(
        *("pgrep", "-P", str(process.pid)), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await children.communicate()
    return [int(line) for line in out.split()]


async def _end(process):
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
    await process.wait()
