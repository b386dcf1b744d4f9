"""Bringing a channel up to date with the boot sources. Each sync is a job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import Busy, MirrorError
from mirror.model import JobState, utcnow

if TYPE_CHECKING:
    from mirror.jobs.presence import Presence
    from mirror.model import Job
    from mirror.service.mirror import Mirror
    from mirror.sync.events import Emit, Event
    from mirror.sync.result import SyncResult
    from mirror.sync.run import SyncOptions, Tools


IMAGE_JOB = "image"
"""The kind of a job that takes a custom image in."""


def unheard(event: Event) -> None:
    """Say nothing to anyone: the job's log has it."""


class Syncs:
    """The syncs of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    async def run(
        self, options: SyncOptions, emit: Emit, by: str = "", reason: str = "manual"
    ) -> SyncResult:
        """Bring the channel up to date, in this process, as a job that others see and can cancel.

        Where another process syncs, it waits for its turn; with `options.wait` false, it raises
        `Busy`, which names the job. Otherwise raises what `sync.run` does, and `Cancelled`.
        """
        from mirror.jobs.presence import Presence
        from mirror.jobs.run import SYNC, run_job

        if not options.wait:
            await asyncio.to_thread(self._check_free)
        with Presence(self._mirror.settings.data_dir) as presence:
            job = await asyncio.to_thread(self._add, options, by, reason, presence)
            try:
                result = await run_job(
                    self._tools(), job, emit, stopped=JobState.CANCELLED, work=SYNC
                )
            finally:
                await asyncio.to_thread(self._mirror.announcer.job_ended, job.id)
        await self.tidy(result)
        return result

    async def run_queued(self, number: int) -> bool:
        """Run a queued job in this process; return False if another process has it.

        Whoever started this process tells the plugins: it knows, too, when this one is killed.
        When this is cancelled, the job was interrupted: the server stops. Raises as `run` does.
        """
        from mirror.jobs.presence import Presence
        from mirror.jobs.run import SYNC, run_job

        tools, stopped = self._tools(), JobState.INTERRUPTED
        with Presence(self._mirror.settings.data_dir) as presence:
            job = await asyncio.to_thread(self._claim, number, presence)
            if job is None:
                return False
            if job.kind == IMAGE_JOB:
                work = self._mirror.custom_images.work
                taken = await run_job(tools, job, unheard, stopped=stopped, work=work)
                result = taken.published
            else:
                result = await run_job(tools, job, unheard, stopped=stopped, work=SYNC)
        await self.tidy(result)
        return True

    def refuse(self, number: int, error: MirrorError) -> None:
        """End a queued job that no process could be started for."""
        from mirror.jobs.outcome import problem_of

        ended = msgspec.structs.replace(
            self._mirror.catalog.jobs.get(number),
            state=JobState.FAILED,
            ended=utcnow(),
            error=problem_of(error),
        )
        self._mirror.catalog.jobs.update(ended, only=(JobState.QUEUED,))

    def _check_free(self) -> None:
        from mirror.jobs.run import describe
        from mirror.store import content_lock

        try:
            with content_lock(self._mirror.settings.data_dir):
                return
        except Busy as busy:
            running = self._mirror.jobs.running()
            if running is None:
                raise
            raise Busy(
                f"{describe(running)} is running",
                remedy=f"Wait for it, join it (`mirror sync --join`), or end it with "
                f"`mirror job cancel {running.id}`.",
            ) from busy

    def _add(self, options: SyncOptions, by: str, reason: str, presence: Presence) -> Job:
        """Add a job that this process holds from its first instant: no server takes it."""
        from mirror.jobs.run import this_process
        from mirror.service.jobs import new_job

        self._mirror.jobs.sweep()
        catalog = self._mirror.catalog
        job = msgspec.structs.replace(
            new_job(options, by=by, reason=reason),
            state=JobState.WAITING,
            process=this_process(),
        )
        added = catalog.jobs.add(job, claim=presence.take)
        if by:
            catalog.audit.record(by, "job.start", str(added.id), None, options)
        return added

    def _claim(self, number: int, presence: Presence) -> Job | None:
        from mirror.jobs.run import this_process

        jobs = self._mirror.catalog.jobs
        if not presence.take(number):
            return None
        job = msgspec.structs.replace(
            jobs.get(number), state=JobState.WAITING, process=this_process()
        )
        return job if jobs.update(job, only=(JobState.QUEUED,)) else None

    async def tidy(self, result: SyncResult | None) -> None:
        """Let snapshots and files go that nothing needs after a sync (None: there was none)."""
        if result is not None and result.status in {"published", "unchanged"}:
            published = result.status == "published"
            await asyncio.to_thread(self._mirror.storage.tidy, published=published)

    def _tools(self) -> Tools:
        from mirror.sync.run import Tools

        mirror = self._mirror
        return Tools(
            store=mirror.store,
            catalog=mirror.catalog,
            plugins=mirror.plugins,
            key=mirror.key,
            settings=mirror.settings,
        )
