"""The schedule: when `mirror serve` syncs by itself."""

from __future__ import annotations

import random
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.jobs import is_final
from mirror.errors import NotFound
from mirror.model import JobState, Schedule

if TYPE_CHECKING:
    from mirror.catalog.jobs import LastRun
    from mirror.model import Job
    from mirror.service.mirror import Mirror

_DOCUMENT = "schedule"
_AGAIN = timedelta(minutes=5)
"""A run that was interrupted is done again this long after it began: soon, not in a tight loop."""

BY = "schedule"
"""Who asks for its jobs."""


class Scheduling:
    """The schedule of one mirror. That of the settings holds until another one is set."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def get(self) -> Schedule:
        """Return the schedule."""
        stored = self._mirror.catalog.document(_DOCUMENT, Schedule)
        return stored or self._from_settings()

    def set(self, schedule: Schedule, *, by: str) -> None:
        """Store the schedule; a running server follows it within a second.

        Raises `WindowInvalid`, `ScheduleInvalid`.
        """
        from mirror.jobs.windows import check_schedule

        check_schedule(schedule)
        before = self.get()
        self._mirror.catalog.store_document(_DOCUMENT, schedule)
        self._mirror.catalog.audit.record(by, "schedule.set", _DOCUMENT, before, schedule)

    def last(self) -> LastRun:
        """Return the last run that the schedule started."""
        return self._mirror.catalog.jobs.last_scheduled()

    def next_run(self, now: datetime | None = None) -> datetime | None:
        """Return when the next run is due; None when the schedule is off.

        A run that is overdue is due soon after `now` (the present): the jitter spreads it, the same
        for every process that asks. Raises `WindowInvalid` for windows in the settings.
        """
        from mirror.jobs.windows import next_run

        last, schedule = self.last(), self.get()
        if self._interrupted(last):
            sooner = min(schedule.interval, _AGAIN)
            schedule = msgspec.structs.replace(schedule, interval=sooner)
        # not for secrets: two mirrors of one site should differ, two servers of one mirror not
        seed = f"{socket.gethostname()} {self._mirror.settings.data_dir} {last.job}"
        rng = random.Random(seed)  # noqa: S311
        return next_run(schedule, last.at, now or datetime.now(UTC), rng)

    def start(self) -> Job | None:
        """Queue the run that is due, unless it can't or need not start now; return its job.

        None: the windows are closed by now, nothing is configured yet, the last run still goes on,
        or another server was first.
        """
        from mirror.jobs.windows import may_start
        from mirror.service.jobs import new_job
        from mirror.sync.run import SyncOptions

        catalog, last = self._mirror.catalog, self.last()
        if not (
            may_start(self.get(), datetime.now(UTC))
            and any(source.enabled for source in catalog.sources())
            and catalog.selections()
            and self._has_ended(last)
        ):
            return None
        options = SyncOptions(channel=self._mirror.settings.sync.channel)
        return catalog.jobs.add_scheduled(new_job(options, by=BY, reason=BY), after=last)

    def _from_settings(self) -> Schedule:
        chosen = self._mirror.settings.schedule
        return Schedule(
            enabled=chosen.enabled,
            interval=chosen.interval,
            jitter=chosen.jitter,
            allowed=chosen.allowed,
            quiet=chosen.quiet,
        )

    def _interrupted(self, last: LastRun) -> bool:
        job = self._job(last)
        return job is not None and job.state is JobState.INTERRUPTED

    def _has_ended(self, last: LastRun) -> bool:
        job = self._job(last)
        return job is None or is_final(job.state)

    def _job(self, last: LastRun) -> Job | None:
        try:
            return self._mirror.jobs.get(last.job)
        except NotFound:  # none yet, or forgotten since
            return None
