"""What plugins found, over the API: looked up for each page."""

from __future__ import annotations

import pytest

from mirror.catalog.validations import Validation
from mirror.model import Finding, Severity

FOUND = {
    "severity": "warning",
    "code": "tested-kernel",
    "where": "boot-kernel",
    "message": "it is odd",
}


@pytest.fixture
def judged(api, images):
    """The newest version of one product, in which something was found just now."""
    [resource, *_] = api.get("/boot-resources?os=ubuntu")["items"]
    version = resource["versions"][-1]
    finding = Finding(Severity.WARNING, FOUND["code"], FOUND["where"], FOUND["message"])
    images[0].catalog.validations.record(
        [
            Validation(
                resource["product"], version["name"], version["digest"], "tested=3", (finding,)
            )
        ]
    )
    return resource["product"], version["name"]


def test_of_what_a_channel_publishes(api, judged):
    product, name = judged
    for page in (api.get("/boot-resources?os=ubuntu"), api.get("/boot-resources?limit=1000")):
        [resource] = [each for each in page["items"] if each["product"] == product]
        found = {each["name"]: each for each in resource["versions"]}
        assert found[name]["findings"] == [FOUND]
        assert found[name]["judge"] == "tested=3"
        assert isinstance(resource["notices"], list)


def test_of_a_snapshot_also_after_its_contents_were_read(api, judged):
    product, name = judged
    assert api.get("/snapshots/stable/contents", params={"product": product})["items"]
    versions = api.get("/snapshots/stable/versions", params={"product": product})["items"]
    assert [each["findings"] for each in versions if each["version"] == name] == [[FOUND]]
    first = api.get("/snapshots/stable/versions?limit=1")
    rest = api.get("/snapshots/stable/versions", params={"limit": 1000, "after": first["next"]})
    everything = api.get("/snapshots/stable/versions?limit=1000")["items"]
    assert [*first["items"], *rest["items"]] == everything
    assert api("GET", "/snapshots/nothing/versions").status_code == 404


def test_of_what_is_offered(api, judged):
    product, name = judged
    offered = api.get("/available-images?limit=1000")["items"]
    [image] = [each for each in offered if each["product"] == product]
    assert image["version"] == name
    assert image["findings"] == [FOUND]
    assert all(each["judge"] or not each["findings"] for each in offered)


def test_of_the_releases_of_a_channel(api):
    said = api.get("/channels/stable/notices")["notices"]
    assert said == api.get("/channels/stable/notices")["notices"]
    assert all(each["products"] > 0 for each in said)
    assert api("GET", "/channels/nothing/notices").status_code == 404
