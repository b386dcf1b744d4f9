"""Routes of selections and images, over HTTP, with real data."""

from __future__ import annotations

from api_harness import admin, last_change


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
