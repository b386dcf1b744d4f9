"""Bytes that come in chunks, taken in the pieces that a reader needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 128 * 1024
"""How much is read, or expanded, at a time."""


class Feed:
    """A stream with a look ahead; what is skipped is dropped chunk by chunk, never copied."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Take chunks, none of which is empty."""
        self._chunks = chunks
        self._held = b""
        self._at = 0
        self.position = 0
        """How many bytes were taken or skipped."""

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes and keep them; fewer at the end."""
        if len(self._held) - self._at < size:
            parts = [self._held[self._at :]]
            missing = size - len(parts[0])
            for chunk in self._chunks:
                parts.append(chunk)
                missing -= len(chunk)
                if missing <= 0:
                    break
            self._held, self._at = b"".join(parts), 0
        return self._held[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer at the end."""
        piece = self.peek(size)
        self._at += len(piece)
        self.position += len(piece)
        return piece

    def chunk(self) -> bytes:
        """Return what is at hand, or the next chunk; nothing at the end."""
        piece = self._held[self._at :] or next(self._chunks, b"")
        self._held, self._at = b"", 0
        self.position += len(piece)
        return piece

    def chunks(self) -> Iterator[bytes]:
        """Give all that is left."""
        while piece := self.chunk():
            yield piece

    def unread(self, data: bytes) -> None:
        """Put bytes that were taken back in front."""
        self._held, self._at = data + self._held[self._at :], 0
        self.position -= len(data)

    def skip(self, size: int) -> int:
        """Drop the next `size` bytes; return how many there were."""
        held = len(self._held) - self._at
        if size <= held:
            self._at += size
            self.position += size
            return size
        left = size - held
        self._held, self._at = b"", 0
        for chunk in self._chunks:
            if len(chunk) > left:
                self._held, self._at, left = chunk, left, 0
                break
            left -= len(chunk)
            if not left:
                break
        self.position += size - left
        return size - left

    def skip_zeros(self) -> None:
        """Drop zero bytes until another one comes."""
        while piece := self.chunk():
            if rest := piece.lstrip(b"\0"):
                self.unread(rest)
                return


def feed_of(stream: BinaryIO) -> Feed:
    """Return the feed of an open file."""
    return Feed(iter(partial(stream.read, CHUNK), b""))
