"""How much room the disk has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mirror.errors import NoSpace
from mirror.store.durable import disk_errors

if TYPE_CHECKING:
    from pathlib import Path


def free_bytes(path: Path) -> int:
    """Return the bytes that this user may still write on the file system of `path`."""
    with disk_errors(path):
        room = os.statvfs(path)
    return room.f_bavail * room.f_frsize


def require_space(path: Path, needed: int, min_free: int = 0) -> None:
    """Raise NoSpace unless `min_free` bytes stay free after `needed` bytes have been written."""
    free = free_bytes(path)
    if free - needed < min_free:
        raise NoSpace(
            f"{path}: {needed:,} bytes are needed and {min_free:,} are to stay free,"
            f" but only {free:,} are free"
        )
