"""Keeping a job's row and log up to date while it runs, and hearing who wants to end it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from mirror.errors import MirrorError
from mirror.jobs.progress import Meter, level_of, say
from mirror.logs import redact
from mirror.model import Job, JobState, LogLine, Problem, Progress, utcnow

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirror.catalog.jobs import Jobs
    from mirror.sync.events import Event

EVERY = 0.5
"""Seconds between two writes: what others see of a job is no older."""

MAX_LINES = 1000
"""Lines in a job's log, besides those that say how it ended."""

MAX_LISTED = 1000
"""Entries of each list in a job's result: a row is read whenever jobs are listed."""

_MAX_LAST_LINES = 200
_MAX_MESSAGE = 2000

_log = logging.getLogger(__name__)


class Recorder:
    """One job that runs in this process. All but `write` is called from the event loop's thread."""

    def __init__(self, jobs: Jobs, job: Job) -> None:
        self._jobs = jobs
        self._meter = Meter()
        self._lines: list[LogLine] = []
        self._numbered = 0
        self._wrote = job
        self.job = job
        self.cancelled = False
        """Someone asked for the job's end."""

    def emit(self, event: Event) -> None:
        """Take note of an event of the sync."""
        self._meter.take(event)
        if words := say(event):
            self.say(words, level_of(event))

    def say(self, message: str, level: str = "info", *, last: bool = False) -> None:
        """Add a line to the log; `last` ones say how the job ended, and have room of their own."""
        limit = MAX_LINES + _MAX_LAST_LINES if last else MAX_LINES
        if self._numbered > limit:
            return
        if self._numbered == limit:
            level, message = "warning", "more lines follow, which are left out here"
        self._numbered += 1
        text = redact(message)[:_MAX_MESSAGE]
        self._lines.append(LogLine(self._numbered, utcnow(), level, text))

    def set(self, state: JobState) -> None:
        """Change the state; it is written with the next lot."""
        started = utcnow() if state is JobState.RUNNING else None
        self.job = msgspec.structs.replace(self.job, state=state, started=started)

    async def keep_writing(self, cancel: Callable[[], object]) -> None:
        """Write what is new, again and again; call `cancel`, once, when the row asks for it.

        A catalogue that can't be written for a while does not stop a sync.
        """
        while True:
            try:
                asked = await asyncio.to_thread(self.write, *self._news())
            except MirrorError as error:
                _log.warning("job %d could not be recorded: %s", self.job.id, error)
                asked = False
            if asked and not self.cancelled:
                self.cancelled = True
                cancel()
            await asyncio.sleep(EVERY)

    def write(self, job: Job, lines: list[LogLine]) -> bool:
        """Write a lot; say whether someone asked for the job's end. Blocks. Raises `StoreError`."""
        if not lines and job == self._wrote:
            return self._jobs.is_cancelled(job.id)
        asked = self._jobs.record(job, lines)
        self._wrote = job
        return asked

    async def end(
        self, state: JobState, *, result: object = None, error: Problem | None = None
    ) -> Job:
        """Write how the job ended, and return it."""
        job, lines = self._news()
        self.job = msgspec.structs.replace(
            job,
            state=state,
            ended=utcnow(),
            progress=msgspec.structs.replace(job.progress, eta=None),
            result=await asyncio.to_thread(_storable, result),
            error=error and msgspec.convert(_redacted(msgspec.to_builtins(error)), Problem),
        )
        try:
            await asyncio.to_thread(self.write, self.job, lines)
        except MirrorError as failure:
            _log.error("the end of job %d could not be recorded: %s", self.job.id, failure)
        return self.job

    def _news(self) -> tuple[Job, list[LogLine]]:
        lines, self._lines = self._lines, []
        progress: Progress = self._meter.progress()
        self.job = msgspec.structs.replace(self.job, progress=progress)
        return self.job, lines


def _storable(result: object) -> msgspec.Raw:
    """Write a result as JSON: without secrets, its lists not longer than is of use."""
    value = msgspec.to_builtins(result)
    if isinstance(value, dict):
        value = {
            key: each[:MAX_LISTED] if isinstance(each, (list, tuple)) else each
            for key, each in value.items()
        }
    return msgspec.Raw(msgspec.json.encode(_redacted(value)))


def _redacted(value: Any) -> Any:  # noqa: ANN401  (whatever JSON can hold)
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key): _redacted(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(each) for each in value]
    return value
