"""Gzip on all cores: one member, made of pieces that are compressed beside each other.

What comes out depends on the content alone: not on the number of threads, nor on how it is written.
A piece of nothing but zeros is compressed once and for all, so that a disk of holes costs little.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, Self

from isal import isal_zlib

if TYPE_CHECKING:
    from types import TracebackType

PIECE = 1024**2
"""Bytes that are compressed at a time, on a grid: writers that keep to it spare a copy."""
LEVEL = 2
"""Of ISA-L: as small as `gzip -4`, ten times as fast on each core."""
LEVELS = range(4)

_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # no name, no time, no operating system
_TRAILER = struct.Struct("<II")
_LAST_BLOCK = b"\x03\0"
_ZEROS = bytes(PIECE)
_MOST_THREADS = 32
_BATCH = 64
"""Pieces of zeros that are written at once."""


class ParallelGzip:
    """Writes gzip to a file, which stays open. Use it in `with`: left without an error, it ends.

    `level` is one of `LEVELS`; `threads` 0: one for each core. A few pieces are in memory at a
    time. With `plain_digest`, the SHA-256 of what goes in is made beside the work, in a thread.
    """

    def __init__(
        self, out: BinaryIO, *, level: int = LEVEL, threads: int = 0, plain_digest: bool = False
    ) -> None:
        self._out = out
        self._level = level
        threads = min(threads or len(os.sched_getaffinity(0)), _MOST_THREADS)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="gzip")
        self._digester = ThreadPoolExecutor(1, "digest") if plain_digest else None
        self._most_pending = 2 * threads + 2
        self._pending: deque[tuple[Future[tuple[bytes, int]], int, int]] = deque()
        self._digesting: deque[Future[None]] = deque()
        self._buffer = bytearray()
        self._zeros: Future[tuple[bytes, int]] = self._pool.submit(_compressed, _ZEROS, level)
        self._crc = 0
        self._packed = hashlib.sha256()
        self._plain = hashlib.sha256()
        self.size = 0
        """Bytes that came in."""
        self.packed_size = 0
        """Bytes that were written."""

    def __enter__(self) -> Self:
        self._put(_HEADER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._pool.shutdown(cancel_futures=True)
            if self._digester is not None:
                self._digester.shutdown(cancel_futures=True)

    @property
    def sha256(self) -> str:
        """The digest of what was written; when it has ended."""
        return self._packed.hexdigest()

    @property
    def plain_sha256(self) -> str:
        """The digest of what came in; when it has ended, and only where it was asked for."""
        return self._plain.hexdigest() if self._digester is not None else ""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Compress data, sooner or later; raise `OSError` where what comes out can't be written."""
        view = memoryview(data).cast("B")
        size = len(view)
        self.size += size
        if self._buffer:
            room = PIECE - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]
            if len(self._buffer) == PIECE:
                self._piece(bytes(self._buffer))
                self._buffer.clear()
        while len(view) >= PIECE:
            self._piece(bytes(view[:PIECE]))
            view = view[PIECE:]
        self._buffer += view
        return size

    def write_zeros(self, count: int) -> None:
        """Write so many zeros, at next to no cost; raise what `write` does."""
        before = min(count, -len(self._buffer) % PIECE)
        self.write(_ZEROS[:before])
        count -= before
        while count >= PIECE:
            pieces = min(count // PIECE, _BATCH)
            self.size += pieces * PIECE
            self._pieces_of_zeros(pieces)
            count -= pieces * PIECE
        self.write(_ZEROS[:count])

    # --- pieces -----------------------------------------------------------------------------------

    def _piece(self, piece: bytes) -> None:
        """Let a piece be compressed; one of zeros is, already."""
        if piece == _ZEROS:
            self._pieces_of_zeros(1)
        else:
            self._await(self._pool.submit(_compressed, piece, self._level), piece, 1)

    def _pieces_of_zeros(self, count: int) -> None:
        self._await(self._zeros, _ZEROS, count)

    def _await(self, packed: Future[tuple[bytes, int]], piece: bytes, times: int) -> None:
        """Note what is to be written next, so many times; write what is ready before it."""
        self._pending.append((packed, len(piece), times))
        if self._digester is not None:
            self._digesting.append(self._digester.submit(_update, self._plain, piece, times))
            while len(self._digesting) > self._most_pending:
                self._digesting.popleft().result()
        while len(self._pending) > self._most_pending:
            self._write_next()

    def _write_next(self) -> None:
        future, size, times = self._pending.popleft()
        packed, crc = future.result()
        for _ in range(times):
            self._crc = isal_zlib.crc32_combine(self._crc, crc, size)
        self._put(packed * times)

    def _put(self, data: bytes) -> None:
        self._out.write(data)
        self._packed.update(data)
        self.packed_size += len(data)

    def _finish(self) -> None:
        if self._buffer:
            self._piece(bytes(self._buffer))
        while self._pending:
            self._write_next()
        self._put(_LAST_BLOCK + _TRAILER.pack(self._crc, self.size & 0xFFFFFFFF))
        while self._digesting:
            self._digesting.popleft().result()


def _compressed(piece: bytes, level: int) -> tuple[bytes, int]:
    """Return a piece as blocks that end at a byte and need nothing before them, and its CRC."""
    packer = isal_zlib.compressobj(level, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
    packed = packer.compress(piece) + packer.flush(isal_zlib.Z_SYNC_FLUSH)
    return packed, isal_zlib.crc32(piece)


def _update(digest: hashlib._Hash, piece: bytes, count: int) -> None:
    for _ in range(count):
        digest.update(piece)
