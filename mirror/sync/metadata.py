"""Take a boot source's metadata, from the first of its addresses that can be believed.

A source may have several addresses, which hold copies of one stream. A stream is always taken whole
from one of them (`place`). What makes us pass an address over, and what stops the source, is in
`_PASSED_OVER`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.errors import FetchError, MetadataMismatch, MirrorError, NotJson, Rollback, Stale
from mirror.model import Problem
from mirror.sync.documents import ATTEMPTS
from mirror.sync.events import Note
from mirror.sync.place import FetchedStream, Place, Unchanged, Validators
from mirror.sync.urls import stream_urls

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mirror.model import BootSource
    from mirror.signing.verify import Verifier
    from mirror.simplestreams.limits import Limits
    from mirror.simplestreams.verify import Seen
    from mirror.sync.events import Emit
    from mirror.sync.http import Http

_ATTEMPTS_BEFORE_THE_NEXT = 2
"""Tries for a file at an address, while there is another address to go to."""

_PASSED_OVER = (FetchError, NotJson, MetadataMismatch, Rollback, Stale)
"""What makes us go on to a source's next address.

The network failed, a web page answered, or the copy there is behind (or being updated). Whoever
controls the first address can bring about any of these, and gains nothing: the next one is verified
by the same keys, against the same memory of what was seen, so that it is never older. What is
forged or contradicts what was signed before (a bad signature, another key, two contents of one
time, a date to come) is not passed over: it is a reason to look, and the last good snapshot stays.
"""


async def fetch_stream(
    source: BootSource,
    http: Http,
    *,
    verifier: Verifier | None,
    seen: Mapping[str, Seen],
    validators: Validators | None,
    now: datetime,
    limits: Limits,
    accept_rollback: bool = False,
    emit: Emit,
    attempts: int = ATTEMPTS,
    wait: float = 1.0,
) -> Unchanged | FetchedStream:
    """Take the source's stream, or learn with one request that it has not changed.

    `verifier` is None for a source that is trusted unsigned. `attempts` is how often a request may
    be made that fails in passing (fewer where there is another address to ask), `wait` how many
    seconds to wait before the first repetition. Raises FetchError, StreamError, IntegrityError.
    """
    if verifier is None:
        emit(Note(f"{source.name}: unsigned metadata is believed (trust = none)", "warning"))
    places = [
        stream_urls(url, signed=verifier is not None) for url in (source.url, *source.fallback_urls)
    ]
    errors: list[tuple[str, MirrorError]] = []
    for number, urls in enumerate(places, 1):
        last = number == len(places)
        place = Place(
            source=source,
            urls=urls,
            http=http,
            verifier=verifier,
            seen=seen,
            now=now,
            limits=limits,
            accept_rollback=accept_rollback and number == 1,
            emit=emit,
            wait=wait,
            attempts=attempts if last else min(attempts, _ATTEMPTS_BEFORE_THE_NEXT),
        )
        try:
            answer = await place.take(validators)
        except _PASSED_OVER as error:
            errors.append((urls.base, error))
            if not last:
                emit(_going_on(source, error, places[number].base))
        else:
            passed = tuple(Problem(at, e.code, e.what, e.remedy) for at, e in errors)
            return msgspec.structs.replace(answer, passed_over=passed)
    raise _of_all(errors)


def _going_on(source: BootSource, error: MirrorError, base: str) -> Note:
    return Note(f"{source.name}: {error.what} [{error.code}]; asking {base} instead", "warning")


def _of_all(errors: list[tuple[str, MirrorError]]) -> MirrorError:
    """Return the first address's error, with a word on each other's.

    The first speaks for the source: that a copy elsewhere is behind must not read as an attack, nor
    invite anyone to accept its older stream.
    """
    (_, first), *others = errors
    if others:
        first.what += "".join(f"; {base}: {error.what} [{error.code}]" for base, error in others)
    return first
