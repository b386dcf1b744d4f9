"""Upload one image to a region: create it there, then send what the region lacks, piece by piece.

MAAS appends whatever comes to what it has: nothing is ever sent of which it is not certain that it
comes next. Where a connection breaks, the region is asked how far it is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import stamina

from mirror.errors import FetchError, RegionRefused, UploadStuck
from mirror.push.replies import PIECE, RegionFile, RegionImage, offsets, read_image
from mirror.sync.events import FileDone, Note, Planned, Received, Retrying
from mirror.sync.retry import backoff, worth_retrying

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from mirror.push.region import Answer, Region
    from mirror.sync.events import Emit

_SMALLEST_PIECE = 64 * 1024
_BAD_REQUEST, _TOO_LARGE = 400, 413
_LONGEST_WAIT = 30.0


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is to be delivered. `name` is `OS/RELEASE`, `architecture` `ARCH/SUBARCH`."""

    name: str
    architecture: str
    sha256: str
    size: int
    filetype: str
    title: str = ""
    base_image: str = ""
    keep_old: bool = False

    def fields(self) -> dict[str, str]:
        """Return the form that creates it."""
        said = {
            "name": self.name,
            "architecture": self.architecture,
            "sha256": self.sha256,
            "size": str(self.size),
            "filetype": self.filetype,
            "title": self.title,
            "base_image": self.base_image,
            "keep_old": "true" if self.keep_old else "",
        }
        return {name: value for name, value in said.items() if value}


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a region has; `sent` bytes of it went there just now."""

    id: int
    version: str
    sent: int


async def upload(
    region: Region,
    image: Outgoing,
    file: Path,
    emit: Emit,
    *,
    attempts: int,
    restart: bool = False,
) -> Delivered:
    """Bring the image to the region, unless it has it; with `restart`, from the beginning.

    Raises `RegionRefused`, `ApiKeyInvalid`, `RegionAnswerInvalid`, `UploadStuck`, `FetchError`.
    """
    delivery = _Delivery(region, image, emit, attempts)
    if restart:
        await delivery.remove()
    with await asyncio.to_thread(file.open, "rb") as stream:
        return await delivery.run(stream)


class _Delivery:
    """One upload under way. `offset` is how much the region has."""

    def __init__(self, region: Region, image: Outgoing, emit: Emit, attempts: int) -> None:
        self._region = region
        self._image = image
        self._emit = emit
        self._attempts = attempts
        self._piece = PIECE
        self._sent = 0
        self._failures = 0
        """How many requests failed since the last one that brought something."""

    async def run(self, stream: BinaryIO) -> Delivered:
        size = self._image.size
        found = await self._create()
        version, file = _ours(found, self._image.sha256)
        offset = size if file.complete else self._offset(file)
        self._emit(Planned(1, size))
        self._emit(Received(self._image.name, offset))
        if file.complete:
            self._emit(Note(f"{self._image.name} is on the region already, as {version}"))
        while offset < size:
            offset = await self._send(found, file, stream, offset)
        if not file.complete:
            version = await self._confirm(found)
        self._emit(FileDone(self._image.name, size))
        return Delivered(id=found.id, version=version, sent=self._sent)

    async def remove(self) -> None:
        """Remove the image from the region, with all its versions."""
        found = await self._create()
        await self._again(lambda: self._region.delete(f"boot-resources/{found.id}/"))
        self._emit(Note(f"removed {self._image.name} from the region"))

    async def _create(self) -> RegionImage:
        answer = await self._again(
            lambda: self._region.post("boot-resources/", self._image.fields())
        )
        return read_image(answer.body)

    async def _send(
        self, found: RegionImage, file: RegionFile, stream: BinaryIO, offset: int
    ) -> int:
        """Send the piece at `offset`; return how much the region has then."""
        if not file.upload_uri:
            raise UploadStuck(f"{self._image.name}: the region does not say where to send it")
        piece = await asyncio.to_thread(_read, stream, offset, self._piece)
        after = offset + len(piece)
        try:
            await self._region.put(file.upload_uri, piece)
        except RegionRefused as error:
            return self._refused(error, offset)
        except FetchError as error:
            return await self._where_now(found, error, (offset, after))
        return self._arrived(offset, after)

    def _arrived(self, offset: int, after: int) -> int:
        if after > offset:
            self._failures = 0
            self._sent += after - offset
            self._emit(Received(self._image.name, after - offset))
        return after

    def _refused(self, error: RegionRefused, offset: int) -> int:
        """Send less at a time where something on the way asks for that; else give up."""
        if error.status == _TOO_LARGE and self._piece > _SMALLEST_PIECE:
            self._piece //= 2
            self._emit(Note(f"what answered takes no {self._piece * 2:,} bytes at a time: half"))
            return offset
        if error.status == _BAD_REQUEST:  # it has more than it should, or all, and some is wrong
            raise UploadStuck(f"{self._image.name}: {error.what}") from error
        raise error

    async def _where_now(self, found: RegionImage, error: FetchError, sent: tuple[int, int]) -> int:
        """Ask the region how much it has after a request that may have arrived or not."""
        self._failures += 1
        if not worth_retrying(error) or self._failures >= self._attempts:
            raise error
        wait = min(0.25 * 2**self._failures, _LONGEST_WAIT)
        self._emit(Retrying(self._image.name, self._failures, wait, error.what))
        await asyncio.sleep(wait)
        _, file = await self._look(found)
        return self._arrived(sent[0], sent[1] if file.complete else self._offset(file, sent))

    async def _look(self, found: RegionImage) -> tuple[str, RegionFile]:
        answer = await self._again(lambda: self._region.get(f"boot-resources/{found.id}/"))
        return _ours(read_image(answer.body), self._image.sha256)

    async def _confirm(self, found: RegionImage) -> str:
        version, file = await self._look(found)
        if not file.complete:
            raise UploadStuck(f"{self._image.name}: all of it is sent, and it is not complete")
        return version

    def _offset(self, file: RegionFile, sent: tuple[int, ...] = ()) -> int:
        found = offsets(file.progress, self._image.size, sent)
        if len(found) != 1 or (not sent and found == {self._image.size}):
            what = f"the region has a part of it ({file.progress:g}), and not which is certain"
            raise UploadStuck(f"{self._image.name}: {what}")
        return found.pop()

    async def _again(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask, and once more where that may help: what is asked here can be asked twice."""
        async for attempt in stamina.retry_context(
            on=backoff, attempts=self._attempts, timeout=None, wait_initial=0.5
        ):
            with attempt:
                return await ask()
        raise AssertionError


def _ours(image: RegionImage, sha256: str) -> tuple[str, RegionFile]:
    found = image.newest(sha256)
    if found is None:
        raise UploadStuck("the region does not list the file that was created")
    return found


def _read(stream: BinaryIO, offset: int, size: int) -> bytes:
    stream.seek(offset)
    return stream.read(size)
