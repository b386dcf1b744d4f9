"""Counts that go on for ever: what was done, whichever process did it, also before a restart."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mirror.errors import (
    MirrorError,
    PluginCrashed,
    PluginLimitExceeded,
    PluginTrespassed,
    ValidationFailed,
)
from mirror.model import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.catalog.database import Database

SYNC_SECONDS = "sync_seconds"
GC_BLOBS = "gc_blobs"
GC_BYTES = "gc_bytes"
CORRUPT_BLOBS = "corrupt_blobs"
_PLUGIN = "plugin_"

LISTENER = "listener"
ROUTE = "route"
_REASONS: tuple[tuple[type[MirrorError], str], ...] = (
    (ValidationFailed, "invalid"),
    (PluginLimitExceeded, "limit"),
    (PluginCrashed, "crash"),
    (PluginTrespassed, "trespass"),
)
REASONS = ("invalid", "error", "limit", "crash", "trespass", LISTENER, ROUTE)
"""What is counted of plugins: `invalid` is a version that one condemned, which may be right; the
next four what one did wrong with a version; the last two, with an event and with a request."""

_ENDED = tuple(
    state.value
    for state in JobState
    if state not in {JobState.QUEUED, JobState.WAITING, JobState.RUNNING}
)
_LIST = ", ".join(f"'{state}'" for state in _ENDED)
_ADD = """INSERT INTO tallies VALUES ({name}, {amount})
  ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"""

COUNT_JOBS = f"""
CREATE TRIGGER IF NOT EXISTS jobs_that_end_are_counted AFTER UPDATE OF state ON jobs
WHEN NEW.state IN ({_LIST}) AND OLD.state NOT IN ({_LIST})
BEGIN
  {_ADD.format(name="'jobs_' || NEW.state", amount="1")};
  {
    _ADD.format(
        name=f"'{SYNC_SECONDS}'",
        amount="max(0, coalesce(86400.0 * (julianday(json_extract(NEW.document, '$.ended'))"
        " - julianday(json_extract(NEW.document, '$.started'))), 0))",
    )
};
END
"""
"""Jobs are forgotten after a while; how many there were is not."""


def reason_of(error: MirrorError) -> str:
    """Return which of `REASONS` an error with a version is counted as."""
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "error")


class Tallies:
    """The counts of one catalogue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, amounts: Mapping[str, float]) -> None:
        """Add to counts, all in one transaction."""
        with self._database.transaction() as connection:
            connection.executemany(_ADD.format(name="?", amount="?"), list(amounts.items()))

    def all(self) -> dict[str, float]:
        """Return every count that is not 0, by name."""
        return dict(self._database.rows("SELECT name, value FROM tallies"))

    def count_failures(self, failures: Iterable[tuple[str, str]]) -> None:
        """Count what plugins did wrong at run time, by (plugin, reason)."""
        counts = Counter(f"{_PLUGIN}{reason}_{plugin}" for plugin, reason in failures)
        if counts:
            self.add(counts)

    def plugin_failures(self) -> dict[tuple[str, str], int]:
        """Return how often each plugin failed, by (plugin, reason); reasons are `REASONS`."""
        found = {}
        for name, count in self.all().items():
            if name.startswith(_PLUGIN):
                reason, _, plugin = name.removeprefix(_PLUGIN).partition("_")
                found[plugin, reason] = int(count)
        return found

    def jobs_ended(self) -> dict[str, int]:
        """Return how many jobs ended in each of the final states."""
        counts = self.all()
        return {state: int(counts.get(f"jobs_{state}", 0)) for state in _ENDED}
