"""The root command: where each noun and verb is. None is imported before it is called."""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from mirror.cli.context import Globals
from mirror.cli.lazy import LazyGroup
from mirror.cli.output import print_error, print_line
from mirror.errors import MirrorError
from mirror.implementing import anyone_implements
from mirror.logs import configure

if TYPE_CHECKING:
    from mirror.cli.plugin_commands import Brought

_log = logging.getLogger(__name__)


class Root(LazyGroup):
    """`mirror`: a line for each noun and verb, then those of plugins.

    Plugins are loaded for a command that the mirror does not have itself, and for the list where
    one of them may add to it.
    """

    lazy: ClassVar[dict[str, tuple[str, str]]] = {
        "init": (
            "mirror.cli.verbs:init",
            "Make the data directory and the key that signs what we publish.",
        ),
        "source": ("mirror.cli.source:app", "Boot sources: where images come from."),
        "select": ("mirror.cli.select:app", "Selections: what to take."),
        "sync": (
            "mirror.cli.verbs:sync",
            "Bring the channel up to date with the boot sources, as a job that `mirror job` shows.",
        ),
        "serve": (
            "mirror.cli.verbs:serve",
            "Serve the channels until SIGTERM or Ctrl-C, then let transfers end.",
        ),
        "image": ("mirror.cli.image:app", "Custom images: your own."),
        "schedule": ("mirror.cli.schedule:app", "The schedule: when `mirror serve` syncs."),
        "job": ("mirror.cli.job:app", "Jobs: syncs, past and present."),
        "snapshot": ("mirror.cli.snapshot:app", "Snapshots: what was published."),
        "channel": ("mirror.cli.channel:app", "Channels: what is published under which name."),
        "key": ("mirror.cli.key:app", "The mirror's own signing key."),
        "token": ("mirror.cli.token:app", "Tokens: who may do what."),
        "audit": ("mirror.cli.audit:app", "The audit log: who changed what."),
        "plugin": (
            "mirror.cli.plugin:app",
            "Plugins: the distributions that the mirror knows.",
        ),
        "apply": (
            "mirror.cli.apply:apply",
            "Bring sources, selections, channels and the schedule to what a file says.",
        ),
        "export": (
            "mirror.cli.apply:export",
            "Write what is now, as a file for `mirror apply`.",
        ),
        "catalog": (
            "mirror.cli.catalog:app",
            "The catalogue: look at it, back it up, rebuild it when it is lost.",
        ),
        "verify": (
            "mirror.cli.storage:verify",
            "Read every blob that a snapshot names, and compare it with its digest.",
        ),
        "gc": (
            "mirror.cli.storage:gc",
            "Drop the snapshots that retention lets go, and the files that no snapshot needs.",
        ),
        "storage": ("mirror.cli.storage:storage", "Say how full the store is."),
        "doctor": (
            "mirror.cli.doctor:doctor",
            "Look at everything, and say what a MAAS of each generation would see here.",
        ),
        "demo": (
            "mirror.cli.demo:demo",
            (
                "Build a signed sample upstream, mirror it, serve it, and check it with "
                "sstream-mirror."
            ),
        ),
    }

    def __init__(self, **more: Any) -> None:  # noqa: ANN401  (what Typer hands to its group)
        super().__init__(**more)
        self._brought: dict[str, Brought] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """Name the commands. What can't be loaded adds none: `mirror plugin list` says why."""
        with suppress(Exception):
            if anyone_implements("mirror_commands"):
                self._ask_plugins(ctx)
        return super().list_commands(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401
        """Find the command that the first argument names, and import it."""
        failed: tuple[str, ...] = ()
        if args[0] not in self.lazy:
            with _quiet_while_completing(ctx):
                failed = self._ask_plugins(ctx)
        try:
            name, command, rest = super().resolve_command(ctx, args)
        except TyperException as error:
            if failed:
                error.message += f" (Not loaded: {', '.join(failed)}; see `mirror plugin list`.)"
            raise
        if name in self._brought:
            from mirror.cli.plugin_commands import import_command

            with _quiet_while_completing(ctx):
                command = import_command(self._brought[name])
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Run the command; what a plugin's raises names the plugin."""
        try:
            return super().invoke(ctx)
        except (TyperException, typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            brought = self._brought.get(ctx.invoked_subcommand)
            if brought is None:
                raise
            from mirror.cli.plugin_commands import broken

            raise broken(brought, "failed", error) from error

    def _ask_plugins(self, ctx: Any) -> tuple[str, ...]:  # noqa: ANN401
        """Add the commands of the plugins; name those that were not loaded."""
        from mirror.cli.plugin_commands import find

        given = ctx.params  # the options before the command: `root` is called after it is found
        options = Globals(
            given.get("data_dir"), given.get("config"), bool(given.get("strict_plugins"))
        )
        found = find(options)
        self._brought = found.commands
        for name, each in found.commands.items():
            self.commands[name] = TyperCommand(name, short_help=each.command.help)
        return found.failed


def _quiet_while_completing(ctx: Any) -> AbstractContextManager[None]:  # noqa: ANN401
    """What fails while the shell completes a word offers nothing, and says nothing."""
    return suppress(Exception) if ctx.resilient_parsing else nullcontext()


app = typer.Typer(
    name="mirror",
    cls=Root,
    help="Mirror MAAS images: verified, re-signed, served over plain HTTP.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print_line(version("maas-image-mirror"))
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    data_dir: Annotated[
        Path | None,
        typer.Option(envvar="MIRROR_DATA_DIR", help="Where blobs, snapshots and channels are."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(envvar="MIRROR_CONFIG", help="Settings file [DATA_DIR/mirror.toml]."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
    strict_plugins: Annotated[
        bool,
        typer.Option(
            "--strict-plugins", help="Stop where a plugin does not load [plugins.strict]."
        ),
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Mirror MAAS images: verified, re-signed, served over plain HTTP."""
    configure(logging.INFO if verbose else logging.WARNING)
    # `serve` logs more in any case; what led to an error is shown to those who ask only
    _log.setLevel(logging.INFO if verbose else logging.WARNING)
    ctx.obj = Globals(data_dir=data_dir, config=config, strict_plugins=strict_plugins)


def main() -> None:
    """Run the command line; every foreseeable failure is a message and a documented exit status."""
    try:
        app()
    except MirrorError as error:
        _log.info("what led to it", exc_info=True)
        print_error(error, as_json="--json" in sys.argv)
        sys.exit(error.exit_status)
    except Exception as error:  # noqa: BLE001  (no traceback is ever shown)
        _log.info("what led to it", exc_info=True)
        unexpected = MirrorError(f"unexpected: {type(error).__name__}: {error}")
        print_error(unexpected, as_json="--json" in sys.argv)
        sys.exit(unexpected.exit_status)
