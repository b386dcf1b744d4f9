"""`mirror job` and `mirror schedule`, as programs."""

from __future__ import annotations

import json

import pytest

from mirror.model import JobState
from mirror.sync.run import SyncOptions


@pytest.fixture
def synced(cli, mut, sample_upstream, serve):
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    ran = cli("sync")
    assert ran.status == 0, ran.err
    return cli


def test_a_sync_by_hand_is_in_the_list(synced, mut):
    snapshot = mut.mirror.channels.current("stable")
    [line] = synced("job", "list").out.splitlines()[1:]
    assert line.startswith("1   succeeded  manual  ")
    assert line.endswith(f"at {snapshot}")
    [job] = synced("job", "list", "--json").json()
    assert (job["id"], job["state"], job["result"]["status"]) == (1, "succeeded", "published")
    assert synced("job", "list", "--state", "failed", "--json").json() == []
    ran = synced("job", "list", "--state", "done")
    assert (ran.status, "'done' is no state" in ran.err) == (2, True)


def test_a_job_is_shown_with_its_log(synced):
    shown = synced("job", "show", "1").out
    assert "job 1: sync, succeeded" in shown
    progress = synced("job", "show", "1", "--json").json()["progress"]
    assert progress["files_done"] == progress["files"] > 10
    assert f"fetched {progress['files']}/{progress['files']} files, " in shown
    log = synced("job", "log", "1").out
    assert "main: 14 products offered, signature good" in log
    lines = synced("job", "log", "1", "--json").json()
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    later = synced("job", "log", "1", "--after", "1", "--json").json()
    assert later == lines[1:]
    for verb in ("show", "log", "cancel", "follow"):
        ran = synced("job", verb, "99")
        assert (ran.status, "there is no job 99 [MIR-106]" in ran.err) == (1, True), verb


def test_following_ends_with_the_status_of_the_job(synced, mut):
    ran = synced("job", "follow", "1")
    assert ran.status == 0
    assert ran.out.startswith("job 1 succeeded: at ")
    assert "published " in ran.err
    lines = [json.loads(line) for line in synced("job", "follow", "1", "--json").out.splitlines()]
    assert [*lines[-1]] == ["job"]
    assert {*lines[0]} == {"log"}
    mut.mirror.selections.remove(1, by="test")
    assert synced("sync").status == 1
    ran = synced("job", "follow", "2")
    assert (ran.status, ran.out) == (1, "job 2 failed: nothing is selected [MIR-108]\n")


def test_cancel(cli, mut):
    job = mut.mirror.jobs.start(SyncOptions(), by="test")
    ran = cli("job", "cancel", str(job.id))
    assert (ran.status, ran.err) == (0, f"job {job.id} is cancelled\n")
    assert mut.mirror.jobs.get(job.id).state is JobState.CANCELLED
    ran = cli("job", "cancel", str(job.id), "--json")
    assert (ran.status, json.loads(ran.err)["error"]["code"]) == (1, "MIR-113")
    assert cli("job", "follow", str(job.id)).status == 130


def test_the_schedule_is_shown_and_set(cli):
    shown = cli("schedule", "show", MIRROR_SCHEDULE__ENABLED="true").out.splitlines()
    assert shown[:3] == [
        "on: every 1 h 0 min, up to 5 min 0 s later",
        "allowed: at any time",
        "quiet: never",
    ]
    ran = cli(
        *("schedule", "set", "--on", "--every", "30min", "--jitter", "90 s"),
        *("--allow", "mon-fri 22:00-06:00", "--allow", "sat,sun", "--quiet", "00:00-00:30"),
        "--json",
    )
    assert ran.status == 0, ran.err
    schedule = ran.json()["schedule"]
    assert schedule == {
        "enabled": True,
        "interval": "PT1800S",
        "jitter": "PT90S",
        "allowed": ["mon-fri 22:00-06:00", "sat,sun"],
        "quiet": ["00:00-00:30"],
    }
    assert ran.json()["next"]
    # what is not named stays; an empty window takes the windows away
    ran = cli("schedule", "set", "--quiet", "", "--off")
    assert ran.out.splitlines()[:3] == [
        "off: every 30 min 0 s, up to 1 min 30 s later",
        "allowed: mon-fri 22:00-06:00; sat,sun",
        "quiet: never",
    ]
    assert ran.out.splitlines()[-1] == "next run: none"


def test_a_bad_schedule_is_refused_with_the_grammar(cli):
    ran = cli("schedule", "set", "--quiet", "8am-6pm")
    assert (ran.status, "[MIR-126]" in ran.err) == (2, True)
    assert "'mon-fri 22:00-06:00'" in ran.err
    ran = cli("schedule", "set", "--every", "often")
    assert (ran.status, "Write it as '90 s'" in ran.err) == (2, True)
    ran = cli("schedule", "set", "--every", "0")
    assert (ran.status, "[MIR-127]" in ran.err) == (2, True)
    assert cli("schedule", "show", "--json").json()["schedule"]["interval"] == "PT3600S"
