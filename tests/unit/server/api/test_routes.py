"""Routes of the mirror itself: storage, tokens, its state; what they change is used."""

from __future__ import annotations

import requests
from api_harness import sync

from mirror.model import Role


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


def test_what_the_api_changes_the_next_sync_sees(api, images):
    sample = images[1]
    sample.add_version()
    sample.write()
    before = api.get("/channels/stable")
    after = sync(api.mirror)
    assert api.get("/channels/stable")["snapshot"] == after != before["snapshot"]


def test_a_token_passes_on_the_licences_that_it_has_and_no_others(api):
    wanted = {"name": "x", "role": "admin", "licences": ["proprietary"]}
    refused = api("POST", "/tokens", json=wanted)
    assert (refused.status_code, refused.json()["code"]) == (403, "MIR-806")
    assert api("POST", "/tokens", json={**wanted, "licences": ["free"]}).status_code == 400
    held = api.mirror.tokens.create("licensed", Role.ADMIN, licences=["proprietary"], by="test")
    api.tokens["licensed"] = held.secret
    made = api("POST", "/tokens", json=wanted, token="licensed")
    assert made.status_code == 201, made.text
    assert made.json()["token"]["licences"] == ["proprietary"]
    more = {**wanted, "licences": ["proprietary", "subscription"]}
    assert api("POST", "/tokens", json=more, token="licensed").json()["code"] == "MIR-806"
