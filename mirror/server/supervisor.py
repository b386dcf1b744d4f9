"""Serve a data directory with several worker processes on one port.

The supervisor binds the port, starts the workers and the runner of the jobs, replaces those that
die, and hands SIGTERM and SIGINT down as a graceful drain. It serves nothing itself, so nothing
that a client sends can reach it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import ServeError
from mirror.server.listen import bind_all, url_of
from mirror.server.meter import Board
from mirror.server.notify import notify, watchdog_interval
from mirror.server.options import WorkerOptions
from mirror.server.runner import RunnerOptions
from mirror.server.tls import tls_of
from mirror.server.worker import READY
from mirror.store.store import Store

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Sequence

    from mirror.server.listen import Sockets
    from mirror.server.options import ServerOptions

    Start = Callable[[], Awaitable[Process]]

START_TIMEOUT = 120.0
"""Seconds that a worker may take to load the channels."""

STEADY = 30.0
"""A worker that has run for so many seconds is replaced at once; others after a growing pause."""

HUNG = 20.0
"""A worker whose event loop has not turned for so many seconds hangs."""

FIRST_PAUSE = 0.5
MAX_PAUSE = 10.0

_log = logging.getLogger(__name__)


def run_server(options: ServerOptions, *, on_ready: Callable[[str], None] = print) -> int:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends it at once. Returns 0.

    `on_ready` gets the base URL when every worker accepts connections. Raises PortInUse,
    AddressUnusable, ServeError, and what `Store.open` raises.
    """
    Store.open(Path(options.data_dir))
    tls_of(options)  # what is wrong with it is said here, not by each worker
    sockets = bind_all(options, options.workers)
    try:
        return asyncio.run(_Supervisor(options, sockets).run(on_ready))
    finally:
        for own in sockets:
            own.close()


class _Supervisor:
    def __init__(self, options: ServerOptions, sockets: Sequence[Sockets]) -> None:
        self._options = options
        self._sockets = sockets
        self._processes: set[Process] = set()
        self._board = Board.create(len(sockets) + 1)
        self._accepting: dict[Process, int] = {}
        """The workers that accept connections, and their parts of the board."""
        self._stopping = asyncio.Event()

    async def run(self, on_ready: Callable[[str], None]) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        url = url_of(self._sockets[0].content[0], self._options)
        try:
            first = await asyncio.gather(*(self._start(own) for own in self._sockets))
            if not self._stopping.is_set():
                on_ready(url)
                notify("READY=1", f"STATUS=serving {url}")
            workers = [
                self._keep("worker", partial(self._start, own), process)
                for own, process in zip(self._sockets, first, strict=True)
            ]
            await asyncio.gather(*workers, self._keep_runner(), self._keep_watchdog())
        finally:
            await self._end()
        return 0

    def _stop(self) -> None:
        if self._stopping.is_set():
            self._signal(signal.SIGKILL)
            return
        self._stopping.set()
        notify("STOPPING=1", "STATUS=letting transfers end")
        # the kernel goes on queueing connections for a socket that anyone holds open
        for own in self._sockets:
            own.close()
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.send_signal(number)

    async def _start(self, sockets: Sockets) -> Process:
        """Start a worker and wait until it accepts; ServeError, TimeoutError if it never does."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "mirror.server.worker"),
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=(*_descriptors(sockets.all), self._board.descriptor),
            # a Ctrl-C on the terminal is for us: we hand it down
            start_new_session=True,
            # one arena: the threads that load snapshots would each keep memory of their own
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        )
        self._processes.add(process)
        try:
            await asyncio.wait_for(self._hand_over(process, sockets), START_TIMEOUT)
        except (ServeError, TimeoutError):
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self._processes.discard(process)
            raise
        self._accepting[process] = self._part(sockets)
        return process

    async def _hand_over(self, process: Process, sockets: Sockets) -> None:
        """Tell a new worker what to do and wait until it accepts; ServeError if it ends instead."""
        if process.stdin is None or process.stdout is None:
            raise ServeError("a worker process has no pipes")
        with suppress(ConnectionError):
            content, admin = _descriptors(sockets.content), _descriptors(sockets.admin)
            board, part = self._board.descriptor, self._part(sockets)
            orders = WorkerOptions(self._options, content, admin, board, part)
            process.stdin.write(msgspec.json.encode(orders) + b"\n")
            await process.stdin.drain()
        if self._stopping.is_set():
            process.terminate()
        if await process.stdout.readline() != READY and not self._stopping.is_set():
            status = await process.wait()
            raise ServeError(f"a worker process ended with status {status} before it was ready")

    def _part(self, sockets: Sockets) -> int:
        return self._sockets.index(sockets) + 1

    async def _keep_watchdog(self) -> None:
        """Tell the service manager, while we are well, that we are; it restarts us if we are not.

        Well means that the event loop of every worker turns, and that there is one.
        """
        interval = watchdog_interval()
        while interval and not self._stopping.is_set():
            parts = list(self._accepting.values())
            if parts and self._board.oldest_heartbeat(parts) < HUNG:
                notify("WATCHDOG=1")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), interval)

    async def _keep_runner(self) -> None:
        """Have a runner, if we are to; one that can't start stops nobody from serving."""
        if not self._options.jobs:
            return
        process = await self._replace(self._start_runner, 0.0)
        if process is not None:
            await self._keep("runner", self._start_runner, process)

    async def _start_runner(self) -> Process:
        options = self._options
        orders = RunnerOptions(
            options.data_dir, options.config, options.log_level, options.log_format
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "mirror.server.runner"),
            stdin=PIPE,
            start_new_session=True,
        )
        self._processes.add(process)
        if process.stdin is not None:
            with suppress(ConnectionError):
                process.stdin.write(msgspec.json.encode(orders) + b"\n")
                await process.stdin.drain()
        if self._stopping.is_set():
            process.terminate()
        return process

    async def _keep(self, what: str, start: Start, process: Process) -> None:
        """Replace the process whenever it dies, until we stop."""
        loop = asyncio.get_running_loop()
        pause = 0.0
        while True:
            started = loop.time()
            status = await process.wait()
            self._processes.discard(process)
            if self._stopping.is_set():
                return
            if self._accepting.pop(process, None) is not None:
                self._board.meter(0).count_restart()
            _log.error("%s %d ended with status %d; restarting it", what, process.pid, status)
            if loop.time() - started > STEADY:
                pause = 0.0
            replacement = await self._replace(start, pause)
            if replacement is None:
                return
            process = replacement
            pause = min(MAX_PAUSE, pause * 2 or FIRST_PAUSE)

    async def _replace(self, start: Start, pause: float) -> Process | None:
        """Start a process after a pause, trying until one is up; None if we are to stop."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            if self._stopping.is_set():
                return None
            try:
                return await start()
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


def _descriptors(sockets: Sequence[socket.socket]) -> tuple[int, ...]:
    return tuple(sock.fileno() for sock in sockets)
