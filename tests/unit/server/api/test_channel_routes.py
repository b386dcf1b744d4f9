"""Routes of snapshots and channels, over HTTP, with real data."""

from __future__ import annotations

from api_harness import admin

from mirror.model import Role


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


def test_which_licences_a_channel_allows(api):
    path = "/channels/candidate/licences"
    assert api.get(path) == {"licences": []}
    assert api.get("/channels/candidate")["licences"] == []
    both = ["proprietary", "subscription"]
    done = api("PUT", path, json={"licences": both[::-1]})
    assert (done.status_code, done.json()) == (200, {"licences": both})
    assert api.get("/channels/candidate")["licences"] == both
    assert api("PUT", path, json={"licences": both}).headers["ETag"] == done.headers["ETag"]
    [entry] = api.get("/audit?action=channel.licences&limit=1")["items"]
    assert (entry["subject"], entry["before"], entry["after"]) == ("candidate", [], both)
    assert api("PUT", path, json={"licences": ["proprietary"]}).json() == {"licences": both[:1]}
    late = {"If-Match": done.headers["ETag"]}
    assert api("PUT", path, json={"licences": []}, headers=late).status_code == 412
    for wrong in ("free", "all", "", 1):
        assert api("PUT", path, json={"licences": [wrong]}).status_code == 400
    assert api("PUT", "/channels/nothing/licences", json={"licences": []}).status_code == 404
    assert api("PUT", path, json={"licences": []}).json() == {"licences": []}
