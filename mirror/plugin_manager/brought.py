"""What a plugin brings: its distributions, commands and routes, each looked at before it counts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirror.api import Command, Distribution, PluginContext, Route
from mirror.errors import PluginBroken
from mirror.plugin_manager.hooks import call_for
from mirror.plugin_manager.routes import check_routes

if TYPE_CHECKING:
    import pluggy

CORE_COMMANDS = frozenset(
    {
        "apply",
        "audit",
        "catalog",
        "channel",
        "demo",
        "doctor",
        "export",
        "gc",
        "image",
        "init",
        "job",
        "key",
        "plugin",
        "schedule",
        "select",
        "serve",
        "snapshot",
        "source",
        "storage",
        "sync",
        "token",
        "verify",
    }
)
"""The mirror's own commands, which no plugin may take over (the command line is far above this)."""

STREAMS = frozenset({"maas"})

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_APP = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_BLOCK = 'Block one of the two in mirror.toml: [plugins] block = ["NAME"].'


@dataclass(frozen=True)
class Brought:
    """What one plugin brings."""

    distributions: tuple[Distribution, ...] = ()
    commands: tuple[Command, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass
class Taken:
    """What is taken already, and by which plugin: ids of distributions, names of commands."""

    distributions: dict[str, str] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)

    def add(self, plugin: str, brought: Brought) -> None:
        """Enter what a plugin brought."""
        self.distributions.update((each.id, plugin) for each in brought.distributions)
        self.commands.update((each.name, plugin) for each in brought.commands)


def bring(manager: pluggy.PluginManager, context: PluginContext, taken: Taken) -> Brought:
    """Ask a registered plugin for all that it brings. Raises `PluginBroken`."""
    kind: type[Distribution] = Distribution  # type: ignore[type-abstract]
    distributions = call_for(manager, "mirror_distributions", kind, context=context)
    seen = dict(taken.distributions)
    for distribution in distributions:
        _check_distribution(distribution, seen)
        seen[distribution.id] = ""
    commands = call_for(manager, "mirror_commands", Command, context=context)
    seen = dict(taken.commands)
    for command in commands:
        _check_command(command, seen)
        seen[command.name] = ""
    routes = call_for(manager, "mirror_routes", Route, context=context)
    check_routes(routes)
    return Brought(tuple(distributions), tuple(commands), tuple(routes))


def _check_distribution(distribution: Distribution, taken: dict[str, str]) -> None:
    name = getattr(distribution, "id", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        what = f"the id {name!r} of {type(distribution).__name__} is not lower-case letters, digits"
        raise PluginBroken(f"{what} and dashes")
    if name in taken:
        _refuse(f"distribution {name!r}", taken[name])
    if distribution.stream not in STREAMS:
        known = ", ".join(sorted(STREAMS))
        what = f"distribution {name!r} has the unknown stream {distribution.stream!r}"
        raise PluginBroken(f"{what}; known: {known}")


def _check_command(command: Command, taken: dict[str, str]) -> None:
    name, app, text = command.name, command.app, command.help
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginBroken(f"the command {name!r} is not lower-case letters, digits and dashes")
    if name in CORE_COMMANDS:
        what = f"it brings the command {name!r}, which the mirror has itself"
        raise PluginBroken(
            what, remedy="Block the plugin until its author has renamed the command."
        )
    if name in taken:
        _refuse(f"command {name!r}", taken[name])
    if not isinstance(app, str) or not _APP.fullmatch(app):
        raise PluginBroken(f"the app {app!r} of command {name!r} is not 'package.module:app'")
    if not isinstance(text, str) or not text.isprintable() or not text.strip():
        raise PluginBroken(f"the help of command {name!r} is not a line of text")


def _refuse(what: str, owner: str) -> None:
    if not owner:
        raise PluginBroken(f"it brings {what} twice")
    raise PluginBroken(f"it brings {what}, which plugin {owner!r} brings already", remedy=_BLOCK)
