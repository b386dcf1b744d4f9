"""Files that are not blobs yet: partial downloads, uploads, scratch. Any of them may be lost."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.store.blobs import check_sha256
from mirror.store.durable import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator


_SCRATCH = "scratch-"


class Incoming:
    """The directory for files on their way in."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def partial(self, sha256: str) -> Path:
        """Return where the bytes that have come so far of this blob are, for a later resume."""
        check_sha256(sha256)
        return self.root / f"{sha256}.part"

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a directory of one's own, on the blobs' file system, that goes afterwards."""
        with disk_errors(self.root):
            folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=self.root))
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_SH)
            yield folder
        finally:
            os.close(held)
            shutil.rmtree(folder, ignore_errors=True)

    def old(self, older_than: timedelta, *, now: datetime | None = None) -> Iterator[Path]:
        """Yield what was last written longer ago than this."""
        limit = ((now or datetime.now(UTC)) - older_than).timestamp()
        for entry in self.root.iterdir():
            with suppress(FileNotFoundError):
                if entry.lstat().st_mtime < limit:
                    yield entry

    def sweep(self, older_than: timedelta, *, now: datetime | None = None) -> list[Path]:
        """Remove what was last written longer ago than this, and return what it was."""
        with disk_errors(self.root):
            swept = list(self.old(older_than, now=now))
        for entry in swept:
            remove(entry)
        return swept


def in_use(entry: Path) -> bool:
    """Say whether it is the scratch directory of work that goes on; the kernel knows."""
    if not entry.name.startswith(_SCRATCH):
        return False
    try:
        fd = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def remove(entry: Path) -> None:
    """Remove a file or directory, if it is there."""
    with disk_errors(entry):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
