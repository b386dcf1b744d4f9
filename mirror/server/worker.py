"""One worker process: `python -m mirror.server.worker`, started by the supervisor.

It reads WorkerOptions as one line of JSON on its standard input, and writes `ready` on its standard
output when it accepts connections. SIGTERM makes it drain; so does the end of its standard input,
which comes when the supervisor is gone, however that went.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import sys

import msgspec

from mirror.errors import MirrorError
from mirror.logs import configure
from mirror.server.listen import Sockets
from mirror.server.meter import Board
from mirror.server.options import WorkerOptions
from mirror.server.serving import serving

READY = b"ready\n"

# it runs as __main__
_log = logging.getLogger("mirror.server.worker")


def main() -> int:
    """Run the worker; return its exit status."""
    options = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerOptions)
    configure(options.server.log_level, form=options.server.log_format)
    _allow_many_connections()
    try:
        asyncio.run(_serve(options))
    except MirrorError as error:
        _log.error("%s. %s", error, error.remedy)
        return error.exit_status
    return 0


async def _serve(options: WorkerOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await loop.connect_read_pipe(lambda: _Lifeline(stop), sys.stdin)
    sockets = Sockets(
        [socket.socket(fileno=fd) for fd in options.content],
        [socket.socket(fileno=fd) for fd in options.admin],
    )
    board = Board(options.board, options.server.workers + 1)
    async with serving(options.server, sockets, board, options.part):
        os.write(sys.stdout.fileno(), READY)
        await stop.wait()


class _Lifeline(asyncio.Protocol):
    """Watches the pipe whose other end is the supervisor's."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._stop.set()


def _allow_many_connections() -> None:
    """Raise the limit of open files as far as we may: the default is for interactive programs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
