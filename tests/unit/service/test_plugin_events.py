"""Plugins that listen: each event once, in a process of its own, and nothing depends on them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest
import requests
from api_harness import served_api
from harness import children

from mirror.errors import ListenerFailed, MirrorError
from mirror.model import Job, JobState, utcnow
from mirror.service import announce
from mirror.testing.bad_upstream import trickle
from mirror.testing.sample import SampleUpstream

LISTENER = """
    import json, os, time
    from pathlib import Path
    import msgspec
    from mirror.api import hookimpl

    TO = Path({to!r})

    def note(kind, context, event):
        line = {{"kind": kind, "plugin": context.name, "pid": os.getpid(),
                **msgspec.to_builtins(event)}}
        with TO.open("a") as file:
            file.write(json.dumps(line) + "\\n")
        {then}

    @hookimpl
    def mirror_sync_finished(context, event):
        note("finished", context, event)

    @hookimpl
    def mirror_snapshot_published(context, event):
        note("published", context, event)
"""
SILENT = """
    from pathlib import Path
    from mirror.api import hookimpl

    @hookimpl
    def mirror_commands(context):
        return []
"""


class Heard:
    """What a listener has written down."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, kind: str = "") -> list[dict]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        events = [json.loads(line) for line in lines]
        return [each for each in events if kind in {"", each["kind"]}]

    def wait(self, count: int, seconds: float = 30) -> list[dict]:
        until(lambda: len(self()) >= count, seconds)
        return self()


@pytest.fixture
def listen(tmp_path, install_plugin):
    """Install a plugin that listens; `then` is what it does after it has heard."""

    def listen(name: str = "ears", then: str = "pass") -> Heard:
        file = tmp_path / f"heard-by-{name}"
        install_plugin(name, LISTENER.format(to=str(file), then=then))
        return Heard(file)

    return listen


@pytest.fixture
def ready(mut, sample_upstream, serve):
    """Return a mirror that a sync gets images for."""
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os~.*")
    return mut


def add_version(sample: SampleUpstream) -> None:
    sample.add_version()
    sample.write()


def finish(mut) -> None:
    """Wait for those that are being told, as a command does when it ends."""
    mut.mirror.announcer.close()
    del mut.mirror.__dict__["announcer"]


# --- what is told ---------------------------------------------------------------------------------


def test_a_sync_that_publishes(ready, listen):
    heard = listen()
    result = ready.sync_now()
    finish(ready)
    published, finished = heard()
    assert (published["kind"], finished["kind"]) == ("published", "finished")
    assert (published["snapshot"], published["previous"]) == (result.snapshot, "")
    assert (published["channel"], published["reason"]) == ("stable", "sync")
    assert finished["job"] == 1
    assert (finished["state"], finished["snapshot"]) == ("succeeded", result.snapshot)
    assert finished["added"] == list(result.added)
    assert finished["added"]
    assert finished["plugin"] == "ears"
    assert published["pid"] != finished["pid"] != os.getpid()


def test_a_sync_with_nothing_new(ready, listen):
    heard = listen()
    ready.sync_now()
    ready.sync_now()
    ready.sync_now(dry_run=True)
    finish(ready)
    assert [each["job"] for each in heard("finished")] == [1, 2]
    assert heard("finished")[1]["added"] == []
    assert len(heard("published")) == 1


def test_a_sync_that_fails(mut, listen):
    heard = listen()
    with pytest.raises(MirrorError):
        mut.sync_now()
    finish(mut)
    [event] = heard()
    assert (event["kind"], event["state"], event["snapshot"]) == ("finished", "failed", "")
    assert "nothing" in event["error"] or "no enabled" in event["error"]
    assert "MIR-" in event["error"]


def test_what_channels_publish(ready, listen, sample_upstream):
    first = ready.sync_now().snapshot
    add_version(sample_upstream)
    second = ready.sync_now().snapshot
    heard = listen()
    del ready.mirror.__dict__["plugins"]
    channels = ready.mirror.channels
    channels.create("site", first, by="test")
    channels.promote("site", second, by="test")
    channels.promote("site", second, by="test")  # it is there already
    back = channels.rollback("site", by="test")
    channels.unpin("site", by="test")
    channels.hold("site", "why not", by="test")
    channels.remove("site", by="test")
    finish(ready)
    told = [(e["reason"], e["snapshot"], e["previous"]) for e in heard()]
    assert told == [("create", first, ""), ("promote", second, first), ("rollback", back, second)]
    assert {each["channel"] for each in heard()} == {"site"}


def test_a_pin_that_publishes(ready, listen, sample_upstream):
    ready.sync_now()
    old = max(version for product, version in ready.versions() if "24.04" in product)
    add_version(sample_upstream)
    ready.sync_now(channel="stable")
    heard = listen()
    del ready.mirror.__dict__["plugins"]
    ready.mirror.channels.pin("stable", ["release=noble"], old, by="test")
    finish(ready)
    [event] = heard()
    assert (event["reason"], event["kind"]) == ("pin", "published")


def test_nobody_listens(ready, install_plugin):
    install_plugin("silent", SILENT)
    ready.sync_now()
    ready.mirror.channels.create("site", "stable", by="test")
    assert not any(each.name.startswith("tell ") for each in threading.enumerate())
    assert ready.mirror.announcer._queues == {}
    assert not any("isolation.worker" in command for command in children(os.getpid()).values())


# --- what a listener does wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("raise OSError('no network')", "OSError: no network"),
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
        ("raise SystemExit(4)", "4"),
    ],
)
def test_one_that_fails_changes_nothing(ready, listen, then, said, caplog):
    heard = listen("bad", then)
    good = listen("good")
    result = ready.sync_now()
    finish(ready)
    assert result.status == "published"
    assert ready.mirror.jobs.get(1).state == "succeeded"
    assert ready.mirror.channels.current("stable") == result.snapshot
    assert len(heard()) == len(good()) == 2
    lines = [line for line in ready.mirror.jobs.log(1) if "MIR-624" in line.message]
    assert len(lines) == 2
    assert all(line.level == "warning" and "'bad'" in line.message for line in lines)
    assert said in lines[0].message
    assert ListenerFailed.remedy in lines[0].message
    assert len({line.number for line in ready.mirror.jobs.log(1)}) == len(ready.mirror.jobs.log(1))
    assert "plugin 'bad'" in caplog.text
    assert ready.mirror.catalog.tallies.plugin_failures() == {("bad", "listener"): 2}


def test_one_that_hangs_delays_nobody(ready, listen, monkeypatch):
    monkeypatch.setattr(announce, "WAIT", 3)
    hung = listen("hung", "time.sleep(600)")
    good = listen("good")
    began = time.monotonic()
    ready.sync_now()
    ready.sync_now()
    ready.mirror.channels.create("site", "stable", by="test")
    good.wait(4, 20)
    assert len(hung()) == 1
    began = time.monotonic()
    finish(ready)
    assert 1 < time.monotonic() - began < 10
    # and it has left no process behind
    assert not any("isolation.worker" in command for command in children(os.getpid()).values())
    assert {name for name, _ in ready.mirror.catalog.tallies.plugin_failures()} == {"hung"}


def test_a_command_waits_and_ends_as_it_would_have(listen, ready, cli):
    heard = listen("ears", "raise ValueError('never mind')")
    done = cli("sync")
    assert done.status == 0, done.err
    assert [each["kind"] for each in heard()] == ["published", "finished"]
    assert "MIR-624" not in done.out
    assert "plugin 'ears'" in done.err
    promoted = cli("channel", "create", "site", "stable")
    assert promoted.status == 0, promoted.err
    assert heard()[-1]["reason"] == "create"


def test_the_api_answers_at_once_and_lets_it_finish(ready, listen):
    ready.sync_now()
    heard = listen("slow", "time.sleep(3); TO.with_suffix('.done').touch()")
    with served_api(ready.mirror) as api:
        began = time.monotonic()
        answer = api("PUT", "/channels/site", json={"snapshot": "stable"})
        assert answer.status_code == 201, answer.text
        assert time.monotonic() - began < 3
    # the server has ended
    assert heard.file.with_suffix(".done").exists()


# --- the server's jobs ----------------------------------------------------------------------------


def test_jobs_of_the_server(listen, ready, cli):
    heard = listen("ears", "time.sleep(8)")
    with cli.serving() as serving:
        token = ready.mirror.tokens.create("t", "operator", by="test").secret
        first = start_job(serving.url, token)
        wait_for_end(ready.mirror, first)
        heard.wait(1)
        second = start_job(serving.url, token)
        wait_for_end(ready.mirror, second)
        # it did not wait until all was told of the first
        assert len(heard("finished")) < 2
    assert [each["job"] for each in heard("finished")] == [first, second]
    assert len(heard("published")) == 1


@pytest.fixture
def stuck(mut, misbehave, sample_upstream):
    """Return a mirror whose sync does not come to an end."""
    url, upstream = misbehave(sample_upstream.root)
    upstream.on("*squashfs", trickle(chunk=1, every=0.2), times=None)
    mut.add_source(sample_upstream, url)
    mut.select("os~.*")
    return mut


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_job_that_is_interrupted(listen, stuck, cli, how):
    heard = listen()
    with cli.serving() as serving:
        token = stuck.mirror.tokens.create("t", "operator", by="test").secret
        number = start_job(serving.url, token)
        until(lambda: stuck.mirror.jobs.get(number).state == "running")
        if how == "killed":
            os.kill(serving.job_process(), signal.SIGKILL)
            heard.wait(1)
    [event] = heard()
    assert (event["kind"], event["job"]) == ("finished", number)
    assert event["state"] == "interrupted"
    assert "MIR-710" in event["error"]


def test_a_job_that_was_killed_when_it_had_published(ready, listen):
    first = ready.sync_now().snapshot
    heard = listen()
    del ready.mirror.__dict__["plugins"]
    jobs = ready.mirror.catalog.jobs
    job = jobs.add(Job(created=utcnow(), state=JobState.RUNNING, process="gone:1"))
    ready.mirror.store.channels.switch("stable", first, "sync", job=job.id)
    [ended] = ready.mirror.jobs.sweep()
    assert ended.id == job.id
    ready.mirror.announcer.job_ended(job.id)
    finish(ready)
    published, finished = heard()
    assert (published["kind"], published["snapshot"]) == ("published", first)
    assert (finished["state"], finished["snapshot"]) == ("interrupted", first)


def start_job(url: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.post(f"{url}/api/v1/jobs", json={}, headers=headers, timeout=30)
    assert answer.status_code in {200, 201, 202}, answer.text
    return answer.json()["id"]


def wait_for_end(mirror, number: int, seconds: float = 30) -> None:
    until(lambda: mirror.jobs.get(number).ended, seconds)


def until(check, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- the pieces -----------------------------------------------------------------------------------


def test_a_line_for_a_job_that_is_forgotten(mut):
    mut.mirror.catalog.jobs.add_line(7, "warning", "too late")
    with sqlite3.connect(mut.mirror.dir.catalog) as database:
        assert database.execute("SELECT count(*) FROM job_log").fetchone() == (0,)
    database.close()
