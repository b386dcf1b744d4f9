"""Routes of custom images, over HTTP, with images that were taken in."""

from __future__ import annotations

import asyncio

import pytest
from api_harness import admin, last_change

from mirror.images.declaration import Wanted
from mirror.intake.order import TakeOrder
from mirror.model import Pin
from mirror.testing.artefacts import root_tgz

PRODUCT = "custom:v1:centos:centos8:amd64:generic"
PATH = "/custom-images/centos/centos8/amd64/generic"


@pytest.fixture
def taken(api, tmp_path):
    """Two versions of an image; return their names."""

    def take(seed: str) -> str:
        file = tmp_path / f"{seed}.tgz"
        file.write_bytes(root_tgz(seed, 40_000))
        wanted = Wanted(name="centos/centos8", title="My CentOS")
        order = TakeOrder(file=str(file), wanted=wanted, by="test", publish=False)
        return asyncio.run(api.mirror.custom_images.take(order, lambda _: None)).version.name

    return [take("a"), take("b")]


def test_they_are_listed_shown_changed_and_removed(api, taken):
    [image] = api.get("/custom-images")["items"]
    assert image == api.get(PATH)
    assert image["declaration"]["title"] == "My CentOS"
    assert [each["name"] for each in image["versions"]][-2:] == taken
    assert {each["severity"] for each in image["versions"][-1]["findings"]} <= {"warning", "note"}
    etag = {"If-Match": api("GET", PATH).headers["ETag"]}
    changed = api("PATCH", PATH, json={"licence": "subscription", "keep": 5}, headers=etag)
    assert changed.status_code == 200, changed.text
    assert changed.json()["declaration"]["licence"] == "subscription"
    assert changed.json()["declaration"]["title"] == "My CentOS"
    assert api("PATCH", PATH, json={"keep": 1}, headers=etag).status_code == 412
    assert api("PATCH", PATH, json={"keep": -1}).status_code == 400
    assert api("PATCH", PATH, json={"licence": "mine"}).status_code == 400
    [job] = api.get("/jobs?state=queued")["items"]
    assert job["options"]["only"] == ["custom"]
    published = api("POST", "/custom-images:publish")
    assert (published.status_code, published.json()) == (202, {"job": job["id"]})

    pin = api.mirror.catalog.add_pin(Pin(0, "stable", taken[0], ("os=centos", "release=centos8")))
    refused = api("DELETE", f"{PATH}?version={taken[0]}")
    assert (refused.status_code, refused.json()["code"]) == (409, "MIR-907")
    api.mirror.catalog.remove_pin(pin.id)
    assert api("DELETE", f"{PATH}?version={taken[0]}&publish=false").status_code == 204
    assert last_change(api) == ("image.remove", PRODUCT, admin(api))
    assert taken[0] not in [each["name"] for each in api.get(PATH)["versions"]]
    assert api("DELETE", f"{PATH}?version=1").status_code == 404
    assert api("DELETE", PATH).status_code == 204
    assert api("DELETE", PATH).status_code == 404
    assert api("GET", PATH).status_code == 404
    assert api.get("/custom-images")["items"] == []


def test_a_name_that_nothing_can_have(api):
    assert api("GET", "/custom-images/a/b/c/%20d").status_code == 404
    assert api("GET", "/custom-images/rhel/9").status_code == 404
