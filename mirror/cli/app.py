"""The root command, and the verbs that have no noun: init, sync, serve, verify, gc, demo."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from mirror.cli import channel, demo, job, key, plugin, schedule, select, snapshot, source, verbs
from mirror.cli.context import Globals
from mirror.cli.output import print_error, print_line
from mirror.errors import MirrorError

_log = logging.getLogger(__name__)

app = typer.Typer(
    name="mirror",
    help="Mirror MAAS images: verified, re-signed, served over plain HTTP.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for noun, commands in (
    ("source", source.app),
    ("select", select.app),
    ("snapshot", snapshot.app),
    ("channel", channel.app),
    ("job", job.app),
    ("schedule", schedule.app),
    ("key", key.app),
    ("plugin", plugin.app),
):
    app.add_typer(commands, name=noun)
for verb in (verbs.init, verbs.sync, verbs.serve, verbs.verify, verbs.gc, demo.demo):
    app.command()(verb)


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
    level = logging.INFO if verbose else logging.WARNING
    logging.getLogger("stamina").setLevel(logging.ERROR)  # retries are shown as progress
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
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
