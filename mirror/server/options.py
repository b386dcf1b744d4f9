"""How a server is told what to do; handed to worker processes as JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import msgspec

KEEP_ALIVE = 75.0
"""Seconds that an idle connection stays open."""


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen, and what to serve.

    `host` is a name or address, '' for every interface; `port` 0 takes any free one. `drain` is how
    long running transfers may go on after SIGTERM. `grace` is how long a channel answers for the
    files of superseded snapshots. Below `min_free` bytes of free space, /readyz warns.

    With an `admin_port`, the API, the metrics and the pages are at `admin_host` and that port, and
    nowhere else. With a `tls_certificate` (a PEM file with its chain; `tls_key` '': the key is in
    it, too) every address speaks TLS, and only TLS. Where `reading` is `token`, images need one.
    """

    data_dir: str
    config: str = ""
    """The settings file that was named with --config; '' for the one in the data directory."""
    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int | None = None
    tls_certificate: str = ""
    tls_key: str = ""
    reading: Literal["open", "token"] = "open"
    workers: int = 2
    jobs: bool = False
    """Run the schedule and the queued jobs, too."""
    drain: timedelta = timedelta(minutes=5)
    grace: timedelta = timedelta(days=2)
    min_free: int = 256 * 2**20
    send_timeout: timedelta = timedelta(minutes=2)
    """How long a client may take nothing of what is sent to it."""
    access_log: bool = False
    log_level: str = "INFO"
    log_format: Literal["plain", "json"] = "plain"
    metrics: Literal["token", "open"] = "token"
    """Who may read /metrics where the admin side has no address of its own."""


class WorkerOptions(msgspec.Struct, frozen=True):
    """What a worker process reads from its standard input: options, and sockets it inherited."""

    server: ServerOptions
    content: tuple[int, ...]
    admin: tuple[int, ...]
    board: int
    """The memory that the workers count in (see `meter`); `part` is this worker's."""
    part: int
