"""One file's transfer: pieces that arrive side by side and are written in order.

A file starts as one piece that runs to its end. When a connection is idle, the piece is cut short
and what lies beyond is handed out in small pieces. Pieces that are ahead of their turn wait in
memory, so that how far ahead they may be is bounded (`room`), over all files.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Piece:
    """The bytes from `start` up to `end`; `at` is the next one to arrive."""

    def __init__(self, start: int, end: int) -> None:
        self.at = start
        self.end = end
        self.buffered = 0
        self._chunks: list[bytes] = []

    @property
    def whole(self) -> bool:
        """Whether every byte has arrived."""
        return self.at >= self.end

    def put(self, chunk: bytes) -> None:
        """Take the next bytes; those beyond the end, which may have moved, are dropped."""
        if self.at + len(chunk) > self.end:
            chunk = chunk[: self.end - self.at]
        self._chunks.append(chunk)
        self.buffered += len(chunk)
        self.at += len(chunk)

    def take(self) -> tuple[list[bytes], int]:
        """Hand over what is buffered, and its length."""
        taken = self._chunks, self.buffered
        self._chunks, self.buffered = [], 0
        return taken


class Pieces:
    """The pieces of a file of `size` bytes, of which the first `written` are on disk.

    The first piece runs to the end and is claimed by whoever makes this. `divisible` says whether
    the server is known to answer Range requests.
    """

    def __init__(self, size: int, written: int) -> None:
        self.size = size
        self.written = written
        self.divisible = False
        self.first = Piece(written, size)
        self._queue = deque([self.first])
        self._unclaimed = size
        self.cut = False
        """Whether the first piece no longer runs to the end."""
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()

    @property
    def ahead(self) -> int:
        """How many bytes beyond what is written are handed out in pieces, and so may be held."""
        return self._unclaimed - self.written if self.cut else 0

    @property
    def left(self) -> int:
        """How many bytes are not on disk yet."""
        return self.size - self.written

    @property
    def claimed(self) -> bool:
        """Whether every byte is handed out."""
        return self._unclaimed >= self.size

    def claim(self, length: int, room: int) -> Piece | None:
        """Hand out the next `length` bytes, if they fit in `room` or are the next to be written."""
        if length > room and self._queue:
            return None
        if not self.cut:
            self._cut_first(length)
        if self.claimed:
            return None
        piece = Piece(self._unclaimed, min(self._unclaimed + length, self.size))
        self._unclaimed = piece.end
        self._queue.append(piece)
        return piece

    def _cut_first(self, length: int) -> None:
        """Cut the first piece `length` bytes from where it stands, if enough lies beyond.

        Its request asked for the whole file, so that its connection will be closed at the cut.
        """
        if self.divisible and self.first.end - self.first.at >= 3 * length:
            self.cut = True
            self.first.end = self._unclaimed = self.first.at + length

    def arrived(self, piece: Piece, batch: int) -> None:
        """Wake the writer if `piece` is the next to be written and has enough for it."""
        if self._queue and piece is self._queue[0] and (piece.buffered >= batch or piece.whole):
            self._arrived.set()

    async def room(self, piece: Piece, limit: int) -> None:
        """Wait while `piece` is being written and has more than `limit` bytes buffered."""
        while self._queue and piece is self._queue[0] and piece.buffered >= limit:
            self._drained.clear()
            await self._drained.wait()

    async def next_batch(self, batch: int) -> tuple[list[bytes], int]:
        """Return the next bytes to write, in order: `batch` of them or what ends a piece."""
        while True:
            piece = self._queue[0]
            if piece.buffered >= batch or piece.whole:
                break
            self._arrived.clear()
            await self._arrived.wait()
        taken = piece.take()
        if piece.whole:
            self._queue.popleft()
        self._drained.set()
        return taken
