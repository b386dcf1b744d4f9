"""The API of a server that starts, stops, or can't open its mirror."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
import requests
from api_harness import served_api

from mirror.model import Role


def test_streams_end_when_the_server_stops(mut):
    with served_api(mut.mirror, drain=timedelta(seconds=60)) as api:
        number = api("POST", "/jobs", json={}).json()["id"]
        stream = api("GET", f"/jobs/{number}/events", stream=True)
        assert next(stream.iter_lines()) == b"event: progress"
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert b"event: end" not in stream.content


@pytest.mark.parametrize("settings_file", ["nonsense = 1\n", "[server\n"])
def test_settings_that_cant_be_read(mut, settings_file):
    token = mut.mirror.tokens.create("admin", Role.ADMIN, by="test").secret
    (mut.root / "mirror.toml").write_text(settings_file)
    with served_api(mut.mirror) as api:
        api.tokens["admin"] = token
        answer = api("GET", "/boot-sources")
        said = answer.json()
        assert (answer.status_code, said["code"]) == (503, "MIR-724")
        assert answer.headers["Retry-After"]
        assert "nonsense" not in answer.text
        assert "mirror.toml" not in answer.text
        # who has no token is told that first; what is open stays open
        assert requests.get(f"{api.url}/api/v1/docs", timeout=10).status_code == 200
        assert api("GET", "/boot-sources", token="").status_code == 401


def test_a_mirror_without_anything(mut):
    with served_api(mut.mirror) as api:
        assert api.get("/snapshots") == {"items": [], "next": ""}
        assert api.get("/channels") == {"items": [], "next": ""}
        assert api.get("/available-images") == {"items": [], "next": ""}
        assert api("GET", "/boot-resources").status_code == 404
        assert api.get("/status")["server"]["reasons"] == ["no_snapshot"]
        preview = api("POST", "/selections:preview", json={"os": "ubuntu"})
        assert (preview.status_code, preview.json()["code"]) == (409, "MIR-108")
