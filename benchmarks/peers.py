"""The programs that we are measured against: found, installed where root allows, started."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import Failed, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROGRAMS = ("nginx", "curl", "wrk")
"""Debian's packages have these names too."""

WORKERS = 2

_NGINX = """
{user}
worker_processes {workers};
daemon off;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    default_type application/octet-stream;
    access_log off;
    log_format wire '$request_length $bytes_sent $request_method $uri';
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    {servers}
}}
"""

_SERVER = """
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{ root {root}; }}
        location /streams/ {{ root {streams}; }}
        {extra}
    }}
"""


@dataclass(frozen=True)
class Site:
    """One address of an nginx. `streams` is the folder that has `streams/`, if another."""

    root: Path
    streams: Path | None = None
    extra: str = ""


def program(name: str) -> str:
    """Return the path of a program: beside this Python, on PATH, or in the system's folders."""
    beside = Path(sys.executable).with_name(name)
    if beside.exists():
        return str(beside)
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not found:
        raise Failed(f"{name} is not installed")
    return found


def install_missing() -> None:
    """Install the peers that are missing, by name, if we are root and this is a Debian."""
    missing = [name for name in PROGRAMS if not _is_here(name)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"missing, and only root can install: apt-get install {' '.join(missing)}")
        return
    print(f"installing {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=False, stdout=subprocess.DEVNULL)
    for name in missing:
        subprocess.run(
            ["apt-get", "install", "-q", "-y", "--no-install-recommends", name],
            check=False,
            stdout=subprocess.DEVNULL,
            env=environment,
        )


def _is_here(name: str) -> bool:
    try:
        program(name)
    except Failed:
        return False
    return True


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def nginx(home: Path, sites: Sequence[Site]) -> Iterator[tuple[int, list[int]]]:
    """Run an nginx with its own settings; yield its process id and the port of each site."""
    home.mkdir(parents=True, exist_ok=True)
    ports = [free_port() for _ in sites]
    servers = "".join(
        _SERVER.format(
            port=port, root=site.root, streams=site.streams or site.root, extra=site.extra
        )
        for port, site in zip(ports, sites, strict=True)
    )
    settings = home / "nginx.conf"
    settings.write_text(
        _NGINX.format(
            user="user root;" if os.geteuid() == 0 else "",
            workers=WORKERS,
            home=home,
            servers=servers,
        )
    )
    command = [program("nginx"), "-p", str(home), "-c", str(settings), "-e", "stderr"]
    with running(command, log=home / "nginx.log") as process:
        for port in ports:
            _await_port(port, home)
        yield process.pid, ports


def _await_port(port: int, home: Path) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise Failed(f"nginx did not start: {(home / 'nginx.log').read_text()[-1500:]}")


@contextmanager
def slow_line(to: int, log: Path, *, latency: float, rate: float = 0) -> Iterator[int]:
    """Run a slow line to a port (see line.py); yield its own port. `rate` is in bytes/s."""
    port_line = [sys.executable, "-m", "benchmarks.line", "--to", str(to)]
    options = ["--latency", str(latency), "--rate", str(rate)]
    out = log.with_suffix(".port")
    with out.open("w") as stdout, log.open("w") as err:
        process = subprocess.Popen([*port_line, *options], stdout=stdout, stderr=err)
    try:
        for _ in range(200):
            if out.read_text().startswith("line "):
                break
            time.sleep(0.05)
        else:
            raise Failed(f"the slow line did not start: {log.read_text()[-1500:]}")
        yield int(out.read_text().split()[1])
    finally:
        process.terminate()
        process.wait()
