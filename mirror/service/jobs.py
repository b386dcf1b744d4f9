"""Jobs: the syncs that were asked for, that run, and that have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.jobs import is_final
from mirror.errors import Cancelled, NotCancellable
from mirror.jobs.outcome import problem_of
from mirror.model import Job, JobState, utcnow

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Iterator

    from mirror.model import LogLine
    from mirror.service.mirror import Mirror
    from mirror.sync.run import SyncOptions


class Jobs:
    """The jobs of one mirror. What runs them is `mirror serve`, or `Syncs.run` in this process."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def list(
        self, *, before: int = 0, limit: int = 50, states: Iterable[str] = ()
    ) -> builtins.list[Job]:
        """Return jobs, the newest first: those with an id below `before` (0: all)."""
        self.sweep()
        return self._mirror.catalog.jobs.page(before=before, limit=limit, states=states)

    def get(self, number: int) -> Job:
        """Return a job, or raise `NotFound`."""
        job = self._mirror.catalog.jobs.get(number)
        if job.state in {JobState.WAITING, JobState.RUNNING} and self.sweep():
            return self._mirror.catalog.jobs.get(number)
        return job

    def log(self, number: int, *, after: int = 0, limit: int = 1000) -> builtins.list[LogLine]:
        """Return the lines of a job's log whose number is above `after`. Raises `NotFound`."""
        self._mirror.catalog.jobs.get(number)
        return self._mirror.catalog.jobs.log(number, after=after, limit=limit)

    def follow(self, number: int) -> Iterator[tuple[Job, builtins.list[LogLine]]]:
        """Yield a job, and what is new in its log, until it has ended. Blocks. See `jobs.sweep`."""
        from mirror.jobs.sweep import follow

        return follow(self.get, lambda job, after: self.log(job, after=after), number)

    def start(self, options: SyncOptions, *, by: str, reason: str = "manual") -> Job:
        """Ask for a sync, which `mirror serve` runs as soon as no other does; return its job.

        Where the same sync is queued already, that job is returned: it has not begun, and will see
        whatever a new one would.
        """
        catalog = self._mirror.catalog
        job = new_job(options, by=by, reason=reason)
        for queued in catalog.jobs.page(limit=-1, states=(JobState.QUEUED,)):
            if not queued.cancel and _wish(queued.options) == _wish(job.options):
                return queued
        added = catalog.jobs.add(job)
        catalog.audit.record(by, "job.start", str(added.id), None, options)
        return added

    def cancel(self, number: int, *, by: str) -> Job:
        """Ask for the end of a job; whoever runs it sees that within a second.

        What has come is kept: the next sync goes on from there. Raises `NotFound`,
        `NotCancellable`.
        """
        jobs = self._mirror.catalog.jobs
        job = self.get(number)
        ended = msgspec.structs.replace(
            job,
            state=JobState.CANCELLED,
            ended=utcnow(),
            error=problem_of(Cancelled(f"job {number} was cancelled before it began")),
        )
        if jobs.update(ended, only=(JobState.QUEUED,)):
            job = ended  # nobody runs it yet
        elif is_final(job.state):
            raise NotCancellable(f"job {number} has ended: it is {job.state}")
        jobs.ask_to_cancel(number)
        self._mirror.catalog.audit.record(by, "job.cancel", str(number), job.state, "cancel")
        return jobs.get(number)

    def running(self) -> Job | None:
        """Return the job that runs now, if one does."""
        running = self.list(limit=1, states=(JobState.RUNNING,))
        return running[0] if running else None

    def same(self, options: SyncOptions) -> Job | None:
        """Return a job that has a process and does what these options ask for, if there is one."""
        wanted = _wish(new_job(options, by="", reason="").options)
        begun = self.list(limit=-1, states=(JobState.RUNNING, JobState.WAITING))
        return next((job for job in reversed(begun) if _wish(job.options) == wanted), None)

    def next_queued(self) -> int:
        """Return the id of the job that waits longest for a process; 0: none does."""
        return self._mirror.catalog.jobs.next_queued()

    def sweep(self) -> builtins.list[Job]:
        """Mark the jobs whose process is gone as interrupted, and return them."""
        from mirror.jobs.sweep import sweep

        return sweep(self._mirror.catalog.jobs, self._mirror.settings.data_dir)


def _wish(options: msgspec.Raw) -> dict[str, object]:
    """Return what is to be done, apart from how to wait for it."""
    return {
        key: value
        for key, value in msgspec.json.decode(options, type=dict[str, object]).items()
        if key != "wait"
    }


def new_job(options: SyncOptions, *, by: str, reason: str) -> Job:
    """Put a job together that has no id yet."""
    raw = msgspec.Raw(msgspec.json.encode(options))
    return Job(reason=reason, by=by, options=raw, created=utcnow())
