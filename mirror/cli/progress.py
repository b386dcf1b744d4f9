"""The progress of a sync: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mirror.cli.output import human_seconds, human_size, print_note
from mirror.sync import events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

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


class _Tally:
    """How far the transfers have come."""

    def __init__(self) -> None:
        self.files_done = 0
        self.files = 0
        self.bytes_done = 0
        self.bytes = 0
        self.started = time.monotonic()

    def take(self, event: events.Event) -> None:
        """Count an event."""
        match event:
            case events.Planned():
                self.files, self.bytes = event.files, event.bytes
                self.files_done = self.bytes_done = 0
                self.started = time.monotonic()
            case events.Received():
                self.bytes_done += event.bytes
            case events.Discarded():
                self.bytes_done -= event.bytes
            case events.FileDone():
                self.files_done += 1
            case _:
                pass

    def line(self) -> str:
        """Write the state in one line: files, bytes, rate and time left."""
        elapsed = max(time.monotonic() - self.started, 0.001)
        rate = self.bytes_done / elapsed
        left = (self.bytes - self.bytes_done) / rate if rate > 0 else 0.0
        eta = f", {human_seconds(left)} left" if left > 0 else ""
        return (
            f"fetched {self.files_done}/{self.files} files, "
            f"{human_size(self.bytes_done)} of {human_size(self.bytes)}, {human_size(rate)}/s{eta}"
        )


def say(event: events.Event) -> str:
    """Put an event into words; '' for those that only move the bar."""
    match event:
        case events.SourceChecked(changed=False):
            return f"{event.source}: nothing new"
        case events.SourceChecked():
            return f"{event.source}: {event.products} products offered, signature good"
        case events.FileFailed():
            return f"failed: {event.path}: {event.message} [{event.code}]"
        case events.Retrying():
            return (
                f"retrying {event.path} in {event.wait:.1f} s "
                f"(attempt {event.attempt}): {event.reason}"
            )
        case events.Note():
            return event.message
        case _:
            return ""


class PlainProgress:
    """A line for each event worth one, and the state of the transfers every few seconds."""

    def __init__(self) -> None:
        self._tally = _Tally()
        self._next_line = 0.0

    def emit(self, event: events.Event) -> None:
        """Show one event."""
        self._tally.take(event)
        words = say(event)
        if words:
            print_note(words)
        done = self._tally.files_done == self._tally.files
        if isinstance(event, events.Planned):
            self._next_line = time.monotonic() + _LINE_EVERY
        elif isinstance(event, events.FileDone) and done:
            print_note(self._tally.line())
        elif isinstance(event, events.Received) and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY
            print_note(self._tally.line())


class _BarProgress:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tally = _Tally()
        self._task: TaskID | None = None

    def emit(self, event: events.Event) -> None:
        """Show one event."""
        self._tally.take(event)
        words = say(event)
        if words:
            self._bars.console.print(words, highlight=False, markup=False, soft_wrap=True)
        if isinstance(event, events.Planned):
            self._task = self._bars.add_task("", total=event.bytes)
        if self._task is not None:
            files = f"{self._tally.files_done}/{self._tally.files} files"
            self._bars.update(self._task, completed=self._tally.bytes_done, description=files)
