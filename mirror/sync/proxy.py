"""Whether a request goes through a boot source's proxy, and how it says who it is there.

Only what the source says counts: HTTP_PROXY and NO_PROXY of the environment are not read, so that
`mirror sync` by hand and the same sync in a service do the same.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from yarl import URL

from mirror.errors import SourceInvalid
from mirror.sync.secrets import read_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirror.model import BootSource

_HOST = re.compile(
    r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.ASCII
)
_PORT = re.compile(r"(?P<host>[^:]+|\[[^\]]+\]):(?P<port>\d{1,5})", re.ASCII)

Exempt = tuple[str | ipaddress.IPv4Network | ipaddress.IPv6Network, int]
"""A domain or a network, and a port (0: any)."""


def proxy_of(source: BootSource) -> Callable[[URL], URL | None]:
    """Return what tells the proxy to reach a URL by; None for one to connect to directly.

    Reads the proxy's password from its file. Raises `SourceInvalid`.
    """
    proxy = _proxy_url(source)
    exempt = parse_no_proxy(source.no_proxy)

    def proxy_for(url: URL) -> URL | None:
        return None if proxy is None or is_exempt(url, exempt) else proxy

    return proxy_for


def is_exempt(url: URL, exempt: tuple[Exempt, ...]) -> bool:
    """Say whether a URL is to be reached without the proxy.

    A domain stands for itself and what is below it; a network, for hosts that are written as
    addresses: no name is resolved to find out.
    """
    host = (url.raw_host or "").rstrip(".").lower()
    return any(_covers(what, host) for what, port in exempt if port in (0, url.port))


def _covers(what: str | ipaddress.IPv4Network | ipaddress.IPv6Network, host: str) -> bool:
    if isinstance(what, str):
        return what in {"*", host} or host.endswith("." + what)
    try:
        return ipaddress.ip_address(host.partition("%")[0]) in what
    except ValueError:
        return False


def parse_no_proxy(text: str) -> tuple[Exempt, ...]:
    """Read hosts, domains, addresses and networks, with commas or spaces between.

    `example.com`, `.example.com` and `*.example.com` are the same; `*` is everything; each but a
    network may have a `:PORT`. Raises `SourceInvalid` naming what can't be read.
    """
    return tuple(_exempt(each) for each in re.split(r"[,\s]+", text.strip()) if each)


def _exempt(entry: str) -> Exempt:
    ported = _PORT.fullmatch(entry)
    host, port = (ported["host"], int(ported["port"])) if ported else (entry, 0)
    host = host.strip("[]").lower()
    try:
        return ipaddress.ip_network(host, strict=False), port
    except ValueError:
        pass
    if host == "*":
        return "*", port
    domain = host.removeprefix("*").strip(".")
    # what is all digits and dots is a mistyped address, not a name
    if not _HOST.fullmatch(domain) or re.fullmatch(r"[0-9.]+", domain):
        raise SourceInvalid(
            f"no_proxy: {entry!r} is neither a host, a domain, an address nor a network",
            remedy="Write it as example.com, host.example.com:8080, 10.1.2.3 or 10.0.0.0/8.",
        )
    return domain, port


def _proxy_url(source: BootSource) -> URL | None:
    if not source.proxy:
        return None
    try:
        proxy = URL(source.proxy)
    except ValueError:
        proxy = URL()
    if proxy.scheme not in {"http", "https"} or not proxy.host:
        raise SourceInvalid(
            f"source {source.name}: the proxy must be an http or https URL, as http://HOST:PORT"
        )
    if source.proxy_username:
        password = read_secret(source.name, "proxy's password file", source.proxy_password_file)
        proxy = proxy.with_user(source.proxy_username).with_password(password)
    return proxy
