"""The process that runs the schedule and the queued jobs, one at a time.

`python -m mirror.server.runner` is started and kept alive by the supervisor; for each job it starts
`python -m mirror.server.runner --job ID`, a process of its own: the memory of a sync returns to the
system, and its crash takes nothing along. Once that has ended, `--tell ID` lets plugins hear of it,
again in a process of its own: a plugin that hangs at its import hangs there. All read RunnerOptions
as one line of JSON on their standard input. SIGTERM, or the end of that input (whoever started it
is gone), makes them end: the job is recorded as interrupted, and what has come of its files stays
for the next one.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mirror.errors import Cancelled, JobNotStarted, MirrorError
from mirror.implementing import anyone_implements
from mirror.logs import configure, job_id
from mirror.model import JobState

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Coroutine

    from mirror.catalog.jobs import LastRun
    from mirror.model import Schedule
    from mirror.service import Mirror

POLL = 1.0
"""Seconds between two looks for a queued job: three rows, by their keys."""

TROUBLE = 30.0
"""Seconds to wait after the catalogue, or the schedule, could not be read."""

KILL_AFTER = 10.0
"""Seconds that a job's process may take to end when it is told to, or when its job has ended."""

TELL_WITHIN = 45.0
"""Seconds that plugins may take, all together, to hear of a job."""

LISTENING = ("mirror_sync_finished", "mirror_snapshot_published")

# it runs as __main__
_log = logging.getLogger("mirror.server.runner")


class RunnerOptions(msgspec.Struct, frozen=True):
    """Which mirror: its data directory, and the settings file ('': the usual one)."""

    data_dir: str
    config: str = ""
    log_level: str = "INFO"
    log_format: Literal["plain", "json"] = "plain"


def main() -> int:
    """Run the schedule, or one job; return the exit status."""
    orders = sys.stdin.buffer.readline()
    if not orders:
        return 0  # whoever started us was gone before it could say what for
    options = msgspec.json.decode(orders, type=RunnerOptions)
    configure(options.log_level, form=options.log_format)
    try:
        with _open(options) as mirror:
            asyncio.run(_until_told_to_end(_work(mirror, orders)))
    except asyncio.CancelledError:
        return 0
    except Cancelled as error:
        _log.info("%s", error)
    except MirrorError as error:
        _log.error("%s. %s", error, error.remedy)
        return error.exit_status
    return 0


def _open(options: RunnerOptions) -> Mirror:
    from mirror.service import Mirror
    from mirror.settings import load_settings

    config = Path(options.config) if options.config else None
    return Mirror.open(load_settings(data_dir=Path(options.data_dir), config=config))


async def _until_told_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Do the work until it is done, SIGTERM comes, or whoever started us is gone."""
    task = asyncio.create_task(work)
    lifeline = _Lifeline(task)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lifeline.cut)
    transport, _ = await loop.connect_read_pipe(lambda: lifeline, sys.stdin)
    try:
        await task
    finally:
        transport.close()


class _Lifeline(asyncio.Protocol):
    """Cancels a task, once, when the pipe's other end is closed; see `worker`."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task
        self._cut = False

    def cut(self) -> None:
        if not self._cut:
            self._cut = True
            self._task.cancel()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.cut()


async def _work(mirror: Mirror, orders: bytes) -> None:
    """Do what the command line says: run a job, tell of one, or run whatever there is to run."""
    if len(sys.argv) == 1:
        await _Runner(mirror, orders).run()
        return
    what, number = sys.argv[1], int(sys.argv[2])
    job_id.set(number)
    if what == "--tell":
        await asyncio.to_thread(mirror.announcer.job_ended, number)
    else:
        await mirror.syncs.run_queued(number)


class _Runner:
    """Looks for the next job, and runs it; `orders` are what its own process was given."""

    def __init__(self, mirror: Mirror, orders: bytes) -> None:
        self._mirror = mirror
        self._orders = orders
        self._basis: tuple[Schedule, LastRun] | None = None
        self._due: datetime | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._in_order = asyncio.Lock()
        self._interrupted: list[int] = []

    async def run(self) -> None:
        _log.info("ready to run jobs")
        try:
            await self._run_jobs()
        finally:
            if self._telling:
                _, late = await asyncio.wait(self._telling, timeout=TELL_WITHIN)
                for each in late:
                    each.cancel()
                await asyncio.gather(*late, return_exceptions=True)

    async def _run_jobs(self) -> None:
        while True:
            pause = POLL
            try:
                number = await asyncio.to_thread(self._next_job)
                while self._interrupted:
                    self._tell(self._interrupted.pop())
                if number:
                    await self._run(number)
            except (MirrorError, OSError) as error:
                pause = TROUBLE
                _log.error("%s; looking again in %g s", error, pause)
            await asyncio.sleep(pause)

    def _next_job(self) -> int:
        """Return the job to run now, 0 if there is none. What is queued comes first."""
        for job in self._mirror.jobs.sweep():
            _log.warning("job %d was interrupted", job.id)
            self._interrupted.append(job.id)
            self._basis = None
        return self._mirror.jobs.next_queued() or self._scheduled()

    def _scheduled(self) -> int:
        schedule = self._mirror.schedule
        basis = (schedule.get(), schedule.last())
        if basis != self._basis:
            self._due = schedule.next_run()
            self._basis = basis
            if self._due:
                _log.info("the next sync by schedule is due at %s", self._due.astimezone())
        if self._due is None or datetime.now(UTC) < self._due:
            return 0
        self._basis = None  # whatever comes of it, what is next is planned anew
        job = schedule.start()
        return job.id if job else 0

    async def _run(self, number: int) -> None:
        """Run a job in a process of its own, and see how that ended."""
        process = await self._start("--job", number)
        try:
            await self._watch(number, process)
            status = await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            self._tell(number)
            raise
        await asyncio.to_thread(self._settle, number, status)
        self._tell(number)

    async def _start(self, what: str, number: int) -> Process:
        command = (sys.executable, "-P", "-m", "mirror.server.runner", what, str(number))
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE)
        if process.stdin is not None:
            with suppress(ConnectionError):
                process.stdin.write(self._orders)
                await process.stdin.drain()
        return process

    def _tell(self, number: int) -> None:
        """Let plugins hear of a job that has ended; it takes none of the next job's time."""
        task = asyncio.create_task(self._tell_of(number))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell_of(self, number: int) -> None:
        if not await asyncio.to_thread(lambda: any(map(anyone_implements, LISTENING))):
            return
        async with self._in_order:
            process = await self._start("--tell", number)
            try:
                await asyncio.wait_for(process.wait(), TELL_WITHIN)
            except TimeoutError:
                _log.warning("plugins took over %g s to hear of job %d", TELL_WITHIN, number)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _watch(self, number: int, process: Process) -> None:
        """Wait for a job's process; kill it if it hangs when it should be over.

        A plugin that never returns would keep it, and all further jobs, for ever.
        """
        late = 0.0
        while late < KILL_AFTER:
            try:
                await asyncio.wait_for(process.wait(), POLL)
            except TimeoutError:
                over = await asyncio.to_thread(self._should_be_over, number)
                late = late + POLL if over else 0.0
            else:
                return
        _log.error("the process of job %d hangs; killing it", number)
        with suppress(ProcessLookupError):
            process.kill()

    def _should_be_over(self, number: int) -> bool:
        try:
            job = self._mirror.jobs.get(number)
        except MirrorError:
            return False
        return job.cancel or job.ended is not None

    def _settle(self, number: int, status: int) -> None:
        self._mirror.jobs.sweep()
        self._basis = None
        job = self._mirror.jobs.get(number)
        if status and job.state is JobState.QUEUED:
            error = JobNotStarted(f"the process for job {number} ended with status {status}")
            self._mirror.syncs.refuse(number, error)
            _log.error("%s", error)
        else:
            _log.info("job %d (%s): %s", number, job.reason, job.state)


async def _end(process: Process) -> None:
    """Tell a job's process to end, and see to it."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), KILL_AFTER)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


if __name__ == "__main__":
    sys.exit(main())
