"""Jobs that are cancelled, stopped and killed; servers and commands that want the same turn."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time

import pytest

from mirror.model import JobState
from mirror.sync.run import SyncOptions
from mirror.testing.bad_upstream import trickle
from mirror.testing.sample import SampleUpstream

SIZE = 6 << 20
SLOW = trickle(chunk=128 << 10, every=0.05)  # 2.5 MB/s: one file takes about 2.5 s
SLOWER = trickle(chunk=128 << 10, every=0.2)  # four times that: time for other processes to start
ROOTFS = "*/squashfs"


@pytest.fixture
def upstream(mut, cli, tmp_path, signing_key, misbehave):
    """A slow upstream with one large file, which the mirror takes over one connection."""
    sample = SampleUpstream.create(
        tmp_path / "big-upstream", key=signing_key, size=SIZE, versions=1
    )
    url, upstream = misbehave(sample.root)
    upstream.on(ROOTFS, SLOW, times=None)
    mut.add_source(sample, url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    # in one piece: other pieces of a file are in memory until their turn comes
    cli.environment["MIRROR_SYNC__CONNECTIONS"] = "1"
    return upstream


def until(check, seconds=40):
    """Wait until `check` returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (result := check()):
        assert time.monotonic() < deadline, f"it did not come true within {seconds} s"
        time.sleep(0.05)
    return result


def ended(mirror, number):
    """Wait until a job has ended, and return it."""
    return until(lambda: (job := mirror.jobs.get(number)).ended and job)


def parts(mut):
    """Return how many bytes are here of each file that has not come whole."""
    return {
        file.name.removesuffix(".part"): file.stat().st_size
        for file in mut.mirror.dir.incoming.glob("*.part")
    }


def some_came(mut):
    """Say whether two megabytes of a file are here: a job is in the middle of it."""
    return any(size >= 2 << 20 for size in parts(mut).values())


def check_resumed(mut, upstream, left):
    """See that of each file in `left` only what was missing is asked for from now on."""
    upstream.behave()
    seen = len(upstream.requests)
    mut.sync_now()
    asked = [each for each in upstream.requests[seen:] if each.path.endswith("/squashfs")]
    ranges = [each.headers.get("Range", "bytes=0-").removeprefix("bytes=") for each in asked]
    first = min(int(span.partition("-")[0]) for span in ranges)
    assert first == max(left.values()) >= 2 << 20
    assert max(size for _, size in mut.published().values()) > SIZE
    assert parts(mut) == {}


def test_a_job_of_the_server_is_cancelled_and_the_next_goes_on(mut, cli, upstream):
    with cli.serving() as server:
        job = mut.mirror.jobs.start(SyncOptions(), by="test")
        until(lambda: some_came(mut))
        until(lambda: mut.mirror.jobs.get(job.id).progress.rate)  # what its row says is a bit older
        running = mut.mirror.jobs.get(job.id)
        assert running.state is JobState.RUNNING
        assert running.process.endswith(f":{server.job_process()}")
        assert 0 < running.progress.bytes_done < running.progress.bytes
        assert cli("job", "cancel", str(job.id)).status == 0
        began = time.monotonic()
        done = ended(mut.mirror, job.id)
        assert time.monotonic() - began < 10
        assert (done.state, done.cancel) == (JobState.CANCELLED, True)
        until(lambda: not server.job_process())
        left = parts(mut)
        assert mut.mirror.channels.pointers() == {}
    check_resumed(mut, upstream, left)


def test_a_job_of_the_command_line_is_cancelled_by_its_row(mut, cli, upstream):
    process = cli.start("sync", "--json")
    until(lambda: some_came(mut))
    [job] = mut.mirror.jobs.list()
    assert (job.state, job.reason, "@" in job.by) == (JobState.RUNNING, "manual", True)
    mut.mirror.jobs.cancel(job.id, by="token:2 somebody")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    error = json.loads(err.splitlines()[-1])["error"]
    assert (error["code"], error["what"]) == ("MIR-407", f"job {job.id} was cancelled")
    assert mut.mirror.jobs.get(job.id).state is JobState.CANCELLED
    check_resumed(mut, upstream, parts(mut))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_interrupted_records_that(mut, cli, upstream, number):
    process = cli.start("sync")
    until(lambda: some_came(mut))
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, "interrupted [MIR-407]" in err) == (130, True)
    assert "Traceback" not in err
    [job] = mut.mirror.jobs.list()
    assert job.state is JobState.CANCELLED
    check_resumed(mut, upstream, parts(mut))


def test_sigterm_to_the_server_stops_the_sync_and_the_next_goes_on(mut, cli, upstream):
    with cli.serving() as server:
        job = mut.mirror.jobs.start(SyncOptions(), by="test")
        until(lambda: some_came(mut))
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 0
        assert time.monotonic() - began < 15
    done = mut.mirror.jobs.get(job.id)
    assert (done.state, done.error.code) == (JobState.INTERRUPTED, "MIR-710")
    assert "stopped" in done.error.what
    assert "Traceback" not in server.log()
    check_resumed(mut, upstream, parts(mut))


def test_a_killed_job_is_interrupted_and_the_next_goes_on(mut, cli, upstream):
    with cli.serving() as server:
        job = mut.mirror.jobs.start(SyncOptions(), by="test")
        until(lambda: some_came(mut))
        runner = server.runner()
        os.kill(server.job_process(), signal.SIGKILL)
        done = ended(mut.mirror, job.id)
        assert (done.state, done.error.code) == (JobState.INTERRUPTED, "MIR-710")
        assert server.runner() == runner
        left = parts(mut)
        again = mut.mirror.jobs.start(SyncOptions(), by="test")
        upstream.behave()
        assert ended(mut.mirror, again.id).state is JobState.SUCCEEDED
    asked = [each for each in upstream.requests if each.path.endswith("/squashfs")]
    ranges = [each.headers.get("Range", "") for each in asked]
    assert any(each.startswith(f"bytes={max(left.values())}-") for each in ranges)


def test_a_killed_command_leaves_a_job_that_is_known_to_be_interrupted(mut, cli, upstream):
    process = cli.start("sync")
    until(lambda: some_came(mut))
    process.kill()
    process.communicate()
    listed = cli("job", "list", "--json").json()
    assert [job["state"] for job in listed] == ["interrupted"]
    check_resumed(mut, upstream, parts(mut))


def test_a_killed_runner_takes_its_job_along_and_is_replaced(mut, cli, upstream):
    with cli.serving() as server:
        job = mut.mirror.jobs.start(SyncOptions(), by="test")
        until(lambda: some_came(mut))
        runner = server.runner()
        os.kill(runner, signal.SIGKILL)
        assert ended(mut.mirror, job.id).state is JobState.INTERRUPTED
        until(lambda: server.runner() not in {0, runner})
        upstream.behave()
        again = mut.mirror.jobs.start(SyncOptions(), by="test")
        assert ended(mut.mirror, again.id).state is JobState.SUCCEEDED


def test_a_job_that_hangs_is_killed_when_it_is_cancelled(mut, cli, upstream):
    with cli.serving() as server:
        job = mut.mirror.jobs.start(SyncOptions(), by="test")
        until(lambda: some_came(mut))
        os.kill(server.job_process(), signal.SIGSTOP)
        mut.mirror.jobs.cancel(job.id, by="test")
        assert ended(mut.mirror, job.id).state is JobState.INTERRUPTED
        assert f"the process of job {job.id} hangs; killing it" in server.log()
        upstream.behave()
        again = mut.mirror.jobs.start(SyncOptions(), by="test")
        assert ended(mut.mirror, again.id).state is JobState.SUCCEEDED


def test_a_killed_server_leaves_no_process(mut, cli, upstream):
    with cli.serving() as server:
        job = mut.mirror.jobs.start(SyncOptions(), by="test")
        until(lambda: some_came(mut))
        processes = [server.runner(), server.job_process()]
        assert all(processes)
        server.process.kill()
        assert ended(mut.mirror, job.id).state is JobState.INTERRUPTED
        until(lambda: not any(_exists(each) for each in processes))


def test_two_servers_do_each_run_once_and_never_at_the_same_time(mut, cli, upstream):
    schedule = {
        "MIRROR_SCHEDULE__ENABLED": "true",
        "MIRROR_SCHEDULE__INTERVAL": "4",
        "MIRROR_SCHEDULE__JITTER": "0",
    }
    with cli.serving(**schedule) as one, cli.serving(**schedule) as other:
        until(lambda: len(mut.mirror.jobs.list(states=(JobState.SUCCEEDED,))) >= 4)
        cli("schedule", "set", "--off")
        until(lambda: not (one.job_process() or other.job_process()))
        jobs = mut.mirror.jobs.list()[::-1]
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert {job.reason for job in jobs} == {"schedule"}
    # times are in whole seconds
    for before, after in itertools.pairwise(jobs):
        assert (after.created - before.created).total_seconds() >= 3
        assert after.started >= before.ended
    assert "Traceback" not in one.log() + other.log()


def test_two_servers_wait_for_each_other(mut, cli, upstream):
    upstream.behave()
    upstream.on(ROOTFS, SLOWER, times=None)
    with cli.serving() as one, cli.serving() as other:
        first = mut.mirror.jobs.start(SyncOptions(), by="test")
        until(lambda: some_came(mut))
        second = mut.mirror.jobs.start(SyncOptions(channel="candidate"), by="test")
        until(lambda: mut.mirror.jobs.get(second.id).state is JobState.WAITING)
        assert one.job_process()
        assert other.job_process()
        assert mut.mirror.jobs.get(first.id).state is JobState.RUNNING
        said = until(lambda: mut.mirror.jobs.log(second.id))
        turn = f"waiting for its turn: job {first.id} (manual, by test) is running"
        assert said[0].message == turn
        done = ended(mut.mirror, first.id)
        assert ended(mut.mirror, second.id).started >= done.ended


def test_a_second_command_waits_joins_or_fails(mut, cli, upstream):
    upstream.behave()
    upstream.on(ROOTFS, SLOWER, times=None)
    first = cli.start("sync", "--json")
    until(lambda: some_came(mut))
    [job] = mut.mirror.jobs.list()
    ran = cli("sync", "--no-wait")
    assert (ran.status, f"job {job.id} (manual, by " in ran.err) == (1, True)
    assert "[MIR-502]" in ran.err
    assert [each.id for each in mut.mirror.jobs.list()] == [job.id]  # it left no trace
    waiting = cli.start("sync")
    until(lambda: mut.mirror.jobs.list(states=(JobState.WAITING,)))
    joined = cli("sync", "--join", "--json")
    followed = cli("job", "follow", str(job.id))
    out, said = first.communicate(timeout=40)
    _, err = waiting.communicate(timeout=40)
    assert first.returncode == 0, said
    assert (first.returncode, joined.status, followed.status, waiting.returncode) == (0, 0, 0, 0)
    assert f"joining job {job.id};" in joined.err
    assert joined.json() == json.loads(out)
    assert f"waiting for its turn: job {job.id} (manual, by " in err
    states = [(each.id, each.state) for each in mut.mirror.jobs.list()]
    assert states == [(2, JobState.SUCCEEDED), (1, JobState.SUCCEEDED)]


def test_a_job_that_waits_for_its_turn_can_be_cancelled(mut, cli, upstream):
    upstream.behave()
    upstream.on(ROOTFS, SLOWER, times=None)
    first = cli.start("sync")
    until(lambda: some_came(mut))
    second = cli.start("sync")
    [waiting] = until(lambda: mut.mirror.jobs.list(states=(JobState.WAITING,)))
    mut.mirror.jobs.cancel(waiting.id, by="test")
    second.communicate(timeout=20)
    assert second.returncode == 130
    assert mut.mirror.jobs.get(waiting.id).state is JobState.CANCELLED
    assert mut.mirror.jobs.get(waiting.id).started is None
    _, err = first.communicate(timeout=40)
    assert first.returncode == 0, err


def _exists(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
