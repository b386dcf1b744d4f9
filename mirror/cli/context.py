"""What every command starts from: the global options, and the mirror they name."""

from __future__ import annotations

import getpass
import os
import signal
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from mirror.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

    from mirror.service import Mirror
    from mirror.settings import Settings

T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PageLimit = Annotated[int, typer.Option(help="With --json: images of a page.", min=1, max=10000)]
PageAfter = Annotated[str, typer.Option(help="With --json: `next` of the page before.")]


@dataclass(frozen=True)
class Globals:
    """The options given before the command."""

    data_dir: Path | None
    config: Path | None
    strict_plugins: bool = False

    def settings(self) -> Settings:
        """Read the settings that the options name."""
        from mirror.settings import load_settings

        settings = load_settings(data_dir=self.data_dir, config=self.config)
        if not self.strict_plugins:
            return settings
        strict = settings.plugins.model_copy(update={"strict": True})
        return settings.model_copy(update={"plugins": strict})


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; Ctrl-C and SIGTERM end it cleanly, as the error `Cancelled`."""
    import asyncio

    try:
        return asyncio.run(_until_sigterm(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise Cancelled("interrupted") from None


async def _until_sigterm(work: Coroutine[Any, Any, T]) -> T:
    import asyncio

    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def operator() -> str:
    """Name who runs this command, for the audit log."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user id has no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


@contextmanager
def opened(ctx: typer.Context) -> Iterator[Mirror]:
    """Open the mirror for one command."""
    from mirror.service import Mirror

    options: Globals = ctx.obj
    with Mirror.open(options.settings()) as mirror:
        yield mirror
