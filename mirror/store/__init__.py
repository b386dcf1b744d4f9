"""Bytes at rest: blobs, snapshots and channels in one data directory.

`Store` comes with gpg and compression: it is imported when it is first asked for, so that a listing
of what is in the catalogue starts without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.store.layout import DataDir
from mirror.store.locks import content_lock

if TYPE_CHECKING:
    from mirror.store.store import Store

__all__ = ["DataDir", "Store", "content_lock"]


def __getattr__(name: str) -> object:
    if name != "Store":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mirror.store.store import Store

    return Store
