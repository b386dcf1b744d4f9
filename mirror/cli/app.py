"""The root command: where each noun and verb is. None is imported before it is called."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from mirror.cli.context import Globals
from mirror.cli.lazy import LazyGroup
from mirror.cli.output import print_error, print_line
from mirror.errors import MirrorError
from mirror.logs import configure

_log = logging.getLogger(__name__)


class Root(LazyGroup):
    """`mirror`: a line for each noun and verb."""

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
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Mirror MAAS images: verified, re-signed, served over plain HTTP."""
    configure(logging.INFO if verbose else logging.WARNING)
    # `serve` logs more in any case; what led to an error is shown to those who ask only
    _log.setLevel(logging.INFO if verbose else logging.WARNING)
    ctx.obj = Globals(data_dir=data_dir, config=config)


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
