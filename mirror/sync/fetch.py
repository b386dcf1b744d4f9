"""Files from a boot source into the store: side by side and in pieces, resumed, verified."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import msgspec
import stamina

from mirror.errors import (
    DigestMismatch,
    FetchError,
    HttpStatus,
    IntegrityError,
    MirrorError,
    SizeMismatch,
    Unreachable,
)
from mirror.sync.events import Discarded, FileDone, FileFailed, Note, Received, Retrying
from mirror.sync.partial import Partial
from mirror.sync.retry import backoff, worth_retrying
from mirror.sync.transfer import FetchFailure, FetchOptions, NotResumed, Transfer, Wanted
from mirror.sync.urls import show_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mirror.store.blobs import WritableBlobs
    from mirror.store.incoming import Incoming
    from mirror.sync.events import Emit
    from mirror.sync.http import Http
    from mirror.sync.pieces import Piece

__all__ = ["FetchFailure", "FetchOptions", "Wanted", "fetch_files"]

_HASHING_THREADS = 4
_FILES_WITHOUT = 8
"""Files that an address may be without, or have wrong, before the others are asked first."""
_LOOK_AGAIN = 0.1
"""Seconds after which an idle connection considers again whether it can help."""


class Destination(Protocol):
    """Where files go: a `Store`, or the two parts of it that are needed here."""

    @property
    def incoming(self) -> Incoming:
        """Where they are while they come."""
        ...

    @property
    def blobs(self) -> WritableBlobs:
        """Where they are once they are whole and right."""
        ...


async def fetch_files(
    wanted: Sequence[Wanted],
    http: Http,
    store: Destination,
    *,
    options: FetchOptions | None = None,
    emit: Emit,
) -> list[FetchFailure]:
    """Fetch every file of `wanted` that can be had into `store.blobs`; return those that can't.

    A file named several times is fetched once, from the first address that has it; each may be at
    all of the source's addresses (`Http.addresses`). What an earlier run left in `store.incoming`,
    or another address sent, is resumed. Raises only what stops everything: `NoSpace` and other
    `StoreError`s.
    """
    fetch = _Fetch(_by_digest(wanted), http, store, options or FetchOptions(), emit)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(fetch.options.connections):
                group.create_task(fetch.work(group))
    except BaseExceptionGroup as errors:
        raise _gravest(errors) from None
    finally:
        await asyncio.to_thread(fetch.close)
    return fetch.failures


def _by_digest(wanted: Iterable[Wanted]) -> deque[list[Wanted]]:
    """Group by digest, the largest first: a large file begun last is waited for alone."""
    groups: dict[str, list[Wanted]] = {}
    for file in wanted:
        groups.setdefault(file.sha256, []).append(file)
    return deque(sorted(groups.values(), key=lambda files: -files[0].size))


def _gravest(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one error of a group: one that is not about a single file, if there is one."""
    flat = [
        _gravest(error) if isinstance(error, BaseExceptionGroup) else error
        for error in errors.exceptions
    ]
    return min(flat, key=lambda error: isinstance(error, FetchError | IntegrityError))


class _Fetch:
    """The state of one `fetch_files`."""

    def __init__(
        self,
        queue: deque[list[Wanted]],
        http: Http,
        store: Destination,
        options: FetchOptions,
        emit: Emit,
    ) -> None:
        self.options = options
        self.failures: list[FetchFailure] = []
        self._queue = queue
        self._http = http
        self._store = store
        self._emit = emit
        self._busy = 0
        """How many connections have a file of their own."""
        self._active: dict[Transfer, asyncio.TaskGroup] = {}
        """The transfers that others may help with, each with the group that its tasks are in."""
        self._moved = asyncio.Event()
        """Set when there may be something to do for a connection that has none."""
        self._received: list[tuple[Wanted, Partial]] = []
        """Files that are whole and right, and not blobs yet."""
        self._unreachable = 0
        self._failing: dict[str, int] = {}
        """Bases that failed, with growing numbers: they are asked last, and in that order."""
        self._without: Counter[str] = Counter()
        """How many files each base did not have, or had wrong."""
        self._hashing = ThreadPoolExecutor(_HASHING_THREADS, "hash")
        self._storing = ThreadPoolExecutor(1, "store")

    def close(self) -> None:
        """Wait for the threads. Blocks."""
        self._hashing.shutdown()
        self._storing.shutdown()

    async def work(self, group: asyncio.TaskGroup) -> None:
        """Be one connection: take files while there are any, then help with those under way."""
        while self._queue or self._busy:
            if self._queue:
                self._busy += 1
                await self._fetch(self._queue.popleft(), group)
                self._busy -= 1
                self._moved.set()
            elif not await self._help():
                await self._wait()

    async def _wait(self) -> None:
        """Wait until something moved, or it is time to look again how fast things move."""
        self._moved.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN):
                await self._moved.wait()

    async def _fetch(self, files: list[Wanted], group: asyncio.TaskGroup) -> None:
        """Fetch one content from the first of its addresses that has it."""
        addresses = [self._at(file, url) for file in files for url in self._addresses(file)]
        failure: MirrorError | None = None
        for left, file in zip(range(len(addresses))[::-1], addresses, strict=True):
            partial = Partial(self._store.incoming.partial(file.sha256))
            try:
                await self._one(file, partial, again=failure is not None, more=left > 0)
            except (FetchError, IntegrityError) as error:
                failure = error
                await _run(self._hashing, partial.abandon)
                if left:
                    self._note_failing(file, error)
            except BaseException:
                self._hashing.submit(partial.close)
                raise
            else:
                self._hashing.submit(partial.close)
                self._unreachable = 0
                self._received.append((file, partial))
                if len(self._received) == 1:
                    group.create_task(self._adopt())
                return
        if failure:
            self._fail(files, failure)

    def _addresses(self, file: Wanted) -> list[str]:
        """Return where the file may be: what failed for others comes last."""
        urls = self._http.addresses(file.path, file.url)
        return sorted(urls, key=lambda url: self._failing.get(url.removesuffix(file.path), 0))

    def _at(self, file: Wanted, url: str) -> Wanted:
        return file if url == file.url else msgspec.structs.replace(file, url=url)

    def _note_failing(self, file: Wanted, error: MirrorError) -> None:
        """Ask an address last from now on if it fails as a whole, or for want of many files."""
        base = file.url.removesuffix(file.path)
        if base not in self._failing:
            self._emit(Note(f"{error.what} [{error.code}]; trying another address", "warning"))
        self._without[base] += 1 if _is_of_one_file(error) else _FILES_WITHOUT
        if self._without[base] >= _FILES_WITHOUT:
            self._failing[base] = max(self._failing.values(), default=0) + 1

    async def _adopt(self) -> None:
        """Make blobs of the files that were received, all that there are at a time.

        What comes while one lot is waiting for the disk goes with the next.
        """
        while self._received:
            lot = list(self._received)
            await _run(self._storing, _adopt_all, self._store.blobs, lot)
            del self._received[: len(lot)]
            for file, _ in lot:
                self._emit(FileDone(path=file.path, size=file.size))

    def _fail(self, files: list[Wanted], error: MirrorError) -> None:
        for file in files:
            self.failures.append(FetchFailure(file, error))
            self._emit(FileFailed(path=file.path, code=error.code, message=error.what))
        self._unreachable = self._unreachable + 1 if isinstance(error, Unreachable) else 0
        if self._unreachable == self.options.connections:
            # The source is gone: don't wait for each of its files in turn.
            while self._queue:
                self._fail(self._queue.popleft(), error)

    async def _one(self, file: Wanted, partial: Partial, *, again: bool, more: bool) -> None:
        """Receive one file whole and right; start over once if it is wrong.

        With `again`, what is here came from another address, whose validator means nothing to this
        one: that it is right, the digest shows in the end. With `more`, there is another address
        to go to: what is told of a failed transfer is taken back.
        """
        await _run(self._hashing, partial.open, file.size)
        if again:
            partial.validator = ""
        if partial.size:
            self._emit(Received(path=file.path, bytes=partial.size))
        wrong = unresumed = 0
        while True:
            transfer = Transfer(file, partial, self.options, emit=self._emit, moved=self._moved)
            try:
                return await self._receive(transfer, partial, divide=not unresumed)
            except (DigestMismatch, SizeMismatch):
                wrong += 1
                await self._discard(transfer, partial)
                if wrong == 2:
                    raise
            except FetchError as error:
                unresumed += isinstance(error, NotResumed)
                if not isinstance(error, NotResumed) or unresumed == self.options.attempts:
                    if more:
                        self._take_back(transfer)
                    raise
                await self._discard(transfer, partial)

    async def _discard(self, transfer: Transfer, partial: Partial) -> None:
        await _run(self._hashing, partial.restart)
        self._take_back(transfer)

    def _take_back(self, transfer: Transfer) -> None:
        if transfer.reported:
            self._emit(Discarded(path=transfer.wanted.path, bytes=transfer.reported))

    async def _receive(self, transfer: Transfer, partial: Partial, *, divide: bool) -> None:
        """Fill and write all pieces of a file, then check its digest."""
        try:
            async with asyncio.TaskGroup() as group:
                if divide:
                    self._active[transfer] = group
                group.create_task(self._write(transfer, partial))
                await self._fill(transfer, transfer.pieces.first)
                while not transfer.pieces.claimed:
                    if piece := transfer.pieces.claim(self.options.piece, self._room()):
                        await self._fill(transfer, piece)
                    else:
                        await self._wait()
        except BaseExceptionGroup as errors:
            raise _gravest(errors) from None
        finally:
            self._active.pop(transfer, None)
        if partial.hexdigest() != transfer.wanted.sha256:
            raise DigestMismatch(
                f"{show_url(transfer.wanted.url)}: the sha256 is {partial.hexdigest()}, "
                f"{transfer.wanted.sha256} is signed"
            )

    async def _write(self, transfer: Transfer, partial: Partial) -> None:
        async def append(chunks: list[bytes], count: int) -> None:
            await _run(self._hashing, partial.append, chunks, count)

        with self._leaving(transfer):
            await transfer.write(append)

    async def _help(self) -> bool:
        """Fill a piece of the file that has most to come. Return False if there is none."""
        helpable = [transfer for transfer in self._active if transfer.helpable]
        for transfer in sorted(helpable, key=lambda transfer: -transfer.pieces.left):
            if piece := transfer.pieces.claim(self.options.piece, self._room()):
                # In the file's own group: it ends, and fails, together with the file.
                task = self._active[transfer].create_task(self._fill(transfer, piece))
                await asyncio.wait([task])
                return True
        return False

    def _room(self) -> int:
        return self.options.window - sum(transfer.pieces.ahead for transfer in self._active)

    async def _fill(self, transfer: Transfer, piece: Piece) -> None:
        """Fill a piece, with as many requests as bring it forward and a few that don't."""
        options = self.options
        progress = options.low_speed * options.low_speed_time
        with self._leaving(transfer):
            while not piece.whole:
                before = piece.at
                try:
                    await self._attempts(transfer, piece)
                except FetchError as error:
                    if piece.at - before < progress or not worth_retrying(error):
                        raise

    async def _attempts(self, transfer: Transfer, piece: Piece) -> None:
        options = self.options
        async for attempt in stamina.retry_context(
            on=backoff,
            attempts=options.attempts,
            timeout=None,
            wait_initial=options.wait_initial,
            wait_max=options.wait_max,
            wait_jitter=options.wait_initial,
        ):
            with attempt:
                try:
                    await transfer.stream(self._http, piece)
                except FetchError as error:
                    if worth_retrying(error) and attempt.num < options.attempts:
                        self._retrying(transfer, attempt, error)
                    raise

    def _retrying(self, transfer: Transfer, attempt: stamina.Attempt, error: FetchError) -> None:
        asked = backoff(error)
        wait = attempt.next_wait if asked is True else float(asked)
        self._emit(
            Retrying(path=transfer.wanted.path, attempt=attempt.num, wait=wait, reason=error.what)
        )

    @contextmanager
    def _leaving(self, transfer: Transfer) -> Iterator[None]:
        """Let nobody join a transfer that is failing: its group takes no more tasks."""
        try:
            yield
        except BaseException:
            self._active.pop(transfer, None)
            raise


def _is_of_one_file(error: MirrorError) -> bool:
    """Say whether an error tells of a file only, and not of the address that should have it."""
    if isinstance(error, HttpStatus):
        return error.status in {404, 410}
    return not isinstance(error, FetchError)


def _adopt_all(blobs: WritableBlobs, lot: list[tuple[Wanted, Partial]]) -> None:
    blobs.adopt_all([(partial.path, file.sha256) for file, partial in lot])
    for _, partial in lot:
        partial.forget()


async def _run(pool: ThreadPoolExecutor, call: Callable[..., None], *args: object) -> None:
    await asyncio.get_running_loop().run_in_executor(pool, call, *args)
