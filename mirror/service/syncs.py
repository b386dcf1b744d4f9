"""Bringing a channel up to date with the boot sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirror.service.mirror import Mirror
    from mirror.sync.events import Emit
    from mirror.sync.result import SyncResult
    from mirror.sync.run import SyncOptions


class Syncs:
    """The syncs of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    async def run(self, options: SyncOptions, emit: Emit) -> SyncResult:
        """Bring the channel up to date, in this process; see `sync.run`."""
        from mirror.sync.run import Tools, run_sync

        mirror = self._mirror
        tools = Tools(
            store=mirror.store,
            catalog=mirror.catalog,
            plugins=mirror.plugins,
            key=mirror.key,
            settings=mirror.settings,
        )
        return await run_sync(tools, options, emit)
