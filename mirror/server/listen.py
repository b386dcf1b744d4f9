"""Sockets to listen on: one for each worker and address."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, NamedTuple

from mirror.errors import AddressUnusable, PortInUse

if TYPE_CHECKING:
    from mirror.server.options import ServerOptions

_Address = tuple[socket.AddressFamily, tuple[str, int]]


class Sockets(NamedTuple):
    """What one worker listens on. With no `admin` ones, all of it is at those of the content."""

    content: list[socket.socket]
    admin: list[socket.socket]

    @property
    def all(self) -> list[socket.socket]:
        """Return both."""
        return self.content + self.admin

    def close(self) -> None:
        """Close them."""
        for sock in self.all:
            sock.close()


def bind_all(options: ServerOptions, workers: int) -> list[Sockets]:
    """Return, for each worker, its sockets: bound, not listening yet.

    The kernel spreads connections over the sockets that listen (SO_REUSEPORT). Raises PortInUse,
    AddressUnusable.
    """
    content = _bind_workers(options, options.host, options.port, workers)
    if options.admin_port is None:
        return [Sockets(own, []) for own in content]
    try:
        admin = _bind_workers(options, options.admin_host, options.admin_port, workers)
    except (PortInUse, AddressUnusable):
        for sock in (sock for own in content for sock in own):
            sock.close()
        raise
    return [Sockets(*own) for own in zip(content, admin, strict=True)]


def _bind_workers(
    options: ServerOptions, host: str, port: int, workers: int
) -> list[list[socket.socket]]:
    addresses = _resolve(host, port)
    for index, (family, address) in enumerate(addresses):
        # SO_REUSEPORT would let us share the port with any other program that sets it
        probe = _bind(family, (address[0], port), share=False)
        port = probe.getsockname()[1]
        probe.close()
        addresses[index] = (family, (address[0], port))
    sockets = [[_bind(*address, share=True) for address in addresses] for _ in range(workers)]
    for sock in (sock for own in sockets for sock in own):
        # inherited by the connections: one whose client takes nothing for so long is closed
        milliseconds = int(options.send_timeout.total_seconds() * 1000)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return sockets


def url_of(sock: socket.socket, options: ServerOptions) -> str:
    """Return the URL that a client on this machine can use."""
    scheme = "https" if options.tls_certificate else "http"
    host, port = sock.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if sock.family == socket.AF_INET else "::1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _resolve(host: str, port: int) -> list[_Address]:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise AddressUnusable(f"{host!r} is not an address: {error}") from error
    # link-local addresses need their scope: keep only host and port of the others
    return [(family, (str(address[0]), int(address[1]))) for family, *_, address in found]


def _bind(family: socket.AddressFamily, address: tuple[str, int], *, share: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        where = f"{address[0]} port {address[1]}"
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"{where} is taken") from error
        raise AddressUnusable(f"can't listen on {where}: {error.strerror}") from error
    return sock
