"""Read every boot source's stream: one conditional request where nothing changed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog import SourceMemory
from mirror.errors import MirrorError
from mirror.model import Problem, SourceState, SourceStatus
from mirror.signing.keyring import keyring_of
from mirror.signing.verify import Verifier
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.verify import INDEX, Seen
from mirror.sync.events import Emit, SourceChecked
from mirror.sync.http import open_session
from mirror.sync.metadata import fetch_stream
from mirror.sync.place import FetchedStream, Unchanged, Validators
from mirror.sync.plan import Offer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from mirror.catalog import Catalog
    from mirror.model import BootSource, Snapshot
    from mirror.store.blobs import WritableBlobs


class SourceRead(msgspec.Struct, frozen=True):
    """One source's stream, verified: what it offers, and what to remember of it."""

    offer: Offer
    stream: FetchedStream


class SourcesRead(msgspec.Struct, frozen=True):
    """What came of reading the sources: changed streams, unchanged names, and errors by name.

    `confirmed` says of each that had not changed which of its addresses said so. `own` is the offer
    of the operator's own images.
    """

    read: tuple[SourceRead, ...]
    unchanged: tuple[str, ...]
    problems: dict[str, MirrorError]
    confirmed: dict[str, Unchanged] = {}
    own: Offer | None = None

    @property
    def offers(self) -> list[Offer]:
        """Return what the sources offer that were read."""
        own = [self.own] if self.own is not None else []
        return [*(each.offer for each in self.read), *own]

    @property
    def has_failed(self) -> bool:
        """Say whether no boot source could be read that had to be."""
        return bool(self.problems) and not self.read and not self.confirmed


def merge(first: SourcesRead, second: SourcesRead) -> SourcesRead:
    """Put two readings together: the second is of sources that the first found unchanged."""
    return SourcesRead(
        read=(*first.read, *second.read),
        unchanged=second.unchanged,
        problems={**first.problems, **second.problems},
        confirmed={**first.confirmed, **second.confirmed},
        own=first.own or second.own,
    )


def with_own(read: SourcesRead, own: Offer, conditional: frozenset[str]) -> SourcesRead:
    """Add the operator's own images: unchanged where nothing else has, if they may be."""
    name = own.source.name
    if name in conditional:
        return msgspec.structs.replace(read, unchanged=(*read.unchanged, name))
    return msgspec.structs.replace(read, own=own)


async def read_sources(
    sources: Iterable[BootSource],
    memories: Mapping[str, SourceMemory],
    *,
    conditional: frozenset[str],
    now: datetime,
    accept_rollback: bool,
    stall: float,
    attempts: int,
    emit: Emit,
) -> SourcesRead:
    """Read the sources side by side; those named in `conditional` only if they changed.

    One source's error does not stop the others.
    """
    sources = list(sources)
    results = await asyncio.gather(
        *(
            _read_source(
                source,
                memories[source.name],
                conditional=source.name in conditional,
                now=now,
                accept_rollback=accept_rollback,
                stall=stall,
                attempts=attempts,
                emit=emit,
            )
            for source in sources
        ),
        return_exceptions=True,
    )
    problems: dict[str, MirrorError] = {}
    for source, result in zip(sources, results, strict=True):
        if isinstance(result, MirrorError):
            problems[source.name] = result
        elif isinstance(result, BaseException):
            raise result
    confirmed = {
        source.name: result
        for source, result in zip(sources, results, strict=True)
        if isinstance(result, Unchanged)
    }
    return SourcesRead(
        read=tuple(each for each in results if isinstance(each, SourceRead)),
        unchanged=tuple(confirmed),
        problems=problems,
        confirmed=confirmed,
    )


async def _read_source(
    source: BootSource,
    memory: SourceMemory,
    *,
    conditional: bool,
    now: datetime,
    accept_rollback: bool,
    stall: float,
    attempts: int,
    emit: Emit,
) -> SourceRead | Unchanged:
    seen = msgspec.json.decode(memory.seen, type=dict[str, Seen])
    validators = msgspec.json.decode(memory.validators, type=Validators | None)
    verifier = await asyncio.to_thread(verifier_of, source)
    try:
        async with open_session(source, stall=stall) as http:
            stream = await fetch_stream(
                source,
                http,
                verifier=verifier,
                seen=seen,
                validators=validators if conditional else None,
                now=now,
                limits=Limits(),
                accept_rollback=accept_rollback,
                attempts=attempts,
                emit=emit,
            )
    finally:
        if verifier is not None:
            await asyncio.to_thread(verifier.close)
    if isinstance(stream, Unchanged):
        emit(SourceChecked(source.name, changed=False))
        return stream
    products = tuple(product for file in stream.products for product in file.products)
    rejected = tuple(each for file in stream.products for each in file.rejected)
    emit(SourceChecked(source.name, changed=True, products=len(products)))
    return SourceRead(Offer(source, stream.base_url, products, rejected), stream)


def verifier_of(source: BootSource) -> Verifier | None:
    """Return what checks the source's signatures; None for one that is trusted unsigned.

    The keyring file is read now: what was put in its place counts from the next sync on. Raises
    `KeyringMissing`, `KeyringInvalid`.
    """
    if source.trust == "none":
        return None
    return Verifier(keyring_of(source), source.fingerprints, name=source.name)


def record_statuses(catalog: Catalog, sources: SourcesRead, now: datetime) -> None:
    """Write down how each source was that was read, in one transaction."""
    before = catalog.statuses.all()
    after = [
        *(_good(each, now) for each in sources.read),
        *(_confirmed(before, name, each, now) for name, each in sources.confirmed.items()),
        *(_failing(before, name, error, now) for name, error in sources.problems.items()),
    ]
    catalog.statuses.store({each.name: each for each in after})


def _good(read: SourceRead, now: datetime) -> SourceStatus:
    offer, stream = read.offer, read.stream
    return SourceStatus(
        name=offer.source.name,
        checked=now,
        believed=now,
        updated=stream.seen[INDEX].updated,
        url=stream.base_url,
        fingerprint=stream.fingerprint,
        products=len(offer.products),
        rejected=len(offer.rejected),
        passed_over=stream.passed_over,
    )


def _confirmed(
    before: Mapping[str, SourceStatus], name: str, answer: Unchanged, now: datetime
) -> SourceStatus:
    return msgspec.structs.replace(
        before.get(name, SourceStatus(name=name)),
        checked=now,
        believed=now,
        url=answer.base_url,
        passed_over=answer.passed_over,
        problem=None,
        failing_since=None,
    )


def _failing(
    before: Mapping[str, SourceStatus], name: str, error: MirrorError, now: datetime
) -> SourceStatus:
    known = before.get(name, SourceStatus(name=name))
    return msgspec.structs.replace(
        known,
        checked=now,
        problem=Problem(name, error.code, error.what, error.remedy),
        failing_since=known.failing_since or now,
        passed_over=(),
    )


def remember(catalog: Catalog, sources: SourcesRead, settled: str) -> None:
    """Remember what was read, in one transaction: call it once the result is published."""
    own = {sources.own.source.name: SourceMemory(settled=settled)} if sources.own else {}
    catalog.remember(
        own
        | {
            each.offer.source.name: SourceMemory(
                validators=msgspec.Raw(msgspec.json.encode(each.stream.validators)),
                seen=msgspec.Raw(msgspec.json.encode(each.stream.seen)),
                settled=settled,
            )
            for each in sources.read
        }
    )


def source_states(
    sources: SourcesRead, snapshot: Snapshot | None, blobs: WritableBlobs
) -> dict[str, SourceState]:
    """Return what the next snapshot says of each source, and store the evidence.

    A source that was not read this time stays as the last snapshot has it.
    """
    states = dict(snapshot.sources) if snapshot else {}
    for each in sources.read:
        stream = each.stream
        states[each.offer.source.name] = SourceState(
            url=stream.base_url,
            updated=stream.index.updated.isoformat(),
            fingerprint=stream.fingerprint,
            files={path: blobs.add_bytes(data) for path, data in stream.files.items()},
        )
    return states
