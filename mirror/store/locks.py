"""Locks between processes. The kernel releases them when their holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mirror.errors import Busy
from mirror.store.durable import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT_LOCK = "content.lock"
"""Below the data directory: who holds it may add and delete blobs and snapshots."""

_WIDTH = 20


@contextmanager
def content_lock(data_dir: Path, *, wait: bool = False) -> Iterator[None]:
    """Be the only one that syncs, cleans or repairs this data directory.

    Without `wait`, raises Busy, which names the process that has it; with it, blocks.
    """
    with file_lock(data_dir / CONTENT_LOCK, wait=wait):
        yield


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of this file, which is made if need be. Not reentrant, also in one process."""
    with disk_errors(path):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(fd, path, wait=wait)
        # in place, a fixed width: a full disk has room for it after the first time
        with suppress(OSError):
            os.pwrite(fd, f"{os.getpid():<{_WIDTH - 1}}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def _take(fd: int, path: Path, *, wait: bool) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        holder = os.pread(fd, _WIDTH, 0).decode(errors="replace").strip() or "unknown"
        raise Busy(f"{path.parent} is in use by process {holder}") from None
