"""The whole road: a signed upstream, `mirror sync`, `mirror serve`, and a client we did not write.

Everything runs as a user runs it: processes, sockets, gpg, and python-simplestreams' programs.
"""

from __future__ import annotations

import json
import signal
import urllib.request
from pathlib import Path

import pytest

from mirror.testing.sstream import mirrored_files, sstream_mirror, sstream_query


@pytest.fixture
def keyring(cli, tmp_path) -> Path:
    file = tmp_path / "mirror.gpg"
    assert cli("key", "export", "--output", str(file)).status == 0
    return file


@pytest.fixture
def server(cli):
    """Start `mirror serve` with two workers on a free port; give its URL."""
    process = cli.start("serve", "--host", "127.0.0.1", "--port", "0", "--workers", "2")
    line = process.stdout.readline()
    assert line.startswith("serving http://"), (line, process.stderr.read())
    yield line.split()[1].partition("/images/")[0]
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


@pytest.fixture
def published(cli, mut, sample_upstream, serve):
    """Sync everything for amd64 into channel stable, by command; give what is published."""
    url = serve(sample_upstream.root).url
    keyring = str(sample_upstream.keyring)
    assert cli("source", "add", "main", url, "--keyring", keyring).status == 0
    assert cli("select", "add", "os~(ubuntu|centos)", "arch=amd64").status == 0
    ran = cli("sync")
    assert ran.status == 0, ran.err
    return mut.published()


@pytest.mark.parametrize(
    "suffix", ["/images/stable/streams/v1/index.sjson", "/images/stable/", "/images/stable"]
)
def test_every_form_of_the_address_works(published, server, keyring, tmp_path, suffix):
    outcome = sstream_mirror(server + suffix, tmp_path / "out", keyring=keyring)
    assert outcome.status == 0, outcome.errors
    assert mirrored_files(tmp_path / "out") == published


def test_with_a_filter_just_that(published, server, keyring, tmp_path):
    outcome = sstream_mirror(
        f"{server}/images/stable/",
        tmp_path / "out",
        "release=noble",
        newest=1,
        keyring=keyring,
    )
    assert outcome.status == 0, outcome.errors
    found = mirrored_files(tmp_path / "out")
    assert found
    assert found == {
        path: ref
        for path, ref in published.items()
        if path.startswith("noble/") and "20250715" in path
    }


def test_the_other_indexes_work_too(published, server, keyring, tmp_path):
    for number, name in enumerate(("index-all.sjson", "index.json")):
        out = tmp_path / f"out{number}"
        verify = keyring if name.endswith(".sjson") else None
        outcome = sstream_mirror(
            f"{server}/images/stable/streams/v1/{name}",
            out,
            keyring=verify,
        )
        assert outcome.status == 0, outcome.errors
        assert mirrored_files(out) == published


def test_query_lists_what_snapshot_show_lists(published, cli, server, keyring):
    listed = {
        (
            item["product_name"],
            item["version_name"],
            item["item_name"],
            item["path"],
            item["sha256"],
            int(item["size"]),
        )
        for item in sstream_query(f"{server}/images/stable/", keyring=keyring)
    }
    shown = cli("snapshot", "show", "stable", "--json").json()
    assert listed == {
        (i["product"], i["version"], i["item"], i["path"], i["sha256"], i["size"])
        for i in shown["items"]
    }


def test_a_foreign_key_does_not_verify(published, server, sample_upstream, tmp_path):
    outcome = sstream_mirror(
        f"{server}/images/stable/", tmp_path / "out", keyring=sample_upstream.keyring
    )
    assert outcome.status != 0


def test_the_key_is_served_as_it_is_exported(published, server, keyring):
    with urllib.request.urlopen(f"{server}/keys/mirror.gpg") as answer:
        assert answer.read() == keyring.read_bytes()


def test_a_pinned_snapshot_outlives_the_next_publication(
    published, cli, server, keyring, sample_upstream, tmp_path
):
    [first] = cli("snapshot", "list", "--json").json()
    sample_upstream.add_version()
    sample_upstream.write()
    assert cli("sync").status == 0
    outcome = sstream_mirror(
        f"{server}/snapshots/{first['id']}/", tmp_path / "out", keyring=keyring
    )
    assert outcome.status == 0, outcome.errors
    assert mirrored_files(tmp_path / "out") == published


def test_an_update_is_mirrored_while_it_is_served(
    published, cli, mut, server, keyring, sample_upstream, tmp_path
):
    url = f"{server}/images/stable/"
    assert sstream_mirror(url, tmp_path / "out", keyring=keyring).status == 0
    sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.write()
    ran = cli("sync", "--json")
    assert ran.status == 0, ran.err
    newest = ran.json()["snapshot"]
    _wait_until_served(server, mut, newest)
    assert sstream_mirror(url, tmp_path / "out", keyring=keyring).status == 0
    assert mirrored_files(tmp_path / "out") == mut.published() != published
    assert cli("channel", "rollback", "stable").status == 0
    assert mut.published() == published


def _wait_until_served(server: str, mut, snapshot_id: str) -> None:
    """Wait, at most for the test's time limit, until both workers answer with the snapshot."""
    snapshot = mut.mirror.store.snapshots.load(snapshot_id)
    wanted = snapshot.files["streams/v1/index.json"].sha256
    seen = 0
    while seen < 20:
        request = urllib.request.Request(f"{server}/images/stable/streams/v1/index.json")
        with urllib.request.urlopen(request) as answer:
            json.load(answer)
            seen = seen + 1 if answer.headers["ETag"].strip('"') == wanted else 0
