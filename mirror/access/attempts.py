"""How many wrong attempts may be made: a bucket for each key that leaks at a steady rate."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")

MAX_KEYS = 4096


class Attempts(Generic[K]):
    """Counts attempts by key: `burst` at once, then one every `pause` seconds.

    A full bucket does not get fuller: however many attempts there were, the next one is free after
    `pause`. The keys that were charged longest ago are forgotten when there are too many.
    """

    def __init__(
        self, burst: int, pause: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = pause
        self._capacity = burst * pause
        self._clock = clock
        self._empty_at: dict[K, float] = {}

    def wait(self, key: K) -> float:
        """Return how many seconds to wait before the next attempt; 0: none."""
        level = self._empty_at.get(key, 0.0) - self._clock()
        return max(0.0, level + self._pause - self._capacity)

    def charge(self, key: K) -> None:
        """Count an attempt."""
        now = self._clock()
        level = max(self._empty_at.pop(key, 0.0) - now, 0.0)
        while len(self._empty_at) >= MAX_KEYS:
            del self._empty_at[next(iter(self._empty_at))]
        self._empty_at[key] = now + min(level + self._pause, self._capacity)

    def refund(self, key: K) -> None:
        """Take an attempt back that turned out well."""
        if key in self._empty_at:
            self._empty_at[key] -= self._pause
