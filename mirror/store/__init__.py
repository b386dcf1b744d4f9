"""Bytes at rest: blobs, snapshots and channels in one data directory."""

from __future__ import annotations

from mirror.store.layout import DataDir
from mirror.store.locks import content_lock
from mirror.store.store import Store

__all__ = ["DataDir", "Store", "content_lock"]
