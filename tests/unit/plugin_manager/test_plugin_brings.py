"""Commands and routes: what there can be, and what is refused."""

from __future__ import annotations

import sys

import pytest
from plugin_packages import error_of, record

from mirror.cli.app import Root
from mirror.plugin_manager import load_plugins
from mirror.plugin_manager.brought import CORE_COMMANDS

COMMANDS = """
    from mirror.api import Command, hookimpl

    @hookimpl
    def mirror_commands():
        return [{commands}]
"""

ROUTES = """
    import msgspec
    from mirror.api import Route, hookimpl

    class Host(msgspec.Struct):
        name: str

    def show(call): return None

    @hookimpl
    def mirror_routes():
        return [{routes}]
"""


def test_commands_and_routes_are_with_their_plugin(install):
    command = "Command('rocky', 'plug_rocky_app:app', 'Rocky things.')"
    install("rocky", COMMANDS.format(commands=command))
    route = "Route(method='GET', path='/hosts/{name}', handler=show, summary='Show.', where=Host)"
    install("hosts", ROUTES.format(routes=route))
    plugins = load_plugins(strict=True)
    assert {name: [c.name for c in found] for name, found in plugins.commands.items()} == {
        "rocky": ["rocky"]
    }
    assert [each.path for each in plugins.routes["hosts"]] == ["/hosts/{name}"]
    assert record(plugins, "rocky").commands == ("rocky",)
    assert record(plugins, "hosts").routes == ("GET /hosts/{name}",)
    assert "plug_rocky_app" not in sys.modules


def test_the_mirrors_own_commands_are_known():
    assert set(Root.lazy) == CORE_COMMANDS


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ("Command('sync', 'a:b', 'Sync.')", "the command 'sync', which the mirror has itself"),
        ("Command('Sync', 'a:b', 'x')", "the command 'Sync' is not lower-case"),
        ("Command('-x', 'a:b', 'x')", "the command '-x' is not lower-case"),
        ("Command(3, 'a:b', 'x')", "the command 3 is not lower-case"),
        ("Command('x', 'a.b', 'x')", "the app 'a.b' of command 'x' is not 'package.module:app'"),
        ("Command('x', 'a:b', '')", "the help of command 'x' is not a line of text"),
        ("Command('x', 'a:b', 'a\\nb')", "the help of command 'x' is not a line of text"),
        ("Command('x', 'a:b', 'x'), Command('x', 'a:b', 'x')", "it brings command 'x' twice"),
    ],
)
def test_a_command_that_cannot_be(install, commands, said):
    install("broken", COMMANDS.format(commands=commands))
    assert said in error_of("broken")


def test_two_plugins_with_one_command(install):
    install("one", COMMANDS.format(commands="Command('hosts', 'a:b', 'x')"))
    install("two", COMMANDS.format(commands="Command('hosts', 'a:b', 'x')"))
    assert error_of("two") == "it brings command 'hosts', which plugin 'one' brings already"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("path='hosts'", "the path is not '/' and plain names"),
        ("path='/'", "the path is not '/' and plain names"),
        ("path='/../tokens'", "the path is not '/' and plain names"),
        ("path='/a//b'", "the path is not '/' and plain names"),
        ("path='/a/'", "the path is not '/' and plain names"),
        ("path='/a?b'", "the path is not '/' and plain names"),
        ("path='/{name:.*}'", "the path is not '/' and plain names"),
        ("path='/{name}'", "the path has ['name'], `where` has none"),
        ("path='/hosts', where=Host", "the path has no parameters, `where` has ['name']"),
        ("path='/a', method='TRACE'", "the method is none of"),
        ("path='/a', right='admin'", "the right 'admin' is not 'read' or 'operate'"),
        ("path='/a', handler=None", "its handler can't be called"),
        ("path='/a', summary=' '", "it has no summary"),
        ("path='/a', body=dict", "its body is not a subclass of msgspec.Struct"),
        ("path='/a', returns=object", "its returns has no schema"),
    ],
)
def test_a_route_that_cannot_be(install, more, said):
    usual = "**{'method': 'GET', 'handler': show, 'summary': 'Show.', **dict(" + more + ")}"
    install("broken", ROUTES.format(routes=f"Route({usual})"))
    assert said in error_of("broken")


def test_one_path_twice(install):
    usual = "method='GET', handler=show, summary='Show.'"
    twice = (
        f"Route(path='/hosts/{{name}}', where=Host, {usual}),"
        f"Route(path='/hosts/{{id}}', where=msgspec.defstruct('H', [('id', str)]), {usual})"
    )
    install("broken", ROUTES.format(routes=twice))
    assert error_of("broken") == ("its routes GET /hosts/{name} and GET /hosts/{id} are one path")
