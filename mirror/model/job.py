"""Jobs: syncs and other long work; when they start, how far they are."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from mirror.model.finding import Problem  # noqa: TC001  (msgspec reads it)


class JobState(StrEnum):
    """Where a job is. The last five are final."""

    QUEUED = "queued"
    WAITING = "waiting"
    """For its turn: another sync runs."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    """Something was left out; the rest is published."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Its process was stopped or killed before it was done, or the machine went down."""


class Progress(msgspec.Struct, frozen=True):
    """How far a job is. `rate` is in bytes per second; `eta` in seconds, None while unknown."""

    files: int = 0
    files_done: int = 0
    bytes: int = 0
    bytes_done: int = 0
    rate: float = 0.0
    eta: float | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A sync that was asked for. `reason` is `schedule` or `manual`; `by` is who asked.

    `options` are those of the sync, as JSON; `result` is what came of it, as JSON.
    """

    id: int = 0
    kind: str = "sync"
    state: JobState = JobState.QUEUED
    reason: str = "manual"
    by: str = ""
    options: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    progress: Progress = Progress()
    cancel: bool = False
    """Someone asked for its end."""
    process: str = ""
    """HOST:PID of the process that runs it."""
    result: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))
    error: Problem | None = None


class LogLine(msgspec.Struct, frozen=True):
    """A line of a job's log, numbered from 1. `level` is `info`, `warning` or `error`."""

    number: int
    at: datetime
    level: str
    message: str


class Schedule(msgspec.Struct, frozen=True):
    """When the mirror syncs by itself.

    Every `interval`, plus up to `jitter` at random. `allowed` and `quiet` are windows of local time
    such as `mon-fri 22:00-06:00` (no day: every day): outside the allowed ones (none: always
    allowed), or inside a quiet one, no sync starts.
    """

    enabled: bool = True
    interval: timedelta = timedelta(minutes=60)
    jitter: timedelta = timedelta(minutes=5)
    allowed: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
