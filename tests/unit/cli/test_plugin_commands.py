"""`mirror plugin`, and the commands that plugins add, with plugins as a user installs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from plugin_packages import ROCKY, write_package

from mirror.cli.app import Root
from mirror.implementing import anyone_implements

HOSTS = """
    import msgspec
    from mirror.api import Command, Distribution, Route, hookimpl

    class Settings(msgspec.Struct):
        domain: str = "example.com"
        api_token: str = ""
        limit: int = 5

    class Host(msgspec.Struct):
        name: str

    @hookimpl
    def mirror_settings():
        return Settings

    @hookimpl
    def mirror_commands():
        return [
            Command("hosts", "plug_hosts_app:app", "Hosts that boot from here."),
            Command("ping", "plug_hosts_app:ping", "Say who is asked."),
            Command("lost", "plug_hosts_lost:app", "A command whose module is broken."),
            Command("odd", "plug_hosts_app:odd", "A command that is none."),
        ]

    @hookimpl
    def mirror_routes():
        return [
            Route(
                method="GET", path="/hosts/{name}", where=Host, summary="Show a host.",
                handler=lambda call: None,
            )
        ]
"""

APP = """
    import sys
    import typer
    from mirror.api import CommandFailed

    app = typer.Typer(help="Hosts that boot from here.", no_args_is_help=True)
    odd = 3

    @app.command("list")
    def list_(ctx: typer.Context, count: int = 1):
        print(ctx.obj.name, ctx.obj.settings.domain, count)

    @app.command()
    def fail():
        raise CommandFailed("host 'a' is not there", remedy="Add it.")

    @app.command()
    def crash():
        raise RuntimeError("oops")

    @app.command()
    def leave():
        sys.exit(7)

    @app.command()
    def stop():
        raise typer.Exit(3)

    def ping(ctx: typer.Context):
        print("ping", ctx.obj.settings.limit)
"""


@pytest.fixture
def packages(tmp_path):
    """Where plugins are installed for `mirror`."""
    root = tmp_path / "packages"
    root.mkdir()
    return root


@pytest.fixture
def mirror(cli, packages):
    """Run `mirror` where those plugins are installed."""

    def run(*arguments: str, **environment: str):
        return cli(*arguments, PYTHONPATH=str(packages), COLUMNS="120", **environment)

    return run


@pytest.fixture
def hosts(packages):
    write_package(
        packages, "hosts", HOSTS, plug_hosts_app=APP, plug_hosts_lost="import no_such_module"
    )


# --- commands of plugins --------------------------------------------------------------------------


def test_help_lists_them_after_the_mirrors_own(mirror, hosts):
    lines = mirror("--help").out.splitlines()
    rows = lines[lines.index("Commands:") + 1 :]
    names = [row.split()[0] for row in rows if row[:2] == "  " and row[2:3].isalpha()]
    assert names == [*Root.lazy, "hosts", "ping", "lost", "odd"]
    assert "  hosts     Hosts that boot from here." in lines


def test_one_is_run_with_its_settings(mirror, hosts):
    done = mirror("hosts", "list", "--count", "3", MIRROR_PLUGINS__HOSTS__DOMAIN="a.example")
    assert (done.status, done.out) == (0, "hosts a.example 3\n")
    done = mirror("ping", MIRROR_PLUGINS__HOSTS__LIMIT="8")
    assert (done.status, done.out) == (0, "ping 8\n")


def test_its_settings_are_those_of_the_options_before_it(mirror, cli, hosts, tmp_path):
    (cli.data_dir / "mirror.toml").write_text("[plugins.hosts]\ndomain = 'c.example'\n")
    assert mirror("hosts", "list").out == "hosts c.example 1\n"
    file = tmp_path / "other.toml"
    file.write_text("[plugins.hosts]\ndomain = 'b.example'\n")
    done = mirror("--config", str(file), "hosts", "list")
    assert (done.status, done.out) == (0, "hosts b.example 1\n")


def test_it_has_help_and_is_told_of_wrong_usage(mirror, hosts):
    assert "mirror.cli hosts [OPTIONS] COMMAND" in mirror("hosts", "--help").out
    wrong = mirror("hosts", "list", "--count", "x")
    assert wrong.status == 2
    assert "Invalid value for '--count'" in wrong.err


def test_what_it_says_with_command_failed_is_shown_as_it_is(mirror, hosts):
    done = mirror("hosts", "fail")
    assert done.status == 1
    assert done.err == "mirror: host 'a' is not there [MIR-604]\n  Add it.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hosts", "crash"), "its command 'hosts' failed: RuntimeError: oops [MIR-610]"),
        (("lost",), "its command 'lost' can't be imported: ModuleNotFoundError: No module named"),
        (("lost", "--help"), "its command 'lost' can't be imported: ModuleNotFoundError"),
        (("odd",), "its command 'odd' can't be imported: TypeError: 3 is not a callable"),
    ],
    ids=" ".join,
)
def test_what_fails_names_the_plugin(mirror, hosts, arguments, said):
    done = mirror(*arguments)
    assert done.status == 1
    assert f"plugin 'hosts': {said}" in done.err
    assert "Report it to the plugin's author" in done.err


@pytest.mark.parametrize(("name", "status"), [("leave", 7), ("stop", 3)])
def test_it_ends_with_the_status_that_it_wants(mirror, hosts, name, status):
    done = mirror("hosts", name)
    assert (done.status, done.out, done.err) == (status, "", "")


def test_a_blocked_plugin_adds_no_command(mirror, hosts):
    blocked = {"MIRROR_PLUGINS__BLOCK": '["hosts"]'}
    assert "Hosts that boot" not in mirror("--help", **blocked).out
    done = mirror("hosts", "list", **blocked)
    assert done.status == 2
    assert "No such command 'hosts'" in done.err


def test_a_command_whose_plugin_failed_says_where_to_look(mirror, packages):
    write_package(packages, "hosts", HOSTS + "\n    1 / 0\n")
    done = mirror("hosts", "list")
    assert done.status == 2
    assert "Not loaded: hosts; see `mirror plugin list`" in done.err
    assert mirror("--help").status == 0


def test_settings_that_cannot_be_read_do_not_keep_help_from_being_shown(mirror, hosts):
    done = mirror("--help", MIRROR_PLUGINS__STRICT="perhaps")
    assert done.status == 0
    assert " sync " in done.out
    assert "plugins.strict" in mirror("hosts", "list", MIRROR_PLUGINS__STRICT="perhaps").err


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("mirror ho", {"hosts"}), ("mirror hosts l", {"list", "leave"}), ("mirror lost ", set())],
)
def test_the_shell_completes_them(packages, hosts, typed, offered):
    completing = {
        "_MIRROR_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("mirror"))],  # completion goes by the name
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **completing, "PYTHONPATH": str(packages)},
    )
    assert set(done.stdout.split()) == offered
    assert done.stderr == ""


def test_the_mirrors_own_commands_load_no_plugin(mirror, packages, tmp_path):
    mark = tmp_path / "imported"
    write_package(packages, "hosts", f"open({str(mark)!r}, 'w').close()\n# mirror_commands\n")
    assert mirror("source", "list").status == 0
    assert mirror("channel", "--help").status == 0
    assert not mark.exists()
    assert mirror("nonsense").status == 2
    assert mark.exists()


def test_who_may_add_commands_is_known_without_an_import(packages, monkeypatch, tmp_path):
    assert not anyone_implements("mirror_commands")  # the bundled plugins have none
    monkeypatch.syspath_prepend(str(packages))
    write_package(packages, "rocky", ROCKY)
    assert not anyone_implements("mirror_commands")
    assert anyone_implements("mirror_distributions")
    write_package(packages, "star", "from plug_star_hooks import *")
    assert anyone_implements("mirror_commands")
    assert not {"plug_rocky", "plug_star"} & set(sys.modules)


# --- mirror plugin --------------------------------------------------------------------------------


def test_the_list(mirror, packages, hosts):
    write_package(packages, "broken", "import no_such_module")
    write_package(packages, "rocky", ROCKY)
    done = mirror(
        "plugin", "list", MIRROR_PLUGINS__BLOCK='["rocky"]', MIRROR_PLUGINS__PREFER='["x"]'
    )
    assert done.status == 0
    rows = {line.split()[0]: line.split()[1:3] for line in done.out.splitlines() if line[:1] != " "}
    assert rows["hosts"] == ["loaded", "plug-hosts"]
    assert rows["rocky"] == ["blocked", "plug-rocky"]
    assert rows["ubuntu"] == ["loaded", "maas-image-mirror-ubuntu"]
    said = r"^broken: ModuleNotFoundError: No module named '\w+' \(\S*plug_broken\.py:1\)"
    assert re.search(rf"{said}\n  Reinstall", done.out, re.MULTILINE)
    assert "x: warning: it is not installed, and [plugins] prefer of the settings" in done.out
    listed = mirror("plugin", "list", "--json").json()
    assert {each["name"]: each["status"] for each in listed}["broken"] == "failed"
    assert next(each for each in listed if each["name"] == "hosts")["commands"] == [
        "hosts",
        "ping",
        "lost",
        "odd",
    ]


@pytest.mark.parametrize("how", ["option", "environment"])
def test_strict_fails_and_names_every_plugin_that_did(mirror, packages, how):
    write_package(packages, "broken", "import no_such_module")
    write_package(packages, "also", "1 +")
    given = ("--strict-plugins",) if how == "option" else ()
    environment = {} if given else {"MIRROR_PLUGINS__STRICT": "true"}
    done = mirror(*given, "plugin", "list", "--json", **environment)
    assert done.status == 1
    assert {each["name"] for each in done.json()} >= {"broken", "also", "ubuntu"}
    assert "plugin 'broken': ModuleNotFoundError" in done.err
    assert "plugin 'also': SyntaxError" in done.err


@pytest.mark.parametrize(
    "command", [("source", "defaults"), ("serve", "--port", "0"), ("hosts", "list")], ids=" ".join
)
def test_strict_stops_every_command_that_loads_plugins(mirror, packages, hosts, command):
    write_package(packages, "broken", "import no_such_module")
    done = mirror("--strict-plugins", *command)
    assert done.status == 1
    assert "plugin 'broken': ModuleNotFoundError" in done.err
    assert "[MIR-601]" in done.err


def test_one_that_is_shown(mirror, hosts):
    set_ = {"MIRROR_PLUGINS__HOSTS__LIMIT": "8", "MIRROR_PLUGINS__HOSTS__API_TOKEN": "s3cret"}
    shown = mirror("plugin", "show", "hosts", "--json", **set_).json()
    assert shown["status"] == "loaded"
    assert shown["api"] == "1.0"
    assert shown["hooks"] == ["mirror_commands", "mirror_routes", "mirror_settings"]
    assert shown["commands"][0] == {"name": "hosts", "help": "Hosts that boot from here."}
    assert shown["routes"] == [
        {
            "method": "GET",
            "path": "/api/v1/plugins/hosts/hosts/{name}",
            "right": "read",
            "summary": "Show a host.",
        }
    ]
    assert shown["settings"] == [
        {"key": "domain", "value": "example.com", "default": "example.com"},
        {"key": "api_token", "value": "(set)", "default": ""},
        {"key": "limit", "value": 8, "default": 5},
    ]
    plain = mirror("plugin", "show", "hosts", **set_).out
    assert "setting        limit = 8 (default: 5)" in plain
    assert "command        mirror hosts: Hosts that boot from here." in plain
    assert "s3cret" not in plain


def test_one_that_failed_is_shown_with_its_remedy(mirror, hosts):
    done = mirror("plugin", "show", "hosts", MIRROR_PLUGINS__HOSTS__LIMITS="8")
    assert done.status == 0
    assert "error          settings [plugins.hosts] limits: unknown key; did you mean 'limit'?" in (
        done.out
    )
    assert "Mend [plugins.hosts] in mirror.toml" in done.out


def test_one_that_there_is_not(mirror):
    done = mirror("plugin", "show", "nonsense")
    assert done.status == 1
    assert "there is no plugin 'nonsense'" in done.err
