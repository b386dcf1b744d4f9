"""Writing that survives a crash: temp file, fsync, rename, fsync of the directory.

A file is seen whole or not at all, whenever the process or the machine stops. What a crash leaves
behind is a temp file (`.NAME.XXXX.tmp`), which no one reads and gc removes.
"""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.errors import DataDirNotWritable, NoSpace, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMP_SUFFIX = ".tmp"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into NoSpace, DataDirNotWritable or StoreError that names `path`."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename or path}: {error.strerror or error}"
        if error.errno in _FULL:
            raise NoSpace(what) from error
        if error.errno in _FORBIDDEN:
            raise DataDirNotWritable(what) from error
        raise StoreError(what) from error


def sync_file(path: Path) -> None:
    """Wait until the file's bytes are on the disk."""
    _sync(path, os.O_RDONLY)


def sync_dir(path: Path) -> None:
    """Wait until the names in the directory are on the disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def make_dirs(path: Path) -> None:
    """Make the directory and its missing parents, durably."""
    if path.is_dir():
        return
    make_dirs(path.parent)
    path.mkdir(exist_ok=True)
    sync_dir(path.parent)


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put a file there, whole or not at all; durable on return. Raises the errors of the disk."""
    with disk_errors(path):
        fd, temp = tempfile.mkstemp(prefix=f".{path.name}.", suffix=TEMP_SUFFIX, dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(fd, mode)
                os.fsync(fd)
            Path(temp).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temp).unlink()
            raise
        sync_dir(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Append one line and wait until it is on the disk.

    A crash may leave a part of the line: the next one then begins on a line of its own.
    """
    with disk_errors(path):
        fresh = not path.exists()
        with path.open("a+b") as file:
            if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
                file.write(b"\n")
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            sync_dir(path.parent)


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
