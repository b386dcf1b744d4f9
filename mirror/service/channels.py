"""Channels: what is published now, and under which name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.errors import NotFound

if TYPE_CHECKING:
    from mirror.model import Switch
    from mirror.service.mirror import Mirror

_ROLLED_BACK = "rolled back from"


class Channels:
    """The channels of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def pointers(self) -> dict[str, str]:
        """Return the snapshot of each channel."""
        channels = self._mirror.store.channels
        found = {name: channels.current(name) for name in channels.names()}
        return {name: at for name, at in found.items() if at}

    def current(self, channel: str) -> str:
        """Return the snapshot of a channel, or raise `NotFound`."""
        current = self._mirror.store.channels.current(channel)
        if current is None:
            raise NotFound(f"there is no channel {channel!r}")
        return current

    def history(self, channel: str) -> list[Switch]:
        """Return where a channel pointed, oldest first. Raises `NotFound`."""
        self.current(channel)
        return self._mirror.store.channels.history(channel)

    def promote(self, channel: str, snapshot: str, *, by: str) -> str:
        """Point a channel at a snapshot (or at another channel's); return its id."""
        snapshot_id = self._mirror.snapshots.resolve(snapshot)
        before = self._mirror.store.channels.current(channel)
        self._mirror.store.channels.switch(channel, snapshot_id, f"promoted {snapshot}")
        self._mirror.catalog.audit.record(by, "channel.promote", channel, before, snapshot_id)
        return snapshot_id

    def rollback(self, channel: str, *, by: str) -> str:
        """Point a channel back at what it published before; return its id."""
        store = self._mirror.store
        current = self.current(channel)
        for switch in reversed(store.channels.history(channel)):
            if switch.snapshot != current or switch.reason.startswith(_ROLLED_BACK):
                continue  # a second rollback goes further back, not to where the first came from
            if switch.previous and store.snapshots.has(switch.previous):
                store.channels.switch(channel, switch.previous, f"{_ROLLED_BACK} {current}")
                self._mirror.catalog.audit.record(
                    by, "channel.rollback", channel, current, switch.previous
                )
                return switch.previous
        raise NotFound(
            f"channel {channel!r} has no earlier snapshot to go back to",
            remedy="See `mirror channel show` for its history, `mirror snapshot list` for what "
            "is here, and point it with `mirror channel promote`.",
        )
