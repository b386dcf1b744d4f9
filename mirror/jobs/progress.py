"""How far a sync is, and what it says: from its events to numbers and words."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from mirror.model import Progress
from mirror.sync import events

if TYPE_CHECKING:
    from collections.abc import Callable

_SMOOTH = 10.0
"""Seconds over which the rate is smoothed: it follows the network, not each packet."""

_SAMPLE = 0.25
"""Seconds: over less, a rate says more of the timer than of the network."""

_LUMP = 32 << 20
"""Bytes: so much of a file at once came from the disk (an earlier run's), not from the network."""


class Meter:
    """Counts the transfers of a sync; ask it for its `progress` now and then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._files = self._files_done = self._bytes = self._bytes_done = 0
        self._begun = self._sampled = clock()
        self._came = self._counted = 0
        """Bytes from the network, and how many of them are in the rate already."""
        self._seen: set[str] = set()
        self._rate: float | None = None

    def take(self, event: events.Event) -> None:
        """Count an event."""
        match event:
            case events.Planned():
                self._begin(event.files, event.bytes)
            case events.Received():
                self._bytes_done += event.bytes
                if event.bytes < _LUMP or event.path in self._seen:
                    self._came += event.bytes
                self._seen.add(event.path)
            case events.Discarded():
                self._bytes_done -= event.bytes
            case events.FileDone():
                self._files_done += 1
                self._seen.discard(event.path)
                if self.is_done:
                    self._rate = self._came / max(self._clock() - self._begun, 0.001)
            case _:
                pass

    @property
    def is_done(self) -> bool:
        """Say whether all that was planned is here."""
        return self._files_done == self._files

    def progress(self) -> Progress:
        """Return the state of the transfers; once they are done, `rate` is that of the whole."""
        now = self._clock()
        passed = now - self._sampled
        if passed >= _SAMPLE and not self.is_done:
            rate = (self._came - self._counted) / passed
            weight = 1 - math.exp(-passed / _SMOOTH)
            self._rate = rate if self._rate is None else self._rate + weight * (rate - self._rate)
            self._sampled, self._counted = now, self._came
        rate = self._rate or 0.0
        left = max(0, self._bytes - self._bytes_done)
        return Progress(
            files=self._files,
            files_done=self._files_done,
            bytes=self._bytes,
            bytes_done=self._bytes_done,
            rate=round(rate, 1),
            eta=round(left / rate, 1) if left and rate >= 1 else None,
        )

    def _begin(self, files: int, size: int) -> None:
        self._files, self._bytes = files, size
        self._files_done = self._bytes_done = self._came = self._counted = 0
        self._begun = self._sampled = self._clock()
        self._seen, self._rate = set(), None


def say(event: events.Event) -> str:
    """Put an event into words; '' for those that only move the bar."""
    match event:
        case events.SourceChecked(changed=False):
            return f"{event.source}: nothing new"
        case events.SourceChecked():
            return f"{event.source}: {event.products} products offered, signature good"
        case events.FileFailed():
            return f"failed: {event.path}: {event.message} [{event.code}]"
        case events.Retrying():
            return (
                f"retrying {event.path} in {event.wait:.1f} s "
                f"(attempt {event.attempt}): {event.reason}"
            )
        case events.Note():
            return event.message
        case _:
            return ""


def level_of(event: events.Event) -> str:
    """Say how grave an event is: `info`, `warning` or `error`."""
    match event:
        case events.FileFailed():
            return "error"
        case events.Retrying():
            return "warning"
        case events.Note():
            return event.level
        case _:
            return "info"
