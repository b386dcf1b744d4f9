"""Bytes at rest: blobs, snapshots and channels in one data directory."""

from __future__ import annotations

from mirror.store.store import Store

__all__ = ["Store"]
