"""Try a boot source: what its stream holds, who signed it, and which of its addresses work."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import MirrorError
from mirror.model import Problem
from mirror.signing.keyring import keyring_of, keys_of
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.verify import Seen
from mirror.sync.http import open_session
from mirror.sync.metadata import fetch_stream
from mirror.sync.place import FetchedStream
from mirror.sync.sources import verifier_of
from mirror.sync.urls import stream_urls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.catalog import SourceMemory
    from mirror.model import BootSource, Product
    from mirror.sync.events import Event

_ATTEMPTS = 2
"""Who looks at a report can ask again, and does not want to wait long for this one."""


class Address(msgspec.Struct, frozen=True):
    """One address of a source: the base of its stream, how old the copy there is, what is wrong."""

    url: str
    updated: datetime | None = None
    problem: Problem | None = None


class Offered(msgspec.Struct, frozen=True):
    """What a stream offers of one release of an operating system."""

    os: str
    release: str
    title: str
    arches: tuple[str, ...]
    labels: tuple[str, ...]
    products: int


class SourceReport(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that was read and verified, and not stored.

    `url` is the address that it was read from. `fingerprint` is of the primary key that signed it
    (empty: unsigned), `signer` whose key that is. `age` is that of the stream's own time,
    `updated`. `rejected` versions broke a rule.
    """

    name: str
    url: str
    addresses: tuple[Address, ...]
    fingerprint: str
    signer: str
    updated: datetime
    age: timedelta
    products: int
    rejected: int
    offered: tuple[Offered, ...]


async def report(source: BootSource, memory: SourceMemory, *, stall: float) -> SourceReport:
    """Read the stream from each of the source's addresses, and describe that of the first good one.

    Raises the first address's error if none is good.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    results = [
        await _try(_only(source, url), memory, now, stall)
        for url in dict.fromkeys((source.url, *source.fallback_urls))
    ]
    good = next((each for _, each in results if isinstance(each, FetchedStream)), None)
    if good is None:
        raise next(error for _, error in results if isinstance(error, MirrorError))
    products = [product for file in good.products for product in file.products]
    return SourceReport(
        name=source.name,
        url=good.base_url,
        addresses=tuple(_address(url, result) for url, result in results),
        fingerprint=good.fingerprint,
        signer=await asyncio.to_thread(_signer, source, good.fingerprint),
        updated=good.index.updated,
        age=now - good.index.updated,
        products=len(products),
        rejected=sum(len(file.rejected) for file in good.products),
        offered=offered(products),
    )


def offered(products: Iterable[Product]) -> tuple[Offered, ...]:
    """Sum up products by operating system and release; bootloaders have no release."""
    groups: dict[tuple[str, str], list[Product]] = {}
    for product in products:
        groups.setdefault((product.os, product.release), []).append(product)
    return tuple(
        Offered(
            os=os,
            release=release,
            title=str(group[-1].attributes.get("release_title", "")),
            arches=tuple(sorted({product.arch for product in group if product.arch})),
            labels=tuple(sorted({str(product.attributes.get("label", "")) for product in group})),
            products=len(group),
        )
        for (os, release), group in sorted(groups.items())
    )


def _only(source: BootSource, url: str) -> BootSource:
    return msgspec.structs.replace(source, url=url, fallback_urls=())


async def _try(
    source: BootSource, memory: SourceMemory, now: datetime, stall: float
) -> tuple[str, FetchedStream | MirrorError]:
    base = stream_urls(source.url).base
    verifier = await asyncio.to_thread(verifier_of, source)
    try:
        async with open_session(source, stall=stall) as http:
            stream = await fetch_stream(
                source,
                http,
                verifier=verifier,
                seen=msgspec.json.decode(memory.seen, type=dict[str, Seen]),
                validators=None,
                now=now,
                limits=Limits(),
                attempts=_ATTEMPTS,
                emit=_unsaid,
            )
    except MirrorError as error:
        return base, error
    finally:
        if verifier is not None:
            await asyncio.to_thread(verifier.close)
    assert isinstance(stream, FetchedStream)  # noqa: S101  (nothing was asked for conditionally)
    return base, stream


def _unsaid(event: Event) -> None:
    """Say nothing: what matters is in the report."""


def _address(url: str, result: FetchedStream | MirrorError) -> Address:
    if isinstance(result, FetchedStream):
        return Address(url, updated=result.index.updated)
    return Address(url, problem=Problem(url, result.code, result.what, result.remedy))


def _signer(source: BootSource, fingerprint: str) -> str:
    if not fingerprint:
        return ""
    keys = keys_of(keyring_of(source))
    return next((key.names[0] for key in keys if key.has(fingerprint) and key.names), "")
