"""Which jobs have a living process: it holds a lock on byte N of one file, for job N.

The kernel frees the lock with its process, however that ends: a job that says it runs, and whose
byte is free, was interrupted. Process ids say less: they are used again, and differ in containers.
"""

from __future__ import annotations

import fcntl
import os
import struct
from typing import TYPE_CHECKING

from mirror.store.durable import disk_errors

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_FILE = "jobs.lock"
_FLOCK = "hhqqi0q"
"""The kernel's `struct flock`: type, whence, start, length, process."""


class Presence:
    """The file, open; what is taken through it is held until it is closed."""

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / _FILE
        with disk_errors(path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of what is held."""
        os.close(self._fd)

    def take(self, number: int) -> bool:
        """Hold job `number`; return False if another has it."""
        # of the open file, not of the process (which would lose it when any other is closed)
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _lock(fcntl.F_WRLCK, number))
        except BlockingIOError:
            return False
        return True

    def is_held(self, number: int) -> bool:
        """Say whether anyone else holds job `number`."""
        answer = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK, number))
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


def _lock(kind: int, number: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, number, 1, 0)
