"""Boot sources, and what is taken of what they offer."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from mirror.model.finding import Finding, Problem  # noqa: TC001  (msgspec reads it)


class BootSource(msgspec.Struct, frozen=True):
    """Where images come from.

    `url` is the base of the stream, or the address of one index file; `fallback_urls` are tried in
    order when it can't be reached. The keyring is `keyring` (the path of a binary or armored file)
    or `keyring_data` (armored, or base64 of binary); with neither, each of `fingerprints` must be
    of a key that the mirror knows already. `fingerprints` narrows a keyring to those primary keys
    or subkeys (empty: any key of it). `trust` is `signed`, or `none` for an unsigned source.
    `no_proxy` is a comma-separated list of hosts, domains and networks. Passwords are in files:
    none is ever in a URL or in the catalogue. `bandwidth` is in bytes per second (0: no limit); a
    `max_staleness` of 0 never refuses an old index.
    """

    name: str
    url: str
    fallback_urls: tuple[str, ...] = ()
    keyring: str = ""
    keyring_data: str = ""
    fingerprints: tuple[str, ...] = ()
    trust: str = "signed"
    priority: int = 0
    enabled: bool = True
    proxy: str = ""
    proxy_username: str = ""
    proxy_password_file: str = ""
    no_proxy: str = ""
    ca_file: str = ""
    username: str = ""
    password_file: str = ""
    bandwidth: int = 0
    max_staleness: timedelta = timedelta(days=7)


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a boot source was when it was last read.

    `state` is `good`, `stale` (its stream has got older than it may), `failing`, `unread` or
    `disabled`. `checked` is when it was last asked, `believed` when it last answered with what
    could be believed: a stream of the time `updated`, signed by the primary key `fingerprint`, at
    `url`. `problem` is what was wrong the last time; `passed_over` says what was wrong with
    addresses that were tried before the one that answered. `products` of it were read, `rejected`
    versions could not be.
    """

    name: str
    state: str = "unread"
    checked: datetime | None = None
    believed: datetime | None = None
    updated: datetime | None = None
    url: str = ""
    fingerprint: str = ""
    products: int = 0
    rejected: int = 0
    problem: Problem | None = None
    failing_since: datetime | None = None
    passed_over: tuple[Problem, ...] = ()


class Selection(msgspec.Struct, frozen=True):
    """What to take: the products that pass every condition, of `source` (empty: of any source).

    `os`, `release`, `arches`, `subarches` and `labels` are as in MAAS's selections (empty, or `*`:
    any); `filters` are simplestreams filters (`release~(jammy|noble)`). `keep` is how many versions
    of each product to hold, newest first. `bootloaders` lets the products come along that a plugin
    says every selection needs.
    """

    id: int
    filters: tuple[str, ...] = ()
    source: str = ""
    keep: int = 2
    os: str = ""
    release: str = ""
    arches: tuple[str, ...] = ()
    subarches: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    bootloaders: bool = True


class AvailableImage(msgspec.Struct, frozen=True):
    """A product that a boot source offers, as of the last sync that read it.

    `version` is the newest, of `bytes`; `digest` is of what its items are. `taken` is whether the
    channel has it from this source; `reason` says why not (not selected, a higher priority, no
    plugin, what went wrong). `findings` is what the plugin `judge` (`ubuntu=0.1.0`; '': none has
    looked) found in the newest version when it was fetched: also in one that it condemned.
    """

    source: str
    product: str
    os: str
    release: str
    arch: str
    subarch: str
    label: str
    title: str
    version: str
    bytes: int
    taken: bool
    reason: str = ""
    digest: str = ""
    judge: str = ""
    findings: tuple[Finding, ...] = ()
