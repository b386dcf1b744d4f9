"""Routes of jobs and their events, and of the schedule, over HTTP, with real data."""

from __future__ import annotations

import json

import pytest
from api_harness import admin, last_change

from mirror.model import JobState, LogLine, utcnow
from mirror.server.api.events import MAX_STREAMS


def test_jobs(api):
    asked = api("POST", "/jobs", json={"channel": "candidate", "dry_run": True})
    assert asked.status_code == 202, asked.text
    job = asked.json()
    assert asked.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["state"], job["by"], job["options"]["dry_run"]) == ("queued", admin(api), True)
    assert api.get(f"/jobs/{job['id']}") == job
    assert [each["id"] for each in api.get("/jobs?state=queued")["items"]] == [job["id"]]
    ended = api("POST", f"/jobs/{job['id']}:cancel")
    assert (ended.status_code, ended.json()["state"]) == (202, "cancelled")
    again = api("POST", f"/jobs/{job['id']}:cancel")
    assert (again.status_code, again.json()["code"]) == (409, "MIR-113")
    assert api("GET", "/jobs?state=nonsense").status_code == 400
    assert api("GET", "/jobs/999999").status_code == 404


def test_the_log_of_a_job(api):
    [done] = api.get("/jobs?state=succeeded&limit=1")["items"]
    lines = api.get(f"/jobs/{done['id']}/log")["items"]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert len(lines) > 1
    first = api.get(f"/jobs/{done['id']}/log?limit=1")
    assert (first["items"], first["next"]) == (lines[:1], "1")
    rest = api.get(f"/jobs/{done['id']}/log?after=1")
    assert rest["items"] == lines[1:]


def events_of(answer):
    """Yield the events of a stream: (id, name, data)."""
    event = {}
    for line in answer.iter_lines(chunk_size=1):
        if line:
            key, _, value = line.decode().partition(": ")
            event[key] = value
        elif event:
            if "event" in event:
                yield event.get("id"), event["event"], json.loads(event["data"])
            event = {}


def test_events_of_a_job_that_has_ended(api):
    [done] = api.get("/jobs?state=succeeded&limit=1")["items"]
    lines = api.get(f"/jobs/{done['id']}/log")["items"]
    answer = api("GET", f"/jobs/{done['id']}/events", stream=True)
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    *logged, (_, name, job) = events_of(answer)
    shown = api.get(f"/jobs/{done['id']}")
    assert shown["result"]["status"] == "published"
    assert (name, job) == ("end", {**shown, "result": None})
    assert job == done
    assert [line for _, _, line in logged] == lines
    assert [int(number) for number, _, _ in logged] == [line["number"] for line in lines]
    headers = {"Last-Event-ID": str(lines[-2]["number"])}
    resumed = list(events_of(api("GET", f"/jobs/{done['id']}/events", headers=headers)))
    assert [name for _, name, _ in resumed] == ["log", "end"]


def test_events_while_a_job_runs(api):
    jobs = api.mirror.catalog.jobs
    number = api("POST", "/jobs", json={"only": ["main"]}).json()["id"]
    events = events_of(api("GET", f"/jobs/{number}/events", stream=True))
    assert next(events)[1] == "progress"
    jobs.record(jobs.get(number), [LogLine(1, utcnow(), "info", "reading main")])
    assert next(events)[:2] == ("1", "log")
    api("POST", f"/jobs/{number}:cancel")
    _, name, ended = next(events)
    assert (name, ended["state"]) == ("end", JobState.CANCELLED)
    assert list(events) == []


@pytest.mark.parametrize("last", ["x", "-1", "1" * 30, "\u0661"])
def test_events_after_what_never_was(api, last):
    answer = api("GET", "/jobs/1/events", headers={"Last-Event-ID": last.encode()})
    assert (answer.status_code, answer.json()["code"]) == (400, "MIR-111")


def test_events_of_no_job(api):
    assert api("GET", "/jobs/99999/events").status_code == 404
    assert api("GET", "/jobs/1/events", token="").status_code == 401


def test_not_more_streams_than_can_be_served(api):
    number = api("POST", "/jobs", json={"only": ["main"], "dry_run": True}).json()["id"]
    streams = [api("GET", f"/jobs/{number}/events", stream=True) for _ in range(MAX_STREAMS)]
    try:
        refused = api("GET", f"/jobs/{number}/events")
        assert (refused.status_code, refused.json()["code"]) == (429, "MIR-725")
        assert refused.headers["Retry-After"]
    finally:
        api("POST", f"/jobs/{number}:cancel")
    assert {list(events_of(stream))[-1][1] for stream in streams} == {"end"}


def test_schedule(api):
    read = api("GET", "/schedule")
    wanted = {"interval": "PT90M", "jitter": "PT0S", "quiet": ["mon-fri 08:00-18:00"]}
    headers = {"If-Match": read.headers["ETag"]}
    put = api("PUT", "/schedule", json=wanted, headers=headers)
    assert put.status_code == 200, put.text
    assert put.json() == api.get("/schedule")
    assert put.json()["interval"] == "PT5400S"
    assert put.json()["enabled"] is True
    assert last_change(api)[0] == "schedule.set"
    assert api("PUT", "/schedule", json=wanted, headers=headers).status_code == 412
    assert api.get("/status")["next_sync"] is not None
    bad = api("PUT", "/schedule", json={"allowed": ["never"]})
    assert (bad.status_code, bad.json()["code"]) == (422, "MIR-126")
    assert api("PUT", "/schedule", json={"enabled": False}).status_code == 200
    assert api.get("/status")["next_sync"] is None
