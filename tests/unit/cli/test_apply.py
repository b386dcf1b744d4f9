"""`mirror apply` and `mirror export`, as programs."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest
from harness import Cli, Ran

FILE = """
[[selections]]
release = "noble"

[sources.main]
url = "http://images.example/"
trust = "none"
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "wishes.toml"
    path.write_text(FILE)
    return str(path)


def fed(cli: Cli, text: str, *arguments: str) -> Ran:
    """Run a command with this on its standard input, which is no terminal."""
    done = subprocess.run(
        cli.command(*arguments),
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env=cli.environment,
        timeout=60,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_a_dry_run_says_what_is_pending_and_changes_nothing(cli, file):
    shown = cli("apply", file, "--dry-run")
    assert shown.status == 3
    assert "+ source main\n    url: http://images.example/\n    trust: none\n" in shown.out
    assert "+ selection\n    release: noble\n" in shown.out
    assert cli("source", "list", "--json").json() == []


def test_twice_and_the_second_changes_nothing(cli, file):
    first = cli("apply", file, "--yes")
    assert (first.status, "made 2 changes" in first.out) == (0, True)
    second = cli("apply", file, "--yes")
    assert (second.status, second.out) == (0, "nothing to change\n")
    assert cli("apply", file, "--dry-run").status == 0


def test_a_change_is_shown_with_what_it_was(cli, file, tmp_path):
    cli("apply", file, "--yes")
    (tmp_path / "wishes.toml").write_text(FILE + "priority = 5\nenabled = false\n")
    shown = cli("apply", file, "--dry-run").out
    assert shown == "~ source main\n    priority: 0 -> 5\n    enabled: yes -> no\n"


def test_what_would_go_is_shown_plainly(cli, file):
    cli("apply", file, "--yes")
    shown = fed(cli, "sources = {}\nselections = []\n", "apply", "-", "--dry-run")
    assert "- source main" in shown.out
    assert "- selection 1\n    release: noble\n" in shown.out


def test_without_a_terminal_it_wants_to_be_told(cli, file):
    refused = fed(cli, "", "apply", file)
    assert refused.status == 2
    assert "MIR-142" in refused.err
    assert "--yes" in refused.err
    assert "+ source main" in refused.out, "what it would do is shown all the same"
    assert cli("source", "list", "--json").json() == []


@pytest.mark.parametrize(("answer", "made"), [("y", 1), ("n", 0)])
def test_on_a_terminal_it_asks(cli, file, answer, made):
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(
        cli.command("apply", file),
        stdin=theirs,
        capture_output=True,
        text=True,
        check=False,
        env=cli.environment,
        timeout=60,
    )
    os.close(theirs)
    os.close(ours)
    assert "make these 2 changes?" in done.stderr
    assert len(cli("source", "list", "--json").json()) == made


def test_an_export_applied_changes_nothing_also_through_a_pipe(cli, file, tmp_path):
    cli("apply", file, "--yes")
    text = cli("export").out
    assert fed(cli, text, "apply", "-", "--dry-run").out == "nothing to change\n"
    written = tmp_path / "written.toml"
    assert cli("export", str(written)).status == 0
    assert written.read_text() == text


def test_the_change_as_data(cli, file):
    plan = cli("apply", file, "--dry-run", "--json").json()
    assert plan["applied"] is False
    assert plan["changes"][0] == {
        "action": "add",
        "kind": "source",
        "name": "main",
        "fields": [
            {"field": "url", "before": None, "after": "http://images.example/"},
            {"field": "trust", "before": None, "after": "none"},
        ],
    }
    assert cli("apply", file, "--yes", "--json").json()["applied"] is True
    assert cli("apply", file, "--yes", "--json").json() == {
        "applied": False,
        "changes": [],
        "waiting": [],
    }
    exported = cli("export", "--json").json()
    assert exported["sources"][0]["name"] == "main"


def test_a_wrong_key_is_named_with_its_line(cli, file, tmp_path):
    (tmp_path / "wishes.toml").write_text(FILE + "prioritty = 5\n")
    wrong = cli("apply", file, "--yes")
    assert wrong.status == 2
    assert f"{file}, line 8: sources.main.prioritty" in wrong.err
    assert "did you mean 'priority'?" in wrong.err
    assert "MIR-140" in wrong.err


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_can_not_be_read(cli, tmp_path, content):
    path = tmp_path / "bad.toml"
    if content:
        path.write_bytes(content)
    wrong = cli("apply", str(path))
    assert (wrong.status, "MIR-140" in wrong.err) == (2, True)


def test_a_channel_that_has_to_wait_is_said(cli):
    done = fed(cli, FILE + "[channels.stable]\n[channels.site-a]\n", "apply", "-", "--yes")
    assert done.status == 3
    assert "later: channel site-a" in done.out
    assert "made 2 changes" in done.out
