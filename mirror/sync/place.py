"""Take a stream from one address: index and all products files, in one pass, verified.

Nothing changed costs one conditional request. A publisher that is caught in the middle of an update
(the files don't belong together) is given a few seconds and asked again.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import stamina

from mirror.errors import (
    HttpStatus,
    MetadataMismatch,
    MetadataTooLarge,
    NotJson,
    SignatureInvalid,
    Stale,
    Unsigned,
)
from mirror.simplestreams.verify import INDEX, Seen, TrustedStream
from mirror.sync.documents import Answer, get_document
from mirror.sync.events import Retrying

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mirror.model import BootSource, Problem
    from mirror.signing.verify import Verifier
    from mirror.simplestreams.limits import Limits
    from mirror.simplestreams.read import Index, IndexEntry, ProductsFile
    from mirror.sync.events import Emit
    from mirror.sync.http import Http
    from mirror.sync.urls import StreamUrls

_AT_ONCE = 4
_TOTAL = 256 << 20
"""Bytes of all metadata files of a source together."""
_PASSES = 3
"""How often a stream is taken when its files don't belong together."""

_SIGNED_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE_BEGIN = b"\n-----BEGIN PGP SIGNATURE-----"


class Validators(msgspec.Struct, frozen=True):
    """What the index at `url` was answered with, for a conditional request."""

    url: str
    etag: str = ""
    last_modified: str = ""

    def headers(self) -> dict[str, str]:
        """Return the request headers that ask for the file only if it changed."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}


class Unchanged(msgspec.Struct, frozen=True):
    """The index, at `base_url`, is the one that the validators are of."""

    base_url: str = ""
    passed_over: tuple[Problem, ...] = ()


class FetchedStream(msgspec.Struct, frozen=True):
    """A stream whose every file was verified.

    `files` are the metadata files by path, as they were received; `fingerprint` is of the primary
    key that signed the index, empty for an unsigned source; `seen` is what to hand in next time;
    `passed_over` says what was wrong with the addresses that were tried before this one.
    """

    base_url: str
    index: Index
    products: tuple[ProductsFile, ...]
    files: dict[str, bytes]
    fingerprint: str
    validators: Validators
    seen: dict[str, Seen]
    passed_over: tuple[Problem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Place:
    """One address of a source, and all that is needed to take its stream from there."""

    source: BootSource
    urls: StreamUrls
    http: Http
    verifier: Verifier | None
    seen: Mapping[str, Seen]
    now: datetime
    limits: Limits
    accept_rollback: bool
    emit: Emit
    wait: float
    attempts: int

    async def take(self, validators: Validators | None) -> Unchanged | FetchedStream:
        """Take the stream, again in a moment where its files don't belong together.

        Raises FetchError, StreamError, IntegrityError.
        """
        answer: Unchanged | FetchedStream = Unchanged()
        async for attempt in stamina.retry_context(
            on=MetadataMismatch,
            attempts=_PASSES,
            timeout=None,
            wait_initial=self.wait,
            wait_jitter=self.wait,
        ):
            with attempt:
                answer = await _Pass(self).take(validators if attempt.num == 1 else None)
        if isinstance(answer, Unchanged) and INDEX in self.seen:
            _check_fresh(self.source, self.seen[INDEX].updated, self.now)
        return answer

    def trusted(self) -> TrustedStream:
        """Return what says of the files of one pass whether they are believed."""
        return TrustedStream(
            self.source.name,
            now=self.now,
            seen=self.seen,
            limits=self.limits,
            max_staleness=self.source.max_staleness,
            accept_rollback=self.accept_rollback,
        )


def _check_fresh(source: BootSource, updated: datetime, now: datetime) -> None:
    """Raise Stale: who answers "not modified" for ever freezes us as well."""
    if source.max_staleness and now - updated > source.max_staleness:
        raise Stale(f"{source.name}: the index is unchanged since {updated:%Y-%m-%d %H:%M} UTC")


class _Pass:
    """One pass over the files of a stream."""

    def __init__(self, place: Place) -> None:
        self._urls = place.urls
        self._http = place.http
        self._verifier = place.verifier
        self._trusted = place.trusted()
        self._limits = place.limits
        self._emit = place.emit
        self._wait = place.wait
        self._attempts = place.attempts
        self._files: dict[str, bytes] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        # JSON is parsed one file at a time: it is bound by the interpreter, and takes memory
        self._parsing = asyncio.Lock()

    async def take(self, validators: Validators | None) -> Unchanged | FetchedStream:
        found = await self._find_index(validators)
        if found is None:
            return Unchanged(self._urls.base)
        path, answer = found
        text, fingerprint = await self._verified(path, answer.body, self._limits.index_bytes)
        index = await asyncio.to_thread(self._trusted.update_index, text)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._products(entry)) for entry in index.entries]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return FetchedStream(
            base_url=self._urls.base,
            index=index,
            products=tuple(task.result() for task in tasks),
            files=self._files,
            fingerprint=fingerprint,
            validators=Validators(self._urls.base + path, answer.etag, answer.last_modified),
            seen=self._trusted.seen(),
        )

    async def _find_index(self, validators: Validators | None) -> tuple[str, Answer] | None:
        """Get the first index file that there is; None if it is unchanged."""
        known = validators.url if validators else ""
        paths = sorted(self._urls.indexes, key=lambda path: self._urls.base + path != known)
        missing: list[HttpStatus] = []
        for path in paths:
            same = validators and self._urls.base + path == known
            headers = validators.headers() if validators and same else {}
            try:
                answer = await self._get(path, self._limits.index_bytes, headers)
            except HttpStatus as error:
                if error.status != 404:
                    raise
                missing.append(error)
            else:
                return None if answer.status == 304 else (path, answer)
        raise missing[0]

    async def _products(self, entry: IndexEntry) -> ProductsFile:
        async with self._slots:
            cap = self._limits.products_bytes
            answer = await self._get(entry.path, cap)
            text, _ = await self._verified(entry.path, answer.body, cap)
            async with self._parsing:
                return await asyncio.to_thread(self._trusted.update_products, entry, text)

    async def _verified(self, path: str, body: bytes, cap: int) -> tuple[bytes, str]:
        """Return the text that is signed, and by whom; keep the files as evidence."""
        self._keep(path, body)
        if self._verifier is None:
            return unsigned_text(body), ""
        if path.endswith(".json"):
            return await self._detached(self._verifier, path, body, cap)
        verified = await asyncio.to_thread(self._verifier.clearsigned, body)
        return verified.plaintext, verified.fingerprint

    async def _detached(
        self, verifier: Verifier, path: str, body: bytes, cap: int
    ) -> tuple[bytes, str]:
        """Verify by the file beside; take both again, once, if they don't fit: see the module."""
        try:
            return await self._by_signature(verifier, path, body)
        except SignatureInvalid:
            body = (await self._get(path, cap)).body
            self._keep(path, body)
            return await self._by_signature(verifier, path, body)

    async def _by_signature(self, verifier: Verifier, path: str, body: bytes) -> tuple[bytes, str]:
        beside = path + ".gpg"
        try:
            signature = (await self._get(beside, self._limits.index_bytes)).body
        except HttpStatus as error:
            if error.status != 404:
                raise
            raise Unsigned(f"{self._urls.base}{path} has no {beside} beside it") from error
        verified = await asyncio.to_thread(verifier.detached, body, signature)
        self._keep(beside, signature)
        return verified.plaintext, verified.fingerprint

    def _keep(self, path: str, body: bytes) -> None:
        self._files[path] = body
        if sum(map(len, self._files.values())) > _TOTAL:
            raise MetadataTooLarge(f"{self._urls.base}: more than {_TOTAL:,} bytes of metadata")

    async def _get(self, path: str, cap: int, headers: Mapping[str, str] = {}) -> Answer:
        url = self._urls.base + path

        def retrying(attempt: int, wait: float, reason: str) -> None:
            self._emit(Retrying(path=path, attempt=attempt, wait=wait, reason=reason))

        answer = await get_document(
            self._http,
            url,
            cap=cap,
            headers=headers,
            attempts=self._attempts,
            wait=self._wait,
            retrying=retrying,
        )
        if answer.body.lstrip()[:1] == b"<":
            raise NotJson(f"{url} answered with a web page")
        return answer


def unsigned_text(data: bytes) -> bytes:
    """Return the text of a file that nobody verifies: what stands in a clearsigned one, or all."""
    if not data.startswith(_SIGNED_BEGIN):
        return data
    _, _, rest = data.replace(b"\r\n", b"\n").partition(b"\n\n")
    text = rest.partition(_SIGNATURE_BEGIN)[0]
    return re.sub(rb"^- ", b"", text, flags=re.MULTILINE)
