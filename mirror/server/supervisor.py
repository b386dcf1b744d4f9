"""Serve a data directory with several worker processes on one port.

The supervisor binds the port, starts the workers, replaces those that die, and hands SIGTERM and
SIGINT down as a graceful drain. It serves nothing itself, so nothing that a client sends can reach
it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import ServeError
from mirror.server.listen import bind_all, url_of
from mirror.server.options import WorkerOptions
from mirror.server.worker import READY
from mirror.store.store import Store

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from mirror.server.options import ServerOptions

START_TIMEOUT = 120.0
"""Seconds that a worker may take to load the channels."""

STEADY = 30.0
"""A worker that has run for so many seconds is replaced at once; others after a growing pause."""

FIRST_PAUSE = 0.5
MAX_PAUSE = 10.0

_log = logging.getLogger(__name__)


def run_server(options: ServerOptions, *, on_ready: Callable[[str], None] = print) -> int:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends it at once. Returns 0.

    `on_ready` gets the base URL when every worker accepts connections. Raises PortInUse,
    AddressUnusable, ServeError, and what `Store.open` raises.
    """
    Store.open(Path(options.data_dir))
    sockets = bind_all(options, options.workers)
    try:
        return asyncio.run(_Supervisor(options, sockets).run(on_ready))
    finally:
        for sock in (sock for own in sockets for sock in own):
            sock.close()


class _Supervisor:
    def __init__(self, options: ServerOptions, sockets: Sequence[Sequence[socket.socket]]) -> None:
        self._options = options
        self._sockets = sockets
        self._processes: set[Process] = set()
        self._stopping = asyncio.Event()

    async def run(self, on_ready: Callable[[str], None]) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        url = url_of(self._sockets[0][0])
        try:
            first = await asyncio.gather(*(self._start(own) for own in self._sockets))
            if not self._stopping.is_set():
                on_ready(url)
            pairs = zip(self._sockets, first, strict=True)
            await asyncio.gather(*(self._keep(own, process) for own, process in pairs))
        finally:
            await self._end()
        return 0

    def _stop(self) -> None:
        if self._stopping.is_set():
            self._signal(signal.SIGKILL)
            return
        self._stopping.set()
        # the kernel goes on queueing connections for a socket that anyone holds open
        for sock in (sock for own in self._sockets for sock in own):
            sock.close()
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.send_signal(number)

    async def _start(self, sockets: Sequence[socket.socket]) -> Process:
        """Start a worker and wait until it accepts; ServeError, TimeoutError if it never does."""
        descriptors = tuple(sock.fileno() for sock in sockets)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "mirror.server.worker"),
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=descriptors,
            # a Ctrl-C on the terminal is for us: we hand it down
            start_new_session=True,
            # one arena: the threads that load snapshots would each keep memory of their own
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        )
        self._processes.add(process)
        try:
            await asyncio.wait_for(self._hand_over(process, descriptors), START_TIMEOUT)
        except (ServeError, TimeoutError):
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self._processes.discard(process)
            raise
        return process

    async def _hand_over(self, process: Process, descriptors: tuple[int, ...]) -> None:
        """Tell a new worker what to do and wait until it accepts; ServeError if it ends instead."""
        if process.stdin is None or process.stdout is None:
            raise ServeError("a worker process has no pipes")
        with suppress(ConnectionError):
            orders = msgspec.json.encode(WorkerOptions(self._options, descriptors))
            process.stdin.write(orders + b"\n")
            await process.stdin.drain()
        if self._stopping.is_set():
            process.terminate()
        if await process.stdout.readline() != READY and not self._stopping.is_set():
            status = await process.wait()
            raise ServeError(f"a worker process ended with status {status} before it was ready")

    async def _keep(self, sockets: Sequence[socket.socket], process: Process) -> None:
        """Replace the worker whenever it dies, until we stop."""
        loop = asyncio.get_running_loop()
        pause = 0.0
        while True:
            started = loop.time()
            status = await process.wait()
            self._processes.discard(process)
            if self._stopping.is_set():
                return
            _log.error("worker %d ended with status %d; restarting it", process.pid, status)
            if loop.time() - started > STEADY:
                pause = 0.0
            replacement = await self._replace(sockets, pause)
            if replacement is None:
                return
            process = replacement
            pause = min(MAX_PAUSE, pause * 2 or FIRST_PAUSE)

    async def _replace(self, sockets: Sequence[socket.socket], pause: float) -> Process | None:
        """Start a worker after a pause, trying until one is up; None if we are to stop."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            if self._stopping.is_set():
                return None
            try:
                return await self._start(sockets)
            except (ServeError, TimeoutError, OSError) as error:
                pause = min(MAX_PAUSE, pause * 2 or FIRST_PAUSE)
                _log.error("%s; trying again in %g s", error or "it took too long", pause)

    async def _end(self) -> None:
        """Wait for the workers to drain; kill those that take too long."""
        self._signal(signal.SIGTERM)
        limit = self._options.drain.total_seconds() + 5
        waiting = [asyncio.create_task(process.wait()) for process in self._processes]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=limit)
            if late:
                self._signal(signal.SIGKILL)
                await asyncio.wait(late)
