"""Bytes at rest: blobs, snapshots and channels in one data directory."""

from __future__ import annotations
