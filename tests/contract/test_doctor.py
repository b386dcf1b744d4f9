"""`mirror doctor` on real mirrors: served by a real process, read from a real upstream."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest

from mirror.testing.bad_upstream import stall


@pytest.fixture
def synced(mut, sample_upstream, serve):
    """A mirror that has published the sample."""
    sample_upstream.add_version()
    sample_upstream.write()
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("arch=amd64")
    mut.sync_now()
    return mut


@contextmanager
def _serving(cli, *more):
    process = cli.start("serve", "--host", "127.0.0.1", "--port", "0", "--workers", "1", *more)
    try:
        yield re.search(r"https?://[^/]+", process.stdout.readline())[0]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _examined(cli, *more, status=0, **environment):
    started = time.monotonic()
    ran = cli("doctor", "--json", *more, **environment)
    took = time.monotonic() - started
    assert ran.status == status, ran.out + ran.err
    assert took < 15, took
    report = ran.json()
    checks: dict[str, list] = {}
    for check in report["checks"]:
        checks.setdefault(check["name"], []).append(check)
        assert check["state"] == "ok" or check["what"]
    return report, checks


def _states(checks, name):
    return [check["state"] for check in checks[name]]


def test_a_mirror_that_is_well(synced, cli):
    with _serving(cli, "--no-jobs") as url:
        report, checks = _examined(cli, "--url", url, MIRROR_SCHEDULE__ENABLED="true")
        for name in (
            *("data directory", "space", "gpg", "key", "plugins", "last sync", "schedule"),
            *("source main", "clock", "channel stable", "served stream"),
        ):
            assert _states(checks, name) == ["ok"], checks[name]
    assert report["channel"] == "stable"
    assert [each["maas"] for each in report["maas"]] == [
        "2.x to 3.4",
        "3.5 and 3.6",
        "3.7 and later",
    ]
    for seen in report["maas"]:
        offered = {(image["os"], image["release"]): image["versions"] for image in seen["offered"]}
        published = synced.versions()
        assert offered["ubuntu", "jammy"]["amd64"] == max(
            v for p, v in published if "22.04:amd64" in p
        )
        assert seen["url"].startswith(f"{url}/images/stable/")
        assert not seen["fails"]
        [amd64] = [arch for arch in seen["arches"] if arch["arch"] == "amd64"]
        assert "jammy" in amd64["commissioning"]
        assert f"maas $PROFILE boot-sources create url={seen['url']} " in "\n".join(
            seen["commands"]
        )


def test_the_commands_fetch_the_key_that_verifies_the_stream(synced, cli, tmp_path):
    with _serving(cli, "--no-jobs") as url:
        report, _ = _examined(cli, "--url", url)
        [seen] = [each for each in report["maas"] if each["maas"] == "3.7 and later"]
        [fetch] = [line for line in seen["commands"] if line.startswith("sudo wget")]
        assert fetch.split()[-1] == f"{url}/keys/mirror.gpg"
        keyring, index = tmp_path / "k.gpg", tmp_path / "index.sjson"
        _download(fetch.split()[-1], keyring)
        _download(seen["url"] + "streams/v1/index.sjson", index)
    done = subprocess.run(
        ["gpgv", "--keyring", str(keyring), str(index)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_where_reading_is_closed_the_commands_have_a_token(synced, cli):
    report, _ = _examined(cli, MIRROR_SERVER__READING="token", MIRROR_SERVER__PORT="1")
    for seen in report["maas"]:
        assert "/t/TOKEN/images/stable/" in seen["url"]
        assert "mirror token create maas --role reader" in seen["commands"]


def test_people_get_the_same_as_text(synced, cli):
    ran = cli("doctor", MIRROR_SERVER__PORT="1")
    assert ran.status == 0
    assert "OK       key: the key " in ran.out
    assert "MAAS 3.7 and later, pointed at channel stable:" in ran.out
    assert "  ubuntu/jammy (" in ran.out
    assert "    maas $PROFILE boot-sources create url=" in ran.out
    assert "WARNING  server: the server does not answer: http://127.0.0.1:1: Conn" in ran.out


def test_a_server_that_was_named_must_answer(synced, cli, free_port):
    _, checks = _examined(cli, "--url", f"http://127.0.0.1:{free_port}", status=1)
    assert _states(checks, "server") == ["problem"]


def test_the_server_of_another_mirror_is_noticed(synced, cli, tmp_path):
    other = type(cli)(tmp_path / "other")
    other.environment = cli.environment
    assert other("init").status == 0
    with _serving(other, "--no-jobs") as url:
        _, checks = _examined(cli, "--url", url, status=1)
    said = " ".join(check["what"] for check in checks["server"])
    assert "not this mirror's key" in said
    assert "no_snapshot" in said
    assert _states(checks, "served stream") == ["problem"]


def test_a_directory_that_is_no_mirror(cli, tmp_path):
    empty = type(cli)(tmp_path / "empty")
    empty.environment = cli.environment
    _, checks = _examined(empty, status=1)
    assert _states(checks, "data directory") == ["problem"]
    assert "mirror init" in checks["data directory"][0]["remedy"]


def test_a_fresh_mirror_says_what_is_next(mut, cli):
    report, checks = _examined(cli, status=1, MIRROR_SERVER__PORT="1")
    assert _states(checks, "channels") == ["problem"]
    assert _states(checks, "sources") == ["problem"]
    assert report["maas"] == []


def test_damaged_and_missing_files_are_found(synced, cli):
    (_, (first, _)), (_, (second, _)) = list(synced.published().items())[:2]
    blobs = synced.mirror.store.blobs
    blobs.path(first).unlink()
    blobs.path(second).chmod(0o644)
    data = blobs.path(second).read_bytes()
    blobs.path(second).write_bytes(bytes(len(data)))
    _, checks = _examined(cli, status=1, MIRROR_SERVER__PORT="1")
    [check] = checks["channel stable"]
    assert "1 of its files are missing" in check["what"]
    assert check["remedy"] == "mirror verify --repair"


def test_a_source_that_is_silent_costs_seconds_not_minutes(synced, cli, sample_upstream, misbehave):
    url, bad = misbehave(sample_upstream.root)
    bad.on("*index.sjson", stall(), times=None)
    synced.mirror.sources.update("main", {"url": url}, by="test")
    started = time.monotonic()
    _, checks = _examined(cli, MIRROR_SERVER__PORT="1", MIRROR_SYNC__STALL_TIMEOUT="600")
    assert time.monotonic() - started < 12
    assert _states(checks, "source main") == ["warning"]


def test_a_source_that_is_down_is_a_problem(synced, cli, free_port):
    synced.mirror.sources.update("main", {"url": f"http://127.0.0.1:{free_port}"}, by="test")
    _, checks = _examined(cli, status=1, MIRROR_SERVER__PORT="1")
    assert _states(checks, "source main") == ["problem"]


def test_without_room_it_is_said(synced, cli):
    more = {"MIRROR_SERVER__PORT": "1", "MIRROR_STORE__MIN_FREE": "1000000 GiB"}
    _, checks = _examined(cli, status=1, **more)
    assert _states(checks, "space") == ["problem"]


def test_an_open_key_directory_is_a_problem(synced, cli):
    synced.mirror.dir.gnupg.chmod(0o755)
    _, checks = _examined(cli, status=1, MIRROR_SERVER__PORT="1")
    assert _states(checks, "key permissions") == ["problem"]


def test_a_key_that_does_not_sign_any_more_is_a_problem(synced, cli):
    shutil.rmtree(synced.mirror.dir.gnupg / "private-keys-v1.d")
    _, checks = _examined(cli, status=1, MIRROR_SERVER__PORT="1")
    assert _states(checks, "key") == ["problem"]


@pytest.mark.parametrize(("days", "state"), [("10", "warning"), ("100", "ok")])
def test_a_certificate_that_nobody_trusts_and_one_that_expires_are_said(
    synced, cli, tmp_path, days, state
):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", days, "-subj", "/CN=mirror.example"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    (synced.root / "mirror.toml").write_text(
        f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n'
    )
    with _serving(cli, "--no-jobs") as url:
        assert url.startswith("https:")
        report, checks = _examined(cli, "--url", url)
    assert _states(checks, "certificate") == [state, state]
    assert _states(checks, "certificate trust") == ["warning"]
    assert _states(checks, "served stream") == ["ok"]
    assert any("update-ca-certificates" in line for line in report["maas"][0]["commands"])


def _download(url, file):
    import urllib.request

    with urllib.request.urlopen(url) as answer:
        file.write_bytes(answer.read())
