from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from datetime import datetime, timedelta

import pytest

from mirror.access.tokens import parse
from mirror.model import utcnow


def test_a_token_is_shown_once_and_listed_without_its_secret(cli):
    made = cli("token", "create", "MAAS, site A", "--role", "reader", "--channel", "stable")
    assert made.status == 0
    secret = made.out.strip()
    token_id = parse(secret).id
    assert token_id in made.err
    for arguments in (("token", "list"), ("token", "list", "--json"), ("audit", "list", "--json")):
        shown = cli(*arguments)
        assert token_id in shown.out
        assert parse(secret).secret not in shown.out + shown.err
        assert "argon2" not in shown.out


def test_a_token_as_json(cli):
    made = cli("token", "create", "x", "--role", "admin", "--expires", "12h", "--json").json()
    assert parse(made["secret"]).id == made["token"]["id"]
    assert made["token"]["role"] == "admin"
    left = datetime.fromisoformat(made["token"]["expires"]) - utcnow()
    assert timedelta(hours=11, minutes=58) < left <= timedelta(hours=12)


def test_a_token_is_good_for_90_days_unless_it_is_said_otherwise(cli):
    usual = cli("token", "create", "x", "--role", "reader", "--json").json()["token"]
    left = datetime.fromisoformat(usual["expires"]) - utcnow()
    assert timedelta(days=89) < left <= timedelta(days=90)
    never = cli("token", "create", "x", "--role", "reader", "--expires", "never", "--json").json()
    assert never["token"]["expires"] is None


def test_revoking(cli):
    token_id = cli("token", "create", "x", "--role", "rack", "--json").json()["token"]["id"]
    assert cli("token", "revoke", token_id).status == 0
    assert cli("token", "revoke", token_id, "--json").json()["revoked"]
    assert "revoked" in cli("token", "list").out
    refused = cli("token", "revoke", "nothing")
    assert refused.status == 1
    assert "MIR-106" in refused.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("x",),
        ("x", "--role", "root"),
        ("x", "--role", "reader", "--expires", "5y"),
        ("x", "--role", "reader", "--expires", "0"),
        ("x", "--role", "reader", "--expires", "-1d"),
        ("x", "--role", "reader", "--expires", "9999999999d"),
        ("x", "--role", "reader", "--expires", ""),
        ("x", "--role", "reader", "--channel", "../x"),
        ("x\ny", "--role", "reader"),
    ],
)
def test_what_can_not_be_made_is_refused_as_wrong_usage(cli, arguments):
    refused = cli("token", "create", *arguments)
    assert refused.status == 2, refused
    assert refused.out == ""
    assert cli("token", "list", "--json").json() == []


def test_the_audit_log_says_who_what_before_and_after(cli):
    token_id = cli("token", "create", "x", "--role", "rack", "--json").json()["token"]["id"]
    cli("token", "revoke", token_id)
    [revoked] = cli("audit", "list", "--limit", "1", "--json").json()
    assert "@" in revoked["actor"]
    assert (revoked["action"], revoked["subject"]) == ("token.revoke", token_id)
    assert revoked["before"]["revoked"] is None
    assert revoked["after"]["revoked"]
    older = cli("audit", "list", "--before", str(revoked["id"]), "--json").json()
    assert [each["action"] for each in older] == ["token.create"]
    text = cli("audit", "list").out
    assert f"token.revoke {token_id}" in text
    assert json.dumps(revoked["after"], separators=(",", ":")) in text


def on_a_terminal(cli, *arguments, until, seconds=60):
    """Run a command on a terminal until it has said something; return all that it said."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        cli.command(*arguments),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=cli.environment,
        start_new_session=True,
    )
    os.close(terminal)
    said = ""
    deadline = time.monotonic() + seconds
    try:
        while not re.search(until, said) and time.monotonic() < deadline:
            if select.select([controller], [], [], 0.2)[0]:
                said += os.read(controller, 4096).decode()
        # what would follow at once
        while select.select([controller], [], [], 1.0)[0]:
            said += os.read(controller, 4096).decode()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        os.close(controller)
    return said


def test_the_first_start_on_a_terminal_says_how_to_log_in_and_makes_no_token(cli):
    serve = ("serve", "--host", "127.0.0.1", "--port", "0", "--workers", "1")
    said = on_a_terminal(cli, *serve, until="serving")
    command = re.search(r"mirror --data-dir (\S+) token create NAME --role admin", said)
    assert command
    assert command[1] == str(cli.data_dir)
    assert cli("token", "list", "--json").json() == []

    cli("token", "create", "me", "--role", "admin")
    assert "token create" not in on_a_terminal(cli, *serve, until="serving")


def test_a_server_without_a_terminal_says_nothing_of_tokens(cli):
    server = cli.start("serve", "--host", "127.0.0.1", "--port", "0", "--workers", "1")
    try:
        assert "serving" in server.stdout.readline()
    finally:
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=30)
    assert "token create" not in errors


def test_settings_reach_the_server(cli, free_port):
    (cli.data_dir / "mirror.toml").write_text(
        f'[server]\nreading = "token"\nadmin_port = {free_port}\ntls_certificate = "/nowhere.pem"\n'
    )
    refused = cli("serve", "--host", "127.0.0.1", "--port", "0")
    assert refused.status == 1
    assert "MIR-703" in refused.err
    assert "/nowhere.pem" in refused.err
    (cli.data_dir / "mirror.toml").write_text('[server]\ntls_key = "/x"\n')
    refused = cli("serve")
    assert refused.status == 2
    assert "tls_certificate" in refused.err


def test_licences(cli):
    made = cli("token", "create", "x", "--role", "reader", "--licence", "proprietary", "--json")
    assert made.json()["token"]["licences"] == ["proprietary"]
    both = ("--licence", "subscription", "--licence", "proprietary")
    said = cli("token", "create", "y", "--role", "admin", *both).err
    assert "proprietary and subscription images" in said
    cli("token", "create", "z", "--role", "admin")
    rows = [line.split() for line in cli("token", "list").out.splitlines()]
    # of one second, they come in any order
    assert {row[2]: row[4] for row in rows}.keys() >= {"ROLE", "reader", "admin"}
    assert {row[1]: row[4] for row in rows} == {
        "NAME": "LICENCES",
        "x": "proprietary",
        "y": "proprietary,subscription",
        "z": "none",
    }
    for word in ("free", "all", ""):
        refused = cli("token", "create", "x", "--role", "reader", "--licence", word)
        assert refused.status == 2
        assert "proprietary, subscription" in refused.err
