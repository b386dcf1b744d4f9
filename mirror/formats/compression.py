"""Compressed streams as the bytes that they expand to.

Each is expanded in constant memory, to the end of the last of the members that follow each other.
A format that checks its content (gzip, xz, bzip2, most of zstd and lz4) is checked here too.
"""

from __future__ import annotations

import io
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from mirror.formats.errors import FormatError
from mirror.formats.expand import expand
from mirror.formats.feed import CHUNK, Feed, feed_of
from mirror.formats.sniff import SNIFF, compression_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer


@contextmanager
def decompressed(source: Path | BinaryIO, *, limit: int) -> Iterator[BinaryIO]:
    """Open a file as the bytes that it expands to; one that isn't compressed, as it is.

    Reading raises `FormatError` for damage, a cut, more than `limit` bytes, or anything but zeros
    behind the compressed data: read to the end to know that the file is whole.
    """
    with expanded(source, limit=limit) as chunks, _Chunks(chunks) as raw:
        yield cast("BinaryIO", io.BufferedReader(raw, CHUNK))


@contextmanager
def expanded(source: Path | BinaryIO, *, limit: int) -> Iterator[Iterator[bytes]]:
    """Do what `decompressed` does, for a reader that takes the bytes in chunks, as they come."""
    with ExitStack() as stack:
        if isinstance(source, Path):
            source = stack.enter_context(source.open("rb", buffering=0))
        yield within(_whole(feed_of(source)), limit)


def within(chunks: Iterator[bytes], limit: int, *, before: int = 0) -> Iterator[bytes]:
    """Pass chunks on; raise `FormatError` when they, and what came before, exceed `limit` bytes."""
    total = before
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise FormatError(f"expands to more than {_size(limit)}")
        yield chunk


def _whole(feed: Feed) -> Iterator[bytes]:
    form = compression_of(feed.peek(SNIFF))
    if not form:
        while chunk := feed.chunk():
            yield chunk
        return
    yield from expand(feed, form)
    feed.skip_zeros()
    if feed.peek(1):
        raise FormatError(f"has something else behind its {form} data, at byte {feed.position}")


def _size(number: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if number % 1024:
            return f"{number} {unit}"
        number //= 1024
    return f"{number} GiB"


class _Chunks(io.RawIOBase):
    """An iterator of chunks as a file; what went wrong once goes wrong again."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._left = memoryview(b"")
        self._failure: FormatError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        if self._failure:
            raise self._failure
        try:
            left = self._left or memoryview(next(self._chunks, b""))
        except FormatError as error:
            self._failure = error
            raise
        room = memoryview(cast("bytearray", buffer))
        size = min(len(left), len(room))
        room[:size] = left[:size]
        self._left = left[size:]
        return size
