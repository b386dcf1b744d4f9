from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from mirror.catalog.jobs import LastRun
from mirror.errors import (
    Busy,
    MirrorError,
    NotCancellable,
    NotFound,
    NothingSelected,
    ScheduleInvalid,
    WindowInvalid,
)
from mirror.jobs.outcome import exit_status
from mirror.jobs.presence import Presence
from mirror.model import Job, JobState, Schedule, utcnow
from mirror.service import Mirror
from mirror.service.jobs import new_job
from mirror.store import content_lock
from mirror.sync.result import SyncResult
from mirror.sync.run import SyncOptions


@pytest.fixture
def ready(mut, sample_upstream, serve):
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    return mut


@pytest.fixture
def other(mut):
    """The same data directory, as another process has it open."""
    with Mirror.open(mut.mirror.settings) as mirror:
        yield mirror


def audited(mirror):
    return [(each.actor, each.action, each.subject) for each in mirror.catalog.audit.page()]


def ended_job(mirror, state=JobState.SUCCEEDED):
    job = mirror.jobs.start(SyncOptions(), by="test")
    mirror.catalog.jobs.update(msgspec.structs.replace(job, state=state, ended=utcnow()))
    return job.id


# --- jobs -----------------------------------------------------------------------------------------


async def test_a_sync_is_a_job(ready):
    result = await ready.mirror.syncs.run(SyncOptions(), lambda _: None, by="ann@host")
    [job] = ready.mirror.jobs.list()
    assert (job.state, job.reason, job.by) == (JobState.SUCCEEDED, "manual", "ann@host")
    assert msgspec.json.decode(job.result, type=SyncResult) == result
    assert msgspec.json.decode(job.options, type=SyncOptions) == SyncOptions()
    assert job.created <= job.started <= job.ended
    assert audited(ready.mirror)[0] == ("ann@host", "job.start", "1")
    assert exit_status(job) == 0


async def test_a_sync_that_fails_is_a_job_that_failed(mut):
    with pytest.raises(NothingSelected):
        await mut.mirror.syncs.run(SyncOptions(), lambda _: None, by="ann@host")
    [job] = mut.mirror.jobs.list()
    assert (job.state, job.error.code) == (JobState.FAILED, "MIR-108")
    assert job.error.remedy == NothingSelected.remedy
    assert mut.mirror.jobs.log(job.id)[-1].message.startswith("failed: there is no enabled boot")
    assert exit_status(job) == 1


async def test_a_sync_that_leaves_something_out_is_partial(ready, sample_upstream):
    file = max(sample_upstream.root.rglob("noble/amd64/*/squashfs"))
    file.write_bytes(b"x" * file.stat().st_size)
    result = await ready.sync()
    [job] = ready.mirror.jobs.list()
    assert (result.exit_status, job.state, exit_status(job)) == (3, JobState.PARTIAL, 3)
    last = ready.mirror.jobs.log(job.id)[-1]
    assert (last.level, last.message.startswith("left out: ")) == ("warning", True)


async def test_a_cancelled_sync_is_cancelled(ready, misbehave, sample_upstream):
    from mirror.testing.bad_upstream import stall

    url, upstream = misbehave(sample_upstream.root)
    upstream.on("*", stall(), times=None)
    ready.mirror.sources.remove("main", by="test")
    ready.add_source(sample_upstream, url)
    task = asyncio.create_task(ready.sync())
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [job] = ready.mirror.jobs.list()
    assert (job.state, job.error.code, exit_status(job)) == (JobState.CANCELLED, "MIR-407", 130)


def test_the_same_job_is_not_queued_twice(mut):
    first = mut.mirror.jobs.start(SyncOptions(), by="test")
    assert mut.mirror.jobs.start(SyncOptions(wait=False), by="somebody else") == first
    another = mut.mirror.jobs.start(SyncOptions(channel="candidate"), by="test")
    assert another.id != first.id
    mut.mirror.jobs.cancel(first.id, by="test")
    assert mut.mirror.jobs.start(SyncOptions(), by="test").id not in {first.id, another.id}


def test_a_queued_job_is_cancelled_at_once(mut):
    job = mut.mirror.jobs.start(SyncOptions(), by="test")
    cancelled = mut.mirror.jobs.cancel(job.id, by="bob@host")
    assert (cancelled.state, cancelled.cancel) == (JobState.CANCELLED, True)
    assert cancelled.ended
    assert mut.mirror.jobs.next_queued() == 0
    assert audited(mut.mirror)[0] == ("bob@host", "job.cancel", str(job.id))
    with pytest.raises(NotCancellable, match="it is cancelled"):
        mut.mirror.jobs.cancel(job.id, by="bob@host")
    with pytest.raises(NotFound, match="there is no job 99"):
        mut.mirror.jobs.cancel(99, by="bob@host")


async def test_a_cancelled_job_is_not_run(ready):
    job = ready.mirror.jobs.start(SyncOptions(), by="test")
    ready.mirror.jobs.cancel(job.id, by="test")
    assert await ready.mirror.syncs.run_queued(job.id) is False
    assert ready.mirror.channels.pointers() == {}


async def test_only_one_process_gets_a_queued_job(ready, other):
    job = ready.mirror.jobs.start(SyncOptions(), by="test")
    got = await asyncio.gather(
        ready.mirror.syncs.run_queued(job.id), other.syncs.run_queued(job.id)
    )
    assert sorted(got) == [False, True]
    assert ready.mirror.jobs.get(job.id).state is JobState.SUCCEEDED
    assert await other.syncs.run_queued(job.id) is False


def test_a_job_whose_process_is_gone_was_interrupted(mut, other):
    running = Job(state=JobState.RUNNING, created=utcnow(), process="host:1")
    job = mut.mirror.catalog.jobs.add(running)
    with Presence(mut.root) as presence:
        assert presence.take(job.id)
        assert other.jobs.get(job.id).state is JobState.RUNNING
    gone = other.jobs.get(job.id)
    assert (gone.state, gone.error.code) == (JobState.INTERRUPTED, "MIR-710")
    assert gone.ended
    with pytest.raises(NotCancellable):
        other.jobs.cancel(job.id, by="test")


async def test_no_wait_names_the_job_that_runs(ready):
    job = ready.mirror.catalog.jobs.add(
        Job(state=JobState.RUNNING, reason="schedule", by="schedule", created=utcnow())
    )
    with Presence(ready.root) as presence, content_lock(ready.root):
        presence.take(job.id)
        with pytest.raises(Busy, match=rf"job {job.id} \(schedule, by schedule\) is running"):
            await ready.sync(wait=False)
    with content_lock(ready.root), pytest.raises(Busy, match="in use by process"):
        await ready.sync(wait=False)  # it is not a job that has it: gc, say
    assert len(ready.mirror.jobs.list()) == 1


def test_jobs_are_listed_in_pages_and_by_state(mut):
    numbers = [ended_job(mut.mirror) for _ in range(5)]
    failed = ended_job(mut.mirror, JobState.FAILED)
    page = mut.mirror.jobs.list(limit=2, states=(JobState.SUCCEEDED,))
    assert [job.id for job in page] == numbers[:2:-1]
    page = mut.mirror.jobs.list(before=page[-1].id, limit=10)
    assert [job.id for job in page] == numbers[2::-1]
    assert [job.id for job in mut.mirror.jobs.list(states=("failed",))] == [failed]


async def test_old_jobs_are_forgotten_with_their_logs(ready):
    settings = ready.mirror.settings
    schedule = settings.schedule.model_copy(update={"keep_jobs": 3})
    ready.mirror.settings = settings.model_copy(update={"schedule": schedule})
    queued = ready.mirror.jobs.start(SyncOptions(channel="other"), by="test")
    for _ in range(5):
        await ready.sync()
    kept = [job.id for job in ready.mirror.jobs.list()]
    assert kept == [6, 5, 4, queued.id]
    logged = {row[0] for row in ready.mirror.catalog.database.rows("SELECT job FROM job_log")}
    assert logged == {6, 5, 4}


async def test_following_a_job_sees_every_line_and_the_end(ready):
    job = ready.mirror.jobs.start(SyncOptions(), by="test")

    def watch():
        return [*ready.mirror.jobs.follow(job.id)]

    watching = asyncio.create_task(asyncio.to_thread(watch))
    await ready.mirror.syncs.run_queued(job.id)
    seen = await watching
    assert seen[-1][0].state is JobState.SUCCEEDED
    assert [line for _, lines in seen for line in lines] == ready.mirror.jobs.log(job.id)


def test_the_exit_status_of_a_job_is_that_of_its_error():
    from mirror.model import Problem

    def status(code):
        failed = Job(state=JobState.FAILED, created=utcnow(), error=Problem("", code, "", ""))
        return exit_status(failed)

    assert [status(code) for code in ("MIR-108", "MIR-105", "MIR-200", "MIR-999")] == [1, 2, 4, 1]
    assert status(MirrorError.code) == 1


# --- the schedule ---------------------------------------------------------------------------------


def test_the_settings_say_the_schedule_until_another_is_set(mut, other):
    assert mut.mirror.schedule.get() == Schedule()
    chosen = Schedule(interval=timedelta(hours=6), quiet=("mon-fri 08:00-18:00",))
    mut.mirror.schedule.set(chosen, by="ann@host")
    assert other.schedule.get() == chosen
    assert audited(mut.mirror)[0] == ("ann@host", "schedule.set", "schedule")


def test_a_bad_schedule_is_not_stored(mut):
    with pytest.raises(WindowInvalid):
        mut.mirror.schedule.set(Schedule(allowed=("weekdays",)), by="test")
    with pytest.raises(ScheduleInvalid):
        mut.mirror.schedule.set(Schedule(interval=timedelta(0)), by="test")
    assert mut.mirror.schedule.get() == Schedule()


def test_every_process_plans_the_same_next_run(mut, other):
    now = datetime(2026, 6, 10, 12, tzinfo=UTC)
    due = mut.mirror.schedule.next_run(now)
    assert due == other.schedule.next_run(now)
    assert now <= due <= now + timedelta(minutes=5)
    mut.mirror.schedule.set(Schedule(enabled=False), by="test")
    assert other.schedule.next_run(now) is None


def test_a_due_run_is_started_by_one_server_only(ready, other):
    before = other.schedule.last()
    job = ready.mirror.schedule.start()
    assert (job.reason, job.by, job.state) == ("schedule", "schedule", JobState.QUEUED)
    assert ready.mirror.schedule.last() == LastRun(job.id, job.created)
    # the other one saw it due in the same instant
    late = new_job(SyncOptions(), by="schedule", reason="schedule")
    assert other.catalog.jobs.add_scheduled(late, after=before) is None
    # and none is started while that one goes on
    assert other.schedule.start() is None
    assert [each.id for each in other.jobs.list()] == [job.id]


def test_what_was_interrupted_is_done_again_soon(ready):
    plain = Schedule(jitter=timedelta(0))
    ready.mirror.schedule.set(plain, by="test")
    job = ready.mirror.schedule.start()
    assert ready.mirror.schedule.next_run() == job.created + timedelta(minutes=60)
    jobs = ready.mirror.catalog.jobs
    jobs.update(msgspec.structs.replace(job, state=JobState.RUNNING))  # by nobody
    ready.mirror.jobs.sweep()
    assert ready.mirror.schedule.next_run() == job.created + timedelta(minutes=5)


def test_nothing_is_started_outside_the_windows(ready):
    now = datetime.now().astimezone()
    hour = f"{now:%H}:00-{now + timedelta(hours=1):%H}:59"
    ready.mirror.schedule.set(Schedule(quiet=(hour,)), by="test")
    assert ready.mirror.schedule.start() is None
    ready.mirror.schedule.set(Schedule(allowed=(hour,)), by="test")
    assert ready.mirror.schedule.start() is not None


def test_nothing_is_started_while_nothing_can_be_taken(mut, sample_upstream):
    assert mut.mirror.schedule.start() is None
    mut.add_source(sample_upstream, "http://127.0.0.1:9", enabled=False)
    mut.select("os=ubuntu")
    assert mut.mirror.schedule.start() is None
