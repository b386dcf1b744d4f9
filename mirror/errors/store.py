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


class ChannelMoved(StoreError, code="MIR-505", http_status=409):
    """A channel was switched by someone else while it was being changed."""

    remedy = "Look at `mirror channel show`, and try again if it is still wanted."


class CatalogMissing(StoreError, code="MIR-510"):
    """The catalogue is not there, although the mirror has published."""

    remedy = (
        "Restore catalog.sqlite from a backup, or bring back what the snapshots tell with "
        "`mirror catalog rebuild`. What is published stays served."
    )


class CatalogWhole(StoreError, code="MIR-511", http_status=409):
    """The catalogue can be read: there is nothing to rebuild."""

    remedy = "To go back to an older one, restore it from a backup (docs/operators.md)."


class CatalogDamaged(StoreError, code="MIR-512"):
    """The catalogue is not what SQLite wrote."""

    remedy = (
        "Restore catalog.sqlite from a backup, or bring back what the snapshots tell with "
        "`mirror catalog rebuild`, which keeps the damaged file. What is published stays served."
    )
