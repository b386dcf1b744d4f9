"""Run one job in this process, and write down how it went: a sync, or what else there is to do."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from mirror import logs
from mirror.errors import Busy, Cancelled, JobInterrupted, MirrorError
from mirror.jobs.outcome import problem_of
from mirror.jobs.recording import Recorder
from mirror.model import JobState
from mirror.store import content_lock
from mirror.sync.events import Note
from mirror.sync.result import finding_lines, first_findings
from mirror.sync.run import SyncOptions, run_sync

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mirror.model import Job
    from mirror.sync.events import Emit, Event
    from mirror.sync.result import SyncResult
    from mirror.sync.run import Tools

T = TypeVar("T")

_MOST_FINDINGS = 50
"""Findings that are logged one by one."""

_TURN_POLL = 0.5
"""Seconds between two looks at whether the sync of another process is done."""


def this_process() -> str:
    """Name this process as jobs do."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True)
class Work(Generic[T]):
    """What the jobs of a kind do.

    `run` does it, and sets the job's state meanwhile; `end` records what came of it; `left` says
    what is left of one that was stopped.
    """

    run: Callable[[Tools, Recorder, Emit], Awaitable[T]]
    end: Callable[[Recorder, T], Awaitable[None]]
    left: str


async def run_job(tools: Tools, job: Job, emit: Emit, *, stopped: JobState, work: Work[T]) -> T:
    """Run a job that this process holds, and record it in its row until it has ended.

    `stopped` is the state in which it ends when this coroutine is cancelled: `cancelled` if a
    person did that, `interrupted` if the server stops. Raises what the work raises, and `Cancelled`
    when the row asks for the end.
    """
    logs.job_id.set(job.id)
    recorder = Recorder(tools.catalog.jobs, job)

    def both(event: Event) -> None:
        recorder.emit(event)
        emit(event)

    async def do() -> T:
        return await work.run(tools, recorder, both)

    doing = asyncio.create_task(do())
    writer = asyncio.create_task(recorder.keep_writing(doing.cancel))
    try:
        result = await doing
    except asyncio.CancelledError:
        if not recorder.cancelled:
            await _stop(recorder, stopped, work.left)
            raise
        await _stop(recorder, JobState.CANCELLED, work.left)
        raise Cancelled(f"job {job.id} was cancelled") from None
    except MirrorError as error:
        await _fail(recorder, error)
        raise
    except Exception as error:
        await _fail(recorder, MirrorError(f"unexpected: {type(error).__name__}: {error}"))
        raise
    else:
        await work.end(recorder, result)
        return result
    finally:
        writer.cancel()
        with suppress(MirrorError):
            await asyncio.to_thread(tools.catalog.jobs.prune, tools.settings.schedule.keep_jobs)


async def _in_turn(tools: Tools, recorder: Recorder, emit: Emit) -> SyncResult:
    """Sync as soon as no other process does."""
    options = msgspec.json.decode(recorder.job.options, type=SyncOptions)
    at_once = msgspec.structs.replace(options, wait=False)
    said = False

    def from_sync(event: Event) -> None:
        if recorder.job.state is JobState.WAITING:
            recorder.set(JobState.RUNNING)
        emit(event)

    while True:
        if await asyncio.to_thread(_is_free, tools):
            recorder.set(JobState.RUNNING)
        try:
            return await run_sync(replace(tools, job=recorder.job.id), at_once, from_sync)
        except Busy as busy:
            recorder.set(JobState.WAITING)
            if not options.wait:
                raise
            if not said:
                emit(Note(f"waiting for its turn: {await _who(tools, recorder.job, busy)}"))
            said = True
        await asyncio.sleep(_TURN_POLL)


def _is_free(tools: Tools) -> bool:
    """Say whether no process syncs. Another may begin in the next instant: this is for show."""
    try:
        with content_lock(tools.settings.data_dir):
            return True
    except Busy:
        return False


async def _who(tools: Tools, job: Job, busy: Busy) -> str:
    running = await asyncio.to_thread(running_job, tools, job.id)
    return f"{describe(running)} is running" if running else busy.what


def running_job(tools: Tools, but: int = 0) -> Job | None:
    """Return the job that runs now, if one does."""
    running = tools.catalog.jobs.page(limit=2, states=(JobState.RUNNING,))
    return next((job for job in running if job.id != but), None)


def describe(job: Job) -> str:
    """Name a job and who asked for it."""
    by = f", by {job.by}" if job.by else ""
    return f"job {job.id} ({job.reason}{by})"


async def _succeed(recorder: Recorder, result: SyncResult) -> None:
    for label, problems in (("left out", result.left_out), ("source", result.sources)):
        for each in problems:
            recorder.say(f"{label}: {each.about}: {each.what} [{each.code}]", "warning", last=True)
    _say_findings(recorder, result)
    partial = bool(result.exit_status)
    await recorder.end(JobState.PARTIAL if partial else JobState.SUCCEEDED, result=result)


def _say_findings(recorder: Recorder, result: SyncResult) -> None:
    """Log what plugins found this time, but not thousands of lines."""
    shown, more = first_findings(result.findings, _MOST_FINDINGS)
    for severity, words in finding_lines(shown):
        recorder.say(f"found: {words}", severity, last=True)
    if more:
        where = f"mirror channel images {result.channel} --findings"
        recorder.say(f"found: {more} findings more: {where}", "warning", last=True)


SYNC = Work(_in_turn, _succeed, "what has come is kept for the next sync")
"""Bring a channel up to date."""


async def _fail(recorder: Recorder, error: MirrorError) -> None:
    recorder.say(f"failed: {error.what} [{error.code}]", "error", last=True)
    await recorder.end(JobState.FAILED, error=problem_of(error))


async def _stop(recorder: Recorder, state: JobState, left: str) -> None:
    """Record that it was stopped, and what is left of it."""
    recorder.say(f"{state}; {left}", "warning", last=True)
    number = recorder.job.id
    error: MirrorError = (
        JobInterrupted(f"the server was stopped while job {number} ran")
        if state is JobState.INTERRUPTED
        else Cancelled(f"job {number} was cancelled")
    )
    await recorder.end(state, error=problem_of(error))
