"""Which addresses a boot source may send us to.

Who controls a source (or the traffic to it) can answer with a redirect to http://127.0.0.1/ or to a
cloud's metadata service, and so make this machine ask what only this machine can reach. The rule:
**no redirect leads nearer to this machine than the source itself is.** From a public source only to
public addresses; from one in the site's own network also to others there, never to this machine.

The rule is applied to each address at the moment of connecting to it, so that a name which resolves
to something else the second time is no way around it. Through a proxy it is the proxy that
resolves: there, only addresses that are written out can be judged.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohappyeyeballs import AddrInfoType

_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Scope(IntEnum):
    """How near to this machine an address is: the greater, the nearer."""

    PUBLIC = 0
    PRIVATE = 1
    LINK_LOCAL = 2
    LOOPBACK = 3


class ConnectionRefusedByUs(PermissionError):
    """We don't connect to this address. Its text names none, so that many of it read as one."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "the address is nearer to this machine than the source is")


class Guard:
    """Makes the sockets of a connector, and looks at the address of each before.

    `farthest` is that of the addresses that were connected to. With `within`, an address is refused
    that is nearer than the farthest one of that guard.
    """

    def __init__(self, host: str, within: Guard | None = None) -> None:
        self._assumed = scope_of_host(host)
        self._within = within
        self._farthest: Scope | None = None

    @property
    def farthest(self) -> Scope:
        """The source's own distance; before it was connected to, what its host's name says."""
        return self._assumed if self._farthest is None else self._farthest

    def socket(self, address: AddrInfoType) -> socket.socket:
        """Make the socket to connect to `address` with, or raise `ConnectionRefusedByUs`."""
        family, kind, protocol, _, where = address
        scope = scope_of(str(where[0]))
        if self._within is not None and scope > self._within.farthest:
            raise ConnectionRefusedByUs
        self._farthest = scope if self._farthest is None else min(scope, self._farthest)
        return socket.socket(family, kind, protocol)


def scope_of(address: str) -> Scope:
    """Say how near a numeric address is. What is no address at all counts as nearest."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return Scope.LOOPBACK
    inner = _embedded(ip)
    if inner is not None:
        return scope_of(str(inner))
    if ip.is_loopback or ip.is_unspecified:
        return Scope.LOOPBACK
    if ip.is_link_local or ip.is_multicast:
        return Scope.LINK_LOCAL
    return Scope.PUBLIC if ip.is_global else Scope.PRIVATE


def scope_of_host(host: str) -> Scope:
    """Say how near a host is by its name alone: a name is public until it is resolved.

    Other ways to write an IPv4 address (127.1, 0x7f000001) are no names: they count as nearest.
    """
    last = host.lower().rstrip(".").rpartition(".")[2]
    if last == "localhost":
        return Scope.LOOPBACK
    return scope_of(host.rstrip(".")) if ":" in host or _NUMBER.fullmatch(last) else Scope.PUBLIC


def _embedded(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a packet to this IPv6 address would go to in the end."""
    if isinstance(ip, ipaddress.IPv4Address):
        return None
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
