"""A bandwidth limit that all connections of a boot source share."""

from __future__ import annotations

import asyncio
import time


class Rate:
    """A token bucket of `bytes_per_second` (0: no limit), which holds a quarter of a second.

    A taker may overdraw the bucket: the debt is waited for by whoever comes next, so that a large
    chunk needs no large bucket.
    """

    def __init__(self, bytes_per_second: int) -> None:
        self._speed = bytes_per_second
        self._burst = bytes_per_second / 4
        self._tokens = self._burst
        self._at = time.monotonic()

    async def take(self, count: int) -> None:
        """Wait until `count` bytes may be received."""
        if not self._speed:
            return
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._speed) - count
        self._at = now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._speed)
