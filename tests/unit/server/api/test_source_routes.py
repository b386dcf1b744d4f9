"""Routes of boot sources, over HTTP, with real data."""

from __future__ import annotations

import threading
from base64 import b64encode
from pathlib import Path

import pytest
from api_harness import admin, last_change


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
