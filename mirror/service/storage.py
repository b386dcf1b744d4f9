"""Bytes at rest: check them, drop what nothing needs."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from mirror.service.mirror import Mirror
    from mirror.store.gc import GcReport
    from mirror.sync.events import Emit
    from mirror.sync.repair import RepairReport


class Storage:
    """The store of one mirror, as an operator sees it."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    async def verify(self, *, repair: bool, emit: Emit) -> RepairReport:
        """Read every blob that a snapshot names; with `repair`, fetch the bad ones again."""
        from mirror.sync.repair import repair_store

        mirror = self._mirror
        return await repair_store(
            mirror.store, mirror.catalog.sources(), mirror.settings, repair=repair, emit=emit
        )

    def gc(self, *, grace: timedelta | None = None, dry_run: bool = False) -> GcReport:
        """Delete what no snapshot needs. Raises `Busy` while a sync runs."""
        from mirror.store import content_lock
        from mirror.store.gc import collect

        chosen = self._mirror.settings.store.grace if grace is None else grace
        with nullcontext() if dry_run else content_lock(self._mirror.settings.data_dir):
            return collect(self._mirror.store, grace=chosen, dry_run=dry_run)
