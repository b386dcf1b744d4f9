"""How a server is told what to do; handed to worker processes as JSON."""

from __future__ import annotations

from datetime import timedelta

import msgspec

KEEP_ALIVE = 75.0
"""Seconds that an idle connection stays open."""


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen, and what to serve.

    `host` is a name or address, '' for every interface; `port` 0 takes any free one. `drain` is how
    long running transfers may go on after SIGTERM. `grace` is how long a channel answers for the
    files of superseded snapshots. Below `min_free` bytes of free space, /readyz warns.
    """

    data_dir: str
    config: str = ""
    """The settings file that was named with --config; '' for the one in the data directory."""
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 2
    drain: timedelta = timedelta(minutes=5)
    grace: timedelta = timedelta(days=2)
    min_free: int = 256 * 2**20
    send_timeout: timedelta = timedelta(minutes=2)
    """How long a client may take nothing of what is sent to it."""
    access_log: bool = False
    log_level: str = "INFO"


class WorkerOptions(msgspec.Struct, frozen=True):
    """What a worker process reads from its standard input: options, and sockets it inherited."""

    server: ServerOptions
    sockets: tuple[int, ...]
