"""The progress of a sync: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mirror.cli.output import human_seconds, human_size, print_note
from mirror.jobs.progress import Meter, say
from mirror.sync import events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

    from mirror.model import Progress as JobProgress

_LINE_EVERY = 5.0
"""Seconds between two plain progress lines: enough for a log, not too many."""


@contextmanager
def show_progress() -> Iterator[events.Emit]:
    """Yield the function that takes a sync's events and shows them on standard error."""
    if not sys.stderr.isatty():
        yield PlainProgress().emit
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _BarProgress(bars).emit


def progress_line(progress: JobProgress) -> str:
    """Write the state of the transfers in one line: files, bytes, rate and time left."""
    eta = f", {human_seconds(progress.eta)} left" if progress.eta else ""
    return (
        f"fetched {progress.files_done}/{progress.files} files, "
        f"{human_size(progress.bytes_done)} of {human_size(progress.bytes)}, "
        f"{human_size(progress.rate)}/s{eta}"
    )


class PlainProgress:
    """A line for each event worth one, and the state of the transfers every few seconds."""

    def __init__(self) -> None:
        self._meter = Meter()
        self._next_line = 0.0

    def emit(self, event: events.Event) -> None:
        """Show one event."""
        self._meter.take(event)
        words = say(event)
        if words:
            print_note(words)
        if isinstance(event, events.Planned):
            self._next_line = time.monotonic() + _LINE_EVERY
        elif isinstance(event, events.FileDone) and self._meter.is_done:
            print_note(progress_line(self._meter.progress()))
        elif isinstance(event, events.Received) and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY
            print_note(progress_line(self._meter.progress()))


class _BarProgress:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._meter = Meter()
        self._task: TaskID | None = None

    def emit(self, event: events.Event) -> None:
        """Show one event."""
        self._meter.take(event)
        words = say(event)
        if words:
            self._bars.console.print(words, highlight=False, markup=False, soft_wrap=True)
        if isinstance(event, events.Planned):
            self._task = self._bars.add_task("", total=event.bytes)
        if self._task is not None:
            state = self._meter.progress()
            files = f"{state.files_done}/{state.files} files"
            self._bars.update(self._task, completed=state.bytes_done, description=files)
