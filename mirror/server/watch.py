"""Notice that a channel was switched, or allows other licences, within about a second."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from mirror.errors import MirrorError
from mirror.model import utcnow
from mirror.server.published import Published, licences_of, publish, refresh

if TYPE_CHECKING:
    from datetime import timedelta

    from mirror.store.store import Store

INTERVAL = 0.5
"""Seconds between two looks at the pointers."""

RECHECK = 30.0
"""Seconds until snapshots that leave their grace period are noticed, and failures tried again."""

_log = logging.getLogger(__name__)


class Watch:
    """Looks at the channels' pointers; its methods block."""

    def __init__(self, store: Store, grace: timedelta) -> None:
        self._store = store
        self._grace = grace
        self._pointers: dict[str, tuple[str | None, frozenset[str]]] | None = None
        self._due = 0.0

    def look(self, before: Published) -> Published:
        """Return what is published now: `before` itself if nothing has changed."""
        try:
            channels = self._store.channels
            pointers = {
                name: (channels.current(name), licences_of(self._store, name))
                for name in channels.names()
            }
            if pointers == self._pointers and time.monotonic() < self._due:
                return before
            self._due = time.monotonic() + RECHECK
            after = refresh(self._store, before, self._grace, utcnow())
            self._pointers = pointers
        except (MirrorError, OSError) as error:
            problem = f"the channels can't be read: {error}"
            after = publish(before.channels, {"": problem})
        _report(before, after)
        return after


def _report(before: Published, after: Published) -> None:
    for name, channel in after.channels.items():
        known = before.channels.get(name)
        if known is None or known.tree.snapshot != channel.tree.snapshot:
            _log.info("channel %s: serving snapshot %s", name, channel.tree.snapshot)
        if channel.licences != (known.licences if known else frozenset()):
            words = ", ".join(sorted(channel.licences)) or "none"
            _log.info("channel %s: licences that are allowed: %s", name, words)
    for name, problem in after.problems.items():
        if before.problems.get(name) != problem:
            _log.error("%s; what was served before is kept", problem)
