"""The disk: MIR-5xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


class StoreError(MirrorError, code="MIR-500"):
    """The data directory failed."""

    remedy = "Check the disk and its mount; nothing that is published was changed."


class NoSpace(StoreError, code="MIR-501", http_status=507):
    """Not enough free space for what is planned."""

    remedy = "Select less, run `mirror gc`, or enlarge the disk; nothing published was changed."


class Busy(StoreError, code="MIR-502", http_status=409):
    """Another process is syncing or cleaning this data directory."""

    remedy = "Wait for it, or stop it first."


class BlobMissing(StoreError, code="MIR-503", http_status=404):
    """A file that a snapshot names is not in the store."""

    remedy = "Run `mirror verify --repair` to fetch it again."


class SnapshotInUse(StoreError, code="MIR-504", http_status=409):
    """A channel still answers for the snapshot that was to be removed."""

    remedy = "Point the channel at another one first; wait until the grace period has passed."
