"""Copy a file into the mirror, hashing it on the way: one pass, and no more than it may have."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable  # noqa: TC003  (a NamedTuple names it)
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, NamedTuple

from mirror.errors import ImageFileUnusable, ImageTooLarge
from mirror.store.durable import disk_errors
from mirror.sync.events import FileDone, Planned, Received

if TYPE_CHECKING:
    from mirror.sync.events import Emit

_PIECE = 4 * 1024 * 1024
_SAY_EVERY = 0.2
"""Seconds."""


class Digested(NamedTuple):
    """What a file is."""

    sha256: str
    size: int


def plain_size(file: Path) -> int:
    """Return the size of a plain file. Raises `ImageFileUnusable`."""
    try:
        found = file.stat()
    except OSError as error:
        raise ImageFileUnusable(f"{file} can't be read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise ImageFileUnusable(f"{file} is no plain file")
    return found.st_size


async def receive(file: Path, target: Path | None, most: int, emit: Emit) -> Digested:
    """Read a file, into `target` unless that is None, and return what it is.

    Raises `ImageFileUnusable`, also where the file changes meanwhile; `ImageTooLarge` where it has
    more than `most` bytes; and the errors of the disk. When this is cancelled, it stops.
    """
    loop = asyncio.get_running_loop()
    stop = threading.Event()

    def say(count: int) -> None:
        loop.call_soon_threadsafe(emit, Received(file.name, count))

    size = await asyncio.to_thread(plain_size, file)
    emit(Planned(1, size))
    try:
        done = await asyncio.to_thread(_copy, file, target, most, stop, say)
    finally:
        stop.set()
    emit(FileDone(file.name, done.size))
    return done


class _Reading(NamedTuple):
    """A file that is being read, and who wants to know."""

    file: Path
    fd: int
    most: int
    stop: threading.Event
    say: Callable[[int], None]


def _copy(
    file: Path, target: Path | None, most: int, stop: threading.Event, say: Callable[[int], None]
) -> Digested:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ImageFileUnusable(f"{file} can't be read: {error.strerror}") from None
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise ImageFileUnusable(f"{file} is no plain file")
        reading = _Reading(file, fd, most, stop, say)
        done = _pass(reading, -1) if target is None else _into(target, reading)
        after = os.fstat(fd)
        if (before.st_size, before.st_mtime_ns) != (done.size, after.st_mtime_ns):
            raise ImageFileUnusable(f"{file} changed while it was read")
        return done
    finally:
        os.close(fd)


def _into(target: Path, reading: _Reading) -> Digested:
    with disk_errors(target):
        written = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            done = _pass(reading, written)
            os.ftruncate(written, done.size)
        finally:
            os.close(written)
    return done


def _pass(reading: _Reading, target: int) -> Digested:
    digest, size, told = hashlib.sha256(), 0, 0
    nothing, buffer = bytes(_PIECE), bytearray(_PIECE)
    room = memoryview(buffer)
    next_word = time.monotonic() + _SAY_EVERY
    while not reading.stop.is_set() and (count := _read(reading, room)):
        piece = room[:count]
        digest.update(piece)
        size += count
        if size > reading.most:
            raise ImageTooLarge(f"{reading.file} has more than {reading.most:,} bytes")
        if target >= 0 and (count < _PIECE or buffer != nothing):  # a hole stays one
            _write(target, piece, size - count)
        if time.monotonic() >= next_word:
            reading.say(size - told)
            told, next_word = size, time.monotonic() + _SAY_EVERY
    reading.say(size - told)
    return Digested(digest.hexdigest(), size)


def _read(reading: _Reading, room: memoryview) -> int:
    try:
        return os.readv(reading.fd, [room])
    except OSError as error:
        raise ImageFileUnusable(f"{reading.file} can't be read: {error.strerror}") from None


def _write(target: int, piece: memoryview, offset: int) -> None:
    while piece:
        written = os.pwrite(target, piece, offset)
        piece, offset = piece[written:], offset + written
