"""The whole road on real bytes: sync, serve, a foreign client mirrors from us, update, go back."""

from __future__ import annotations

import json
import time
import urllib.request

import pytest
from commands import Commands

from mirror.testing.sstream import mirrored_files, sstream_mirror, sstream_query

IMAGES = ":boot:"
MEMORY_BAR = 150 * 1024 * 1024
STREAM = "images/stable/streams/v1/index.sjson"


@pytest.fixture
def mirror(tmp_path, debian_plugin):
    return Commands(tmp_path / "data")


@pytest.fixture
def source(debian_upstream, serve):
    return serve(debian_upstream.root)


@pytest.fixture
def synced(mirror, debian_upstream, source):
    """Set up as in the README, and sync the first version."""
    for command in (
        ("init", "--name", "end to end"),
        ("source", "add", "debian", source.url, "--keyring", str(debian_upstream.keyring)),
        ("select", "add", "os~(ubuntu|debian)", "arch=amd64"),
    ):
        done = mirror(*command)
        assert done.status == 0, done.errors
    done = mirror("sync")
    assert done.status == 0, done.errors + done.output
    assert done.peak < MEMORY_BAR
    return source


@pytest.fixture
def our_keyring(mirror, synced, tmp_path):
    file = tmp_path / "ours.gpg"
    done = mirror("key", "export", "--output", str(file))
    assert done.status == 0, done.errors
    return file


def take(url, out, keyring):
    """Mirror `url` as a client that we did not write does; return what it got."""
    outcome = sstream_mirror(url, out, keyring=keyring)
    assert outcome.status == 0, outcome.errors
    return mirrored_files(out)


def asked_for_images(source):
    return [path for path in source.paths() if not path.startswith("/streams/")]


def wait_until_published(base, updated_before):
    """Wait for the running server to notice a switch: it says it takes about a second."""
    for _ in range(100):
        updated = published_updated(base)
        if updated != updated_before:
            return
        time.sleep(0.1)
    raise AssertionError("the server still publishes what it did ten seconds ago")


def published_updated(base):
    with urllib.request.urlopen(f"{base}/images/stable/streams/v1/index.json") as response:
        return json.load(response)["updated"]


def test_a_foreign_client_gets_every_byte_of_each_version(
    mirror, debian_upstream, synced, our_keyring, tmp_path
):
    first = debian_upstream.files()
    with mirror.serving() as base:
        assert take(f"{base}/{STREAM}", tmp_path / "first", our_keyring) == first
        before = published_updated(base)

        # The publisher goes on: only what is new is fetched, while the server runs.
        debian_upstream.add_version(only=IMAGES)
        debian_upstream.write()
        second = debian_upstream.files()
        known = {sha256 for sha256, _ in first.values()}
        new = {path for path, (sha256, _) in second.items() if sha256 not in known}
        synced.requests.clear()
        done = mirror("sync")
        assert done.status == 0, done.errors + done.output
        assert {path.removeprefix("/") for path in asked_for_images(synced)} == new
        assert len(new) < len(second) - len(first)
        wait_until_published(base, before)
        assert take(f"{base}/{STREAM}", tmp_path / "second", our_keyring) == second

        # And back: one switch, and clients see the old version alone.
        after = published_updated(base)
        assert mirror("channel", "rollback", "stable").status == 0
        wait_until_published(base, after)
        assert take(f"{base}/{STREAM}", tmp_path / "back", our_keyring) == first


def test_nothing_new_costs_one_conditional_request(mirror, synced):
    synced.requests.clear()
    done = mirror("sync")
    assert done.status == 0, done.errors
    assert [(entry.path, entry.status) for entry in synced.requests] == [
        ("/streams/v1/index.sjson", 304)
    ]


@pytest.mark.parametrize("suffix", ["", "/"], ids=["base", "base/"])
def test_the_base_will_do(mirror, debian_upstream, our_keyring, tmp_path, suffix):
    with mirror.serving() as base:
        url = f"{base}/images/stable{suffix}"
        assert take(url, tmp_path / "out", our_keyring) == debian_upstream.files()


def test_a_plugin_that_a_user_installed_claims_what_is_its_own(mirror, synced, debian_cache):
    listed = {each["name"]: each for each in mirror("plugin", "list", "--json").json()}
    assert listed["debian"]["package"] == "plug-debian"
    found = mirror("snapshot", "show", "stable", "--json").json()["items"]
    (tarball,) = (item for item in found if item["item"] == "root-tgz")
    assert tarball["product"] == "org.debian.maas.stable:debian-bases:12:amd64"
    assert tarball["size"] == (debian_cache / "20250615/root-tgz").stat().st_size


def test_sstream_query_lists_what_we_say_we_publish(mirror, our_keyring):
    said = {
        (item["product"], item["version"], item["item"]): (item["path"], item["sha256"])
        for item in mirror("snapshot", "show", "stable", "--json").json()["items"]
    }
    with mirror.serving() as base:
        listed = {
            (item["product_name"], item["version_name"], item["item_name"]): (
                item["path"],
                item["sha256"],
            )
            for item in sstream_query(f"{base}/{STREAM}", keyring=our_keyring)
        }
    assert listed == said


def test_a_tampered_image_is_found_and_fetched_again(mirror, debian_upstream, synced):
    path, (sha256, _) = next(
        (path, file) for path, file in debian_upstream.files().items() if path.endswith("squashfs")
    )
    blob = mirror.data_dir / "blobs/sha256" / sha256[:2] / sha256
    with blob.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"tampered")
    found = mirror("verify")
    assert found.status == 4
    assert path in found.output
    synced.requests.clear()
    assert mirror("verify", "--repair").status == 0
    assert f"/{path}" in synced.paths()
    assert mirror("verify").status == 0
