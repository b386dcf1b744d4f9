"""The commands that plugins add: found by loading the plugins, imported when they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mirror.api import Command, PluginContext
from mirror.cli.lazy import load
from mirror.errors import CommandBroken, MirrorError

if TYPE_CHECKING:
    from mirror.cli.context import Globals


class Brought(msgspec.Struct, frozen=True):
    """A command, and the plugin that brought it."""

    plugin: str
    command: Command
    context: PluginContext


class Found(msgspec.Struct, frozen=True):
    """The commands of the plugins that were loaded, by name; the names of those that were not."""

    commands: dict[str, Brought]
    failed: tuple[str, ...]


def find(options: Globals) -> Found:
    """Load the plugins. Raises `SettingsInvalid`, and `PluginBroken` where settings are strict."""
    from mirror.plugin_manager import load_configured

    plugins = load_configured(options.settings().plugins)
    return Found(
        {
            command.name: Brought(name, command, plugins.contexts[name])
            for name, commands in plugins.commands.items()
            for command in commands
        },
        tuple(record.name for record in plugins.records if record.status == "failed"),
    )


def import_command(brought: Brought) -> Any:  # noqa: ANN401  (Typer keeps the type of a command private)
    """Import a command, with its plugin's context for `ctx.obj`. Raises `CommandBroken`."""
    try:
        command = load(brought.command.name, brought.command.app)
    except (Exception, SystemExit) as error:
        raise broken(brought, "can't be imported", error) from error
    command.context_settings = {**command.context_settings, "obj": brought.context}
    return command


def broken(brought: Brought, how: str, error: BaseException) -> MirrorError:
    """Return the error that names the plugin; what it raised to be shown stays as it is."""
    if isinstance(error, MirrorError):
        return error
    what = f"plugin {brought.plugin!r}: its command {brought.command.name!r} {how}"
    return CommandBroken(f"{what}: {type(error).__name__}: {error}")
