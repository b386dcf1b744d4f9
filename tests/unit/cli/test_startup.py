"""The command line starts fast: what is heavy is imported by the command that needs it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.cli.app import Root
from mirror.cli.lazy import load

_RUN = """
import json, sys
sys.argv = ["mirror", *sys.argv[1:]]
from mirror.cli import main
try:
    main()
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""

HEAVY = frozenset(
    {
        "aiohttp",
        "argon2",
        "asyncio",
        "gnupg",
        "isal",
        "jinja2",
        "pluggy",
        "prometheus_client",
        "pydantic_settings",
        "pyfastcdc",
        "rich",
        "sqlite_utils",
        "ssl",
        "stamina",
        "tomli_w",
        "yarl",
        "zstandard",
    }
)
"""What no listing needs."""

BESIDES = frozenset({"msgspec", "pydantic", "sqlite3"})
"""What help does not need either."""


def modules_of(*arguments: str) -> set[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MIRROR_")}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=plain,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_imports_no_noun_and_nothing_heavy():
    modules = modules_of("--help")
    assert not modules & (HEAVY | BESIDES)
    ours = {name for name in modules if name.startswith("mirror.cli.")}
    assert ours == {"mirror.cli.app", "mirror.cli.context", "mirror.cli.lazy", "mirror.cli.output"}


@pytest.mark.parametrize(
    "command", [("source", "list"), ("select", "list"), ("schedule", "show")], ids=" ".join
)
def test_a_listing_imports_nothing_heavy(mut, command):
    mut.mirror.sources.list()  # so that there is a catalogue, with its tables
    modules = modules_of("--data-dir", str(mut.root), *command)
    assert not modules & HEAVY
    assert "mirror.server" not in modules


@pytest.mark.parametrize("arguments", [["--help"], ["source", "list"]], ids=" ".join)
def test_it_takes_little_cpu(mut, arguments):
    """Generous: the machine may be busy. `python -m benchmarks startup` measures it."""
    mut.mirror.sources.list()
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "mirror.cli", "--data-dir", str(mut.root), *arguments],
            capture_output=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.6


# --- late, and yet as if it were there ------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(Root.lazy))
def test_the_line_in_the_list_is_the_first_of_the_help(name):
    where, line = Root.lazy[name]
    command = load(name, where)
    assert command.name == name
    first = " ".join((command.help or "").split("\n\n")[0].split())
    assert line == first


def test_the_list_names_every_command_and_says_what_it_is():
    shown = " ".join(run("--help").stdout.split())
    for name, (_, line) in Root.lazy.items():
        assert f" {name} {line}" in shown


def test_help_of_a_noun_names_it_as_it_is_called():
    assert "Usage: mirror source [OPTIONS] COMMAND" in run("source", "--help").stdout
    assert "Usage: mirror source add [OPTIONS]" in run("source", "add", "--help").stdout


def test_a_command_that_there_is_not_brings_a_suggestion():
    done = run("soruce", "list")
    assert done.returncode == 2
    assert "'source'" in done.stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("mirror so", {"source"}),
        ("mirror s", {"source", "select", "sync", "serve", "schedule", "snapshot"}),
        ("mirror source re", {"remove"}),
        ("mirror sync --dry", {"--dry-run"}),
    ],
)
def test_the_shell_completes_what_is_typed(typed, offered):
    words = typed.split(" ")
    done = run(
        _MIRROR_COMPLETE="complete_bash",
        COMP_WORDS=typed,
        COMP_CWORD=str(len(words) - 1),
    )
    assert offered <= set(done.stdout.split())


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as it is installed: completion goes by its name."""
    mirror = Path(sys.executable).with_name("mirror")
    return subprocess.run(
        [str(mirror), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200", **environment},
    )
