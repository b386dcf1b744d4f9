"""The schedule and the queue, as `mirror serve` runs them: in processes of their own."""

from __future__ import annotations

import os
import signal
import time
import urllib.request

import pytest

from mirror.errors import NotCancellable
from mirror.model import JobState
from mirror.sync.run import SyncOptions

EVERY_SECOND = {
    "MIRROR_SCHEDULE__ENABLED": "true",
    "MIRROR_SCHEDULE__INTERVAL": "1",
    "MIRROR_SCHEDULE__JITTER": "0",
}


@pytest.fixture
def ready(mut, sample_upstream, serve):
    """A mirror that knows what to take, and has taken nothing yet."""
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    return mut


def until(check, seconds=30):
    """Wait until `check` returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (result := check()):
        assert time.monotonic() < deadline, f"it did not come true within {seconds} s"
        time.sleep(0.05)
    return result


def ended(mirror, number):
    """Wait until a job has ended, and return it."""
    return until(lambda: (job := mirror.jobs.get(number)).ended and job)


def test_the_schedule_brings_in_what_is_new_upstream(cli, ready, sample_upstream):
    with cli.serving(**EVERY_SECOND) as server:
        until(ready.mirror.channels.pointers)
        first = ready.versions()
        sample_upstream.add_version(only="24.04:amd64:ga")
        sample_upstream.write()
        until(lambda: ready.versions() - first)
        newest = max(version for _, version in ready.versions())
        index = f"{server.url}/images/stable/streams/v1/com.ubuntu.maas:stable:v3:download.json"

        def served():
            with urllib.request.urlopen(index) as answer:
                return newest in answer.read().decode()

        until(served)
        by_schedule = ready.mirror.jobs.list(states=(JobState.SUCCEEDED,))
    assert {(job.reason, job.by) for job in by_schedule} == {("schedule", "schedule")}
    assert len(by_schedule) >= 2
    assert "Traceback" not in server.log()


def test_the_schedule_can_be_changed_while_the_server_runs(cli, ready):
    environment = {**EVERY_SECOND, "MIRROR_SCHEDULE__ENABLED": "false"}
    with cli.serving(**environment) as server:
        until(server.runner)
        time.sleep(1.5)
        assert ready.mirror.jobs.list() == []
        assert cli("schedule", "set", "--on", "--every", "1 h", **environment).status == 0
        [job] = until(ready.mirror.jobs.list)
        assert ended(ready.mirror, job.id).state is JobState.SUCCEEDED
        time.sleep(1.5)
        assert len(ready.mirror.jobs.list()) == 1  # the next is due in an hour


def test_nothing_runs_while_there_is_nothing_to_take(cli, mut):
    with cli.serving(**EVERY_SECOND) as server:
        until(server.runner)
        time.sleep(2.5)
        assert mut.mirror.jobs.list() == []
    assert "Traceback" not in server.log()


def test_a_queued_job_is_run_by_the_server(cli, ready):
    with cli.serving():
        job = ready.mirror.jobs.start(SyncOptions(), by="token:1 robot")
        assert (job.state, job.id) == (JobState.QUEUED, 1)
        done = ended(ready.mirror, job.id)
    assert done.state is JobState.SUCCEEDED
    assert done.progress.files == done.progress.files_done > 0
    assert done.progress.bytes == done.progress.bytes_done > 0
    assert done.started
    assert b'"status":"published"' in bytes(done.result)
    said = [line.message for line in ready.mirror.jobs.log(job.id)]
    assert any(line.startswith("main: ") for line in said)
    assert any(line.startswith("published ") for line in said)
    with pytest.raises(NotCancellable, match="has ended: it is succeeded"):
        ready.mirror.jobs.cancel(job.id, by="test")


def test_a_server_that_is_told_to_only_serve_runs_no_job(cli, ready):
    with cli.serving("--no-jobs", **EVERY_SECOND) as server:
        job = ready.mirror.jobs.start(SyncOptions(), by="test")
        time.sleep(2)
        assert server.runner() == 0
        assert [each.id for each in ready.mirror.jobs.list()] == [job.id]
        assert ready.mirror.jobs.get(job.id).state is JobState.QUEUED


def test_a_job_that_no_process_can_be_started_for_fails_and_says_so(cli, ready):
    with cli.serving() as server:
        until(lambda: "ready to run jobs" in server.log())
        (cli.data_dir / "mirror.toml").write_text("[sync]\nconections = 1\n")
        job = ended(ready.mirror, ready.mirror.jobs.start(SyncOptions(), by="test").id)
        assert (job.state, job.error.code) == (JobState.FAILED, "MIR-711")
        until(lambda: "did you mean 'sync.connections'" in server.log())
        (cli.data_dir / "mirror.toml").unlink()
        job = ended(ready.mirror, ready.mirror.jobs.start(SyncOptions(), by="test").id)
        assert job.state is JobState.SUCCEEDED


def test_a_runner_that_cannot_start_does_not_stop_the_serving(cli, ready):
    ready.sync_now()
    with cli.serving() as server:
        first = until(server.runner)
        (cli.data_dir / "mirror.toml").write_text("[sync]\nconections = 1\n")
        os.kill(first, signal.SIGKILL)
        until(lambda: f"runner {first} ended with status -9; restarting it" in server.log())
        until(lambda: server.log().count("ended with status 2; restarting it") >= 2)
        with urllib.request.urlopen(f"{server.url}/images/stable/streams/v1/index.json") as answer:
            assert answer.status == 200
        (cli.data_dir / "mirror.toml").unlink()
        job = ended(ready.mirror, ready.mirror.jobs.start(SyncOptions(), by="test").id)
        assert job.state is JobState.SUCCEEDED
