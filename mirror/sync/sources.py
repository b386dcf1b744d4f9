"""Read every boot source's stream: one conditional request where nothing changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog import SourceMemory
from mirror.errors import MirrorError
from mirror.model import SourceState
from mirror.signing.verify import Verifier, load_keyring
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.verify import Seen
from mirror.sync.events import Emit, SourceChecked
from mirror.sync.http import open_session
from mirror.sync.metadata import FetchedStream, Unchanged, Validators, fetch_stream
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
    """What came of reading the sources: changed streams, unchanged names, and errors by name."""

    read: tuple[SourceRead, ...]
    unchanged: tuple[str, ...]
    problems: dict[str, MirrorError]

    @property
    def offers(self) -> list[Offer]:
        """Return what the sources offer that were read."""
        return [each.offer for each in self.read]


def merge(first: SourcesRead, second: SourcesRead) -> SourcesRead:
    """Put two readings together: the second is of sources that the first found unchanged."""
    return SourcesRead(
        read=(*first.read, *second.read),
        unchanged=second.unchanged,
        problems={**first.problems, **second.problems},
    )


async def read_sources(
    sources: Iterable[BootSource],
    memories: Mapping[str, SourceMemory],
    *,
    conditional: frozenset[str],
    now: datetime,
    accept_rollback: bool,
    stall: float,
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
    return SourcesRead(
        read=tuple(each for each in results if isinstance(each, SourceRead)),
        unchanged=tuple(
            source.name
            for source, result in zip(sources, results, strict=True)
            if isinstance(result, Unchanged)
        ),
        problems=problems,
    )


async def _read_source(
    source: BootSource,
    memory: SourceMemory,
    *,
    conditional: bool,
    now: datetime,
    accept_rollback: bool,
    stall: float,
    emit: Emit,
) -> SourceRead | Unchanged:
    seen = msgspec.json.decode(memory.seen, type=dict[str, Seen])
    validators = msgspec.json.decode(memory.validators, type=Validators | None)
    verifier = await asyncio.to_thread(_verifier, source)
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


def _verifier(source: BootSource) -> Verifier | None:
    """Return what checks the source's signatures; None for one that is trusted unsigned."""
    if source.trust == "none":
        return None
    keyring = load_keyring(Path(source.keyring))
    return Verifier(keyring, source.fingerprints, name=source.name)


def remember(catalog: Catalog, sources: SourcesRead, settled: str) -> None:
    """Remember what was read, in one transaction: call it once the result is published."""
    catalog.remember(
        {
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
