"""Jobs whose process is gone, and following one that another process runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.jobs import is_final
from mirror.errors import JobInterrupted
from mirror.jobs.outcome import problem_of
from mirror.jobs.presence import Presence
from mirror.model import JobState, utcnow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mirror.catalog.jobs import Jobs
    from mirror.model import Job, LogLine


def sweep(jobs: Jobs, data_dir: Path) -> list[Job]:
    """Mark the jobs that were begun, and whose process is gone, as interrupted; return them."""
    begun = [job for job in jobs.unfinished() if job.state is not JobState.QUEUED]
    if not begun:
        return []
    with Presence(data_dir) as presence:
        gone = [job for job in begun if not presence.is_held(job.id)]
    # a process lets go only after it has written how its job ended: such a row stays as it is
    interrupted = [(job, _interrupted(job)) for job in gone]
    return [ended for job, ended in interrupted if jobs.update(ended, only=(job.state,))]


def follow(
    get: Callable[[int], Job],
    log: Callable[[int, int], list[LogLine]],
    number: int,
    *,
    every: float = 0.5,
) -> Iterator[tuple[Job, list[LogLine]]]:
    """Yield a job, and what is new in its log, until it has ended: that is the last one."""
    after = 0
    while True:
        job = get(number)  # before its log: all of it is there once the job has ended
        while lines := log(number, after):
            after = lines[-1].number
            yield job, lines
        yield job, []
        if is_final(job.state):
            return
        time.sleep(every)


def _interrupted(job: Job) -> Job:
    error = JobInterrupted(f"the process {job.process} of job {job.id} is gone")
    return msgspec.structs.replace(
        job,
        state=JobState.INTERRUPTED,
        ended=utcnow(),
        progress=msgspec.structs.replace(job.progress, eta=None),
        error=problem_of(error),
    )
