"""Each route does what it says, over HTTP, with real data."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from pathlib import Path

import pytest
import requests
from api_harness import sync

from mirror.model import JobState, LogLine, Role, utcnow
from mirror.server.api.events import MAX_STREAMS


def last_change(api):
    [entry] = api.get("/audit?limit=1")["items"]
    return entry["action"], entry["subject"], entry["actor"]


def admin(api):
    [token] = [each for each in api.get("/tokens")["items"] if each["name"] == "admin"]
    return f"token:{token['id']} admin"


# --- boot sources ---------------------------------------------------------------------------------


def test_boot_sources(api, images):
    sample = images[1]
    new = {
        "name": "second",
        "url": api.get("/boot-sources/main")["url"],
        "keyring_data": b64encode(sample.keyring.read_bytes()).decode(),
        "priority": -1,
        "max_staleness": "P30D",
    }
    made = api("POST", "/boot-sources", json=new)
    assert made.status_code == 201, made.text
    assert made.headers["Location"] == "/api/v1/boot-sources/second"
    assert made.json()["max_staleness"] == "P30D"
    assert last_change(api) == ("source.add", "second", admin(api))
    assert made.json() == api.get("/boot-sources/second")
    again = api("POST", "/boot-sources", json=new)
    assert (again.status_code, again.json()["code"]) == (409, "MIR-107")
    changed = api("PATCH", "/boot-sources/second", json={"enabled": False, "priority": 3})
    assert (changed.json()["enabled"], changed.json()["priority"]) == (False, 3)
    assert changed.json()["max_staleness"] == "P30D"
    assert changed.headers["ETag"] == api("GET", "/boot-sources/second").headers["ETag"]
    assert [each["name"] for each in api.get("/boot-sources")["items"]] == ["second", "main"]
    assert api.get("/boot-sources/second/state")["state"] == "disabled"
    assert {s["name"]: s["state"] for s in api.get("/boot-source-states")["items"]} == {
        "second": "disabled",
        "main": "good",
    }
    assert api("DELETE", "/boot-sources/second").status_code == 204
    assert last_change(api)[:2] == ("source.remove", "second")


def test_check_a_source(api):
    good = api("POST", "/boot-sources/main:check").json()
    assert (good["ok"], good["problem"]) == (True, None)
    assert good["report"]["products"] > 0
    new = {"name": "gone", "url": "http://127.0.0.1:1/", "trust": "none"}
    bad = api("POST", "/boot-sources:check", json=new)
    assert bad.status_code == 200
    assert (bad.json()["ok"], bad.json()["problem"]["code"]) == (False, "MIR-401")
    assert api("GET", "/boot-sources/gone").status_code == 404


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({}, 422, "MIR-120"),  # no keyring
        ({"keyring": "/usr/share/keyrings/nothing.gpg"}, 422, "MIR-201"),
        ({"keyring_data": "nonsense"}, 422, "MIR-202"),
        ({"trust": "none", "url": "http://me:secret@a.example/"}, 422, "MIR-121"),
        ({"trust": "none", "password_file": "/etc/maas-image-mirror/p"}, 422, "MIR-120"),
    ],
)
def test_sources_that_cant_be(api, more, status, code):
    answer = api("POST", "/boot-sources", json={"name": "a", "url": "http://a.example/", **more})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert "secret" not in answer.text


@pytest.mark.parametrize("field", ["password_file", "proxy_password_file", "ca_file", "keyring"])
@pytest.mark.parametrize(
    "path", ["/etc/hostname", "/etc/maas-image-mirror/../hostname", "gnupg/x", "/proc/self/environ"]
)
def test_a_request_cant_name_any_file(api, field, path):
    wanted = {"name": "a", "url": "http://a.example/", "trust": "none", "username": "u"}
    answer = api("POST", "/boot-sources", json={**wanted, field: path})
    assert (answer.status_code, answer.json()["code"]) == (422, "MIR-120"), answer.text
    changed = api("PATCH", "/boot-sources/main", json={field: path})
    assert (changed.status_code, changed.json()["code"]) == (422, "MIR-120")


def test_secrets_of_one_kind_are_not_files_of_another(api, tmp_path):
    link = Path("/usr/share/keyrings")
    answer = api("PATCH", "/boot-sources/main", json={"password_file": str(link / "x.gpg")})
    assert answer.json()["code"] == "MIR-120"
    # what the source has already may stay, for the same purpose only
    keyring = api.get("/boot-sources/main")["keyring"]
    assert api("PATCH", "/boot-sources/main", json={"keyring": keyring}).status_code == 200
    stolen = api("PATCH", "/boot-sources/main", json={"password_file": keyring, "username": "u"})
    assert stolen.json()["code"] == "MIR-120"


def test_defaults(api):
    names = [each["name"] for each in api.get("/boot-source-defaults")["items"]]
    assert "maas-stable" in names
    path = "/boot-source-defaults/maas-stable:add"
    made = api("POST", path, json={"trust": "none", "enabled": False})
    assert made.status_code == 201, made.text
    assert api("DELETE", "/boot-sources/maas-stable").status_code == 204


# --- selections and images ------------------------------------------------------------------------


def test_selections(api):
    new = {"os": "ubuntu", "release": "noble", "arches": ["amd64"], "keep": 1}
    preview = api("POST", "/selections:preview", json=new)
    assert preview.status_code == 200, preview.text
    assert (preview.json()["files"], preview.json()["sources"]) == (0, [])
    made = api("POST", "/selections", json=new)
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    assert made.headers["Location"] == f"/api/v1/selections/{number}"
    assert made.json()["bootloaders"] is True
    assert last_change(api) == ("selection.add", str(number), admin(api))
    again = api("POST", "/selections", json=new)
    assert (again.status_code, again.json()["code"]) == (409, "MIR-107")
    path = f"/selections/{number}"
    etag = {"If-Match": made.headers["ETag"]}
    changed = api("PATCH", path, json={"arches": ["arm64"]}, headers=etag)
    assert (changed.json()["arches"], changed.json()["release"]) == (["arm64"], "noble")
    assert api("PATCH", path, json={"keep": 3}, headers=etag).status_code == 412
    would = api("POST", f"{path}:preview", json={"keep": 2})
    assert would.status_code == 200, would.text
    assert api.get(path) == changed.json()
    nothing = api("POST", "/selections", json={"keep": 1})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "MIR-117")
    bad = api("POST", "/selections", json={"filters": ["release"]})
    assert (bad.status_code, bad.json()["code"]) == (422, "MIR-105")
    unknown = api("POST", "/selections", json={**new, "source": "nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "MIR-106")
    assert number in [each["id"] for each in api.get("/selections")["items"]]
    assert api("DELETE", path).status_code == 204
    assert api("DELETE", path).status_code == 404


def test_available_images(api):
    everything = api.get("/available-images")["items"]
    assert len(everything) > 5
    assert all(each["taken"] for each in everything if each["source"] == "main")
    some = api.get("/available-images?arch=arm64&os=ubuntu")["items"]
    assert some == [e for e in everything if (e["arch"], e["os"]) == ("arm64", "ubuntu")]
    found, after = [], ""
    while True:
        page = api.get("/available-images", params={"limit": 3, "after": after})
        found += page["items"]
        after = page["next"]
        if not after:
            break
    assert found == everything
    assert api("POST", "/available-images:refresh").json() == {"problems": []}


def test_boot_resources(api):
    everything = api.get("/boot-resources")["items"]
    assert len(everything) > 5
    newest = {each["product"]: each["versions"][-1]["name"] for each in everything}
    older = {
        each["product"]: each["versions"][-1]["name"]
        for each in api.get("/boot-resources?channel=candidate")["items"]
    }
    assert newest != older
    first = api.get("/boot-resources?limit=2")
    rest = api.get("/boot-resources", params={"after": first["next"]})
    assert first["items"] + rest["items"] == everything
    assert api.get("/boot-resources?os=plan9")["items"] == []
    assert api("GET", "/boot-resources?channel=nothing").status_code == 404


def test_contents_of_a_snapshot(api):
    at = api.get("/channels/stable")["snapshot"]
    everything = api.get(f"/snapshots/{at}/contents?limit=1000")
    assert everything["next"] == ""
    shown = api.mirror.snapshots.show(at).items
    assert [each["path"] for each in everything["items"]] == [each.path for each in shown]
    found, after = [], ""
    while True:
        page = api.get("/snapshots/stable/contents", params={"limit": 17, "after": after})
        found += page["items"]
        after = page["next"]
        if not after:
            break
    assert found == everything["items"]
    product = found[0]["product"]
    only = api.get("/snapshots/stable/contents", params={"product": product})["items"]
    assert only == [each for each in found if each["product"] == product]
    assert api.get("/snapshots/stable/notes") == {"notes": {}}
    # the channel moves on, and so does what is shown
    candidate = api.get("/snapshots/candidate/contents?limit=1000")["items"]
    assert {each["version"] for each in candidate} != {each["version"] for each in found}


# --- jobs -----------------------------------------------------------------------------------------


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


# --- schedule -------------------------------------------------------------------------------------


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


# --- snapshots and channels -----------------------------------------------------------------------


def test_snapshots(api):
    listed = api.get("/snapshots?unique=true")["items"]
    newest = listed[0]
    assert newest["channels"] == ["stable"]
    assert newest["unique"] is not None
    one = api.get(f"/snapshots/{newest['id']}")
    assert (one["files"], one["bytes"]) == (newest["files"], newest["bytes"])
    assert api("GET", "/snapshots/nothing").status_code == 404


def test_what_differs(api):
    diff = api.get("/snapshots/stable/diff?old=candidate&packages=true")
    assert diff["new"] == api.get("/channels/stable")["snapshot"]
    assert diff["products"]
    assert diff["bytes_added"] > 0
    assert api("GET", "/snapshots/stable/diff").status_code == 400
    assert api("GET", "/snapshots/stable/diff?old=nothing").status_code == 404


def test_packages(api):
    diff = api.get("/snapshots/stable/diff?old=candidate&packages=true")
    changed = next(each for each in diff["products"] if each["packages"])
    found = changed["packages"]
    query = {"product": changed["product"], "old": found["old"], "new": found["new"]}
    assert api.get("/packages", params=query) == found
    query["old"] = "20000101"
    missing = api("GET", "/packages", params=query)
    assert (missing.status_code, missing.json()["code"]) == (404, "MIR-116")


def test_verify_a_snapshot(api):
    report = api("POST", "/snapshots/stable:verify").json()
    assert report["blobs"] > 0
    assert report["damaged"] == []


def test_remove_a_snapshot(api):
    newest = api.get("/channels/stable")["snapshot"]
    used = api("DELETE", f"/snapshots/{newest}")
    assert (used.status_code, used.json()["code"]) == (409, "MIR-504")


def test_channels(api):
    candidate, stable = (api.get(f"/channels/{name}") for name in ("candidate", "stable"))
    made = api("PUT", "/channels/site-a", json={"snapshot": "candidate"})
    assert made.status_code == 201, made.text
    assert made.headers["Location"] == "/api/v1/channels/site-a"
    assert made.json()["snapshot"] == candidate["snapshot"]
    assert made.headers["ETag"] == api("GET", "/channels/site-a").headers["ETag"]
    twice = api("PUT", "/channels/site-a", json={"snapshot": "candidate"})
    assert (twice.status_code, twice.json()["code"]) == (409, "MIR-107")

    moved = api("POST", "/channels/site-a:promote", json={"snapshot": "stable"})
    assert moved.json()["snapshot"] == stable["snapshot"]
    late = {"If-Match": made.headers["ETag"]}
    stale = api("POST", "/channels/site-a:promote", json={"snapshot": "stable"}, headers=late)
    assert stale.status_code == 412

    back = api("POST", "/channels/site-a:rollback", json={})
    assert back.status_code == 200, back.text
    assert back.json()["held"]
    assert back.json()["snapshot"] != stable["snapshot"]
    held = api("POST", "/channels/site-a:promote", json={"snapshot": "stable"})
    assert (held.status_code, held.json()["code"]) == (409, "MIR-115")
    [hold] = api.get("/channels/site-a/pins")["items"]
    assert api("DELETE", f"/channels/site-a/pins/{hold['id']}").status_code == 204
    assert api.get("/channels/site-a")["held"] is None

    history = api.get("/channels/site-a/history")["items"]
    assert [entry["by"] for entry in history] == [admin(api)] * 3
    assert history[-1]["snapshot"] == candidate["snapshot"]
    first = api.get("/channels/site-a/history?limit=2")
    rest = api.get(f"/channels/site-a/history?limit=2&after={first['next']}")
    assert first["items"] + rest["items"] == history
    assert rest["next"] == ""

    assert api("DELETE", "/channels/site-a").status_code == 204
    assert api("GET", "/channels/site-a").status_code == 404
    needed = api("DELETE", "/channels/stable")
    assert (needed.status_code, needed.json()["code"]) == (409, "MIR-130")


def test_pins(api):
    api("PUT", "/channels/pinned", json={"snapshot": "stable"})
    old = api.get("/snapshots/stable/diff?old=candidate")["products"]
    product = next(each for each in old if each["added"])
    api_version = product["added"][0]["version"]
    pin = {"filters": [f"release={product['release']}", f"arch={product['arch']}"]}
    made = api("POST", "/channels/pinned/pins", json={**pin, "version": api_version})
    assert made.status_code in {201, 404}, made.text
    held = api("POST", "/channels/pinned:hold", json={"reason": "an audit"})
    assert held.status_code == 200
    assert api.get("/channels/pinned")["held"] == "an audit"
    for each in api.get("/channels/pinned/pins")["items"]:
        assert api("DELETE", f"/channels/pinned/pins/{each['id']}").status_code == 204
    assert api("DELETE", "/channels/pinned/pins/1000").status_code == 404
    bad = api("POST", "/channels/pinned/pins", json={"filters": ["x"], "version": "1"})
    assert (bad.status_code, bad.json()["code"]) == (422, "MIR-105")
    assert api("DELETE", "/channels/pinned").status_code == 204


def test_a_token_for_one_channel(api):
    api.token("only candidate", Role.OPERATOR, "candidate")

    def ask(method, path, **more):
        answer = api(method, path, token="only candidate", **more)
        return answer.status_code, answer.json().get("code")

    stable = api.get("/channels/stable")["snapshot"]
    assert ask("GET", "/channels/candidate")[0] == 200
    assert ask("GET", "/channels/stable") == (403, "MIR-803")
    assert ask("POST", "/jobs", json={"channel": "stable"}) == (403, "MIR-803")
    assert ask("POST", "/jobs", json={}) == (403, "MIR-803")
    mine = api("POST", "/jobs", json={"channel": "candidate"}, token="only candidate").json()
    assert ask("POST", f"/jobs/{mine['id']}:cancel")[0] == 202
    other = api("POST", "/jobs", json={"channel": "stable"}).json()["id"]
    assert ask("POST", f"/jobs/{other}:cancel") == (403, "MIR-803")
    api("POST", f"/jobs/{other}:cancel")
    # what only another channel publishes can't be had by publishing it as one's own
    for snapshot in ("stable", stable):
        body = {"snapshot": snapshot}
        assert ask("POST", "/channels/candidate:promote", json=body) == (403, "MIR-803")
    current = {"snapshot": api.get("/channels/candidate")["snapshot"]}
    assert ask("POST", "/channels/candidate:promote", json=current)[0] == 200
    assert ask("PUT", "/schedule", json={}) == (403, "MIR-803")
    assert ask("POST", "/storage:gc", json={"dry_run": True}) == (403, "MIR-803")
    assert ask("DELETE", "/boot-sources/main") == (403, "MIR-803")


# --- storage, tokens, audit, state ----------------------------------------------------------------


def test_storage(api):
    state = api.get("/storage")
    assert state["blobs"] > 0
    assert len(state["snapshots"]) == len(api.get("/snapshots")["items"])
    assert {fate["snapshot"] for fate in api.get("/storage/expiry")["items"]} == {
        each["id"] for each in state["snapshots"]
    }
    assert api("POST", "/storage:gc", json={}).status_code == 400
    dry = api("POST", "/storage:gc", json={"dry_run": True}).json()
    assert (dry["dry_run"], dry["kept"] > 0) == (True, True)
    done = api("POST", "/storage:gc", json={"dry_run": False})
    assert done.status_code == 200, done.text
    assert done.json()["kept"] == dry["kept"]


def test_tokens(api):
    wanted = {"name": "site A", "role": "rack", "channels": ["stable"]}
    made = api("POST", "/tokens", json={**wanted, "expires": "2099-01-01T00:00:00Z"})
    assert made.status_code == 201, made.text
    token, secret = made.json()["token"], made.json()["secret"]
    assert made.headers["Location"] == f"/api/v1/tokens/{token['id']}"
    assert made.headers["Cache-Control"] == "no-store"
    assert api("GET", "/channels", token=secret).status_code == 403
    shown = api("GET", f"/tokens/{token['id']}")
    assert shown.json() == token
    assert secret not in shown.text + api("GET", "/tokens").text + api("GET", "/audit").text
    assert api("DELETE", f"/tokens/{token['id']}").status_code == 204
    assert api.get(f"/tokens/{token['id']}")["revoked"]
    past = api("POST", "/tokens", json={**wanted, "expires": "2000-01-01T00:00:00Z"})
    assert (past.status_code, past.json()["code"]) == (400, "MIR-111")
    no_zone = api("POST", "/tokens", json={**wanted, "expires": "2099-01-01T00:00:00"})
    assert no_zone.status_code == 400


def test_status_plugins_and_key(api):
    status = api.get("/status")
    assert status["server"]["ready"] is True
    assert status["server"]["channels"]["stable"] == api.get("/channels/stable")["snapshot"]
    assert {"ubuntu", "centos"} <= {each["name"] for each in api.get("/plugins")["items"]}
    key = api.get("/key")
    assert key["fingerprint"] == api.mirror.key.fingerprint
    assert key["armored"] == requests.get(f"{api.url}/keys/mirror.asc", timeout=10).text


# --- many at once ---------------------------------------------------------------------------------


def test_only_one_of_many_wins_a_race(api):
    api("POST", "/boot-sources", json={"name": "race", "url": "http://a.example/", "trust": "none"})
    headers = {"If-Match": api("GET", "/boot-sources/race").headers["ETag"]}
    found = []

    def change(number):
        path = "/boot-sources/race"
        found.append(api("PATCH", path, json={"priority": number}, headers=headers).status_code)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200, *[412] * 7]
    api("DELETE", "/boot-sources/race")


def test_what_the_api_changes_the_next_sync_sees(api, images):
    sample = images[1]
    sample.add_version()
    sample.write()
    before = api.get("/channels/stable")
    after = sync(api.mirror)
    assert api.get("/channels/stable")["snapshot"] == after != before["snapshot"]
