"""`mirror source` as a program."""

from __future__ import annotations

import json
import subprocess

import pytest

NOBODY = "http://127.0.0.1:9/"


@pytest.fixture
def served(sample_upstream, serve):
    return serve(sample_upstream.root)


@pytest.fixture
def added(cli, sample_upstream, served):
    """The command line of a mirror with a source `main`."""
    ran = cli("source", "add", "main", served.url, "--keyring", str(sample_upstream.keyring))
    assert ran.status == 0, ran.err
    return cli


def test_add_takes_every_option(cli, sample_upstream, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    ran = cli(
        *("source", "add", "main", "http://a.example", "--json"),
        *("--fallback-url", "http://b.example", "--fallback-url", "http://c.example"),
        *("--keyring", str(sample_upstream.keyring)),
        *("--fingerprint", sample_upstream.fingerprint),
        *("--priority", "3", "--proxy", "http://proxy:3128", "--proxy-username", "me"),
        *("--proxy-password-file", str(secret), "--no-proxy", "10.0.0.0/8 .example.com"),
        *("--username", "me", "--password-file", str(secret)),
        *("--bandwidth", "1000", "--max-staleness", "1.5"),
    )
    assert ran.status == 0, ran.err
    assert "s3cret" not in ran.out + ran.err
    source = ran.json()
    shown = cli("source", "show", "main", "--json").json()
    assert shown.pop("status")["state"] == "unread"
    assert shown == source
    assert source["fallback_urls"] == ["http://b.example", "http://c.example"]
    assert (source["no_proxy"], source["max_staleness"]) == (
        "10.0.0.0/8 .example.com",
        "P1DT43200S",
    )


def test_set_changes_what_is_given_and_nothing_else(added):
    before = added("source", "show", "main", "--json").json()
    ran = added("source", "set", "main", "--priority", "9", "--fallback-url", NOBODY)
    assert (ran.status, ran.out) == (0, f"fallback_urls: {NOBODY}\npriority: 9\n")
    after = added("source", "show", "main", "--json").json()
    assert after == {**before, "priority": 9, "fallback_urls": [NOBODY]}
    assert added("source", "set", "main", "--fallback-url", "").status == 0
    assert added("source", "show", "main", "--json").json() == {**before, "priority": 9}
    moved = added("source", "set", "main", "--url", NOBODY)
    assert (moved.status, "--accept-rollback" in moved.err) == (0, True)
    assert added("source", "set", "main").status == 2


def test_a_keyring_may_come_from_standard_input(added, sample_upstream, signing_key, tmp_path):
    key = tmp_path / "key.asc"
    key.write_bytes(signing_key.public_armored())
    with key.open() as stdin:
        done = subprocess.run(
            added.command("source", "set", "main", "--keyring-data", "-", "--json"),
            stdin=stdin,
            capture_output=True,
            text=True,
            check=True,
            env=added.environment,
        )
    source = json.loads(done.stdout)
    assert source["keyring"] == ""
    assert source["keyring_data"] == key.read_text()
    assert "characters of keys" in added("source", "show", "main").out
    back = added("source", "set", "main", "--keyring", str(sample_upstream.keyring), "--json")
    assert back.json()["keyring_data"] == ""


def test_disable_and_enable(added):
    assert added("source", "disable", "main").status == 0
    assert "disabled" in added("source", "list").out
    assert added("source", "list", "--json").json()[0]["enabled"] is False
    assert added("source", "enable", "main").status == 0
    assert "unread" in added("source", "list").out
    assert added("source", "disable", "nobody").status == 1


def test_list_and_show_say_how_a_source_is(added, served):
    added("select", "add", "os=ubuntu", "release=noble", "arch=amd64")
    assert added("sync").status == 0
    [listed] = added("source", "list", "--json").json()
    assert (listed["name"], listed["status"]["state"]) == ("main", "good")
    shown = added("source", "show", "main").out
    assert "state: good" in shown
    assert f"at {served.url}/" in shown
    added("source", "set", "main", "--url", NOBODY)
    assert added("sync").status == 1
    shown = added("source", "show", "main").out
    assert "state: failing" in shown
    assert "Connection refused [MIR-401]" in shown
    assert "failing" in added("source", "list").out


def test_check_tries_a_url_and_names_who_signed_it(cli, sample_upstream, served):
    unknown = cli("source", "check", served.url)
    assert (unknown.status, sample_upstream.fingerprint in unknown.err) == (4, True)
    known = cli("source", "check", served.url, "--keyring", str(sample_upstream.keyring))
    assert known.status == 0, known.err
    assert f"signed by {sample_upstream.fingerprint} (Sample upstream)" in known.out
    assert "noble" in known.out
    unsigned = cli("source", "check", served.url, "--trust", "none", "--json").json()
    assert (unsigned["fingerprint"], unsigned["products"]) == ("", 14)
    assert cli("source", "list", "--json").json() == []


def test_check_of_a_source_tries_each_of_its_addresses(added, served):
    added("source", "set", "main", "--fallback-url", NOBODY)
    ran = added("source", "check", "main")
    assert ran.status == 0, ran.err
    assert f"{served.url}/  good, of " in ran.out
    assert f"{NOBODY}  " in ran.out
    assert "[MIR-401]" in ran.out
    assert added("source", "check", "nobody").status == 1


def test_defaults_are_listed_and_added(cli, sample_upstream):
    listed = cli("source", "defaults", "--json").json()
    assert [each["name"] for each in listed] == ["maas-candidate", "maas-stable"]
    assert "ubuntu-cloudimage-keyring.gpg" in cli("source", "defaults").out
    keyring = str(sample_upstream.keyring)
    added = cli("source", "add", "--default", "maas-stable", "--keyring", keyring, "--json")
    assert added.status == 0, added.err
    source = added.json()
    assert (source["name"], source["url"]) == ("maas-stable", listed[1]["url"])
    renamed = cli("source", "add", "mine", "--default", "maas-stable", "--keyring", keyring)
    assert "added mine" in renamed.err
    assert cli("source", "add", "--default", "nobody").status == 1
    assert cli("source", "add").status == 2


@pytest.mark.parametrize("option", ["--proxy", "--fallback-url"])
def test_a_url_with_a_password_is_refused_and_not_repeated(cli, sample_upstream, option):
    ran = cli(
        *("source", "add", "x", "http://a.example", option, "http://me:s3cret@b.example"),
        *("--keyring", str(sample_upstream.keyring)),
    )
    assert (ran.status, "[MIR-121]" in ran.err) == (2, True)
    assert "s3cret" not in ran.out + ran.err
