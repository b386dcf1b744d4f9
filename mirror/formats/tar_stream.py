"""An archive as a stream: the bytes between headers, and the content of a member."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

from mirror.formats.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.formats.tar_headers import Pieces


class Source:
    """The archive, in the chunks that it comes in; it counts where it is, in bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._at = 0
        self._before = 0
        self.spent = 0
        """How many bytes of headers and maps were read beside the header of each member."""

    @property
    def position(self) -> int:
        """How many bytes lie before the next one."""
        return self._before + self._at

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        end = self._at + count
        if end <= len(self._buffer):
            data = self._buffer[self._at : end]
            self._at = end
            return data
        pieces = []
        while count:
            pieces.append(self.some(count))
            count -= len(pieces[-1])
        return b"".join(pieces)

    def some(self, most: int) -> bytes:
        """Return up to `most` bytes, at least one."""
        if self._at == len(self._buffer):
            self._fill()
        data = self._buffer[self._at : self._at + most]
        self._at += len(data)
        return data

    def skip_to(self, position: int) -> None:
        """Pass over what lies before `position`."""
        while position - self._before > len(self._buffer):
            self._fill()
        self._at = position - self._before

    def check_the_rest_is_zeros(self) -> None:
        """Read to the end of the stream: what is cut or damaged there counts as well."""
        for rest in itertools.chain([self._buffer[self._at :]], self._chunks):
            if rest.strip(b"\0"):
                raise FormatError("has data after the end of its archive")

    def _fill(self) -> None:
        self._before += len(self._buffer)
        self._buffer, self._at = next(self._chunks, b""), 0
        if not self._buffer:
            raise FormatError(f"is cut: its archive goes on after {self._before:,} bytes")


class Body(io.RawIOBase):
    """The content of one member; its holes are zeros.

    `size` is with the holes, `pieces` is where the data goes (None: all of it is data).
    """

    def __init__(self, source: Source, size: int, pieces: Pieces | None, limit: int) -> None:
        super().__init__()
        self._source = source
        self._size = size
        self._limit = limit
        self._at = 0
        self._pieces = [(0, size)] if pieces is None else list(reversed(pieces))

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill all of `buffer`, unless the content ends before."""
        if self.closed:
            raise ValueError("the content of a member is closed when the next is asked for")
        view = memoryview(buffer).cast("B")
        want = min(len(view), self._size - self._at)
        if self._at + want > self._limit:
            raise FormatError(f"expands to more than {self._limit:,} bytes")
        done = 0
        while done < want:
            done += self._some(view[done:want])
        return done

    def _some(self, view: memoryview) -> int:
        while self._pieces and sum(self._pieces[-1]) <= self._at:
            self._pieces.pop()
        offset, length = self._pieces[-1] if self._pieces else (self._size, 0)
        if self._at < offset:
            count = min(offset - self._at, len(view))
            view[:count] = bytes(count)
        else:
            data = self._source.some(min(offset + length - self._at, len(view)))
            count = len(data)
            view[:count] = data
        self._at += count
        return count
