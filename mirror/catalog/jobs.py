"""Jobs and their logs. Any process may add one; the process that runs it keeps it up to date."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (msgspec reads it)
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.database import text
from mirror.errors import NotFound
from mirror.logs import redact
from mirror.model import Job, JobState, LogLine, utcnow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from mirror.catalog.database import Database

_FINAL = frozenset(
    {
        JobState.SUCCEEDED,
        JobState.PARTIAL,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.INTERRUPTED,
    }
)
_OPEN = tuple(state for state in JobState if state not in _FINAL)
_SCHEDULED = "scheduled"
"""The document that holds the schedule's last run."""


class LastRun(msgspec.Struct, frozen=True):
    """The job that the schedule started last, and when."""

    job: int = 0
    at: datetime | None = None


def is_final(state: JobState) -> bool:
    """Say whether a job in this state has ended."""
    return state in _FINAL


class Jobs:
    """The jobs of one catalogue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, job: Job, *, claim: Callable[[int], object] | None = None) -> Job:
        """Add a job (its `id` is given here) and return it.

        `claim` is called with the id before any other process can see the job.
        """
        with self._database.transaction() as connection:
            added = _insert(connection, job)
            if claim:
                claim(added.id)
        return added

    def add_scheduled(self, job: Job, *, after: LastRun) -> Job | None:
        """Add the schedule's next job; None if another process has done so since `after`."""
        with self._database.transaction() as connection:
            if self.last_scheduled() != after:
                return None
            added = _insert(connection, job)
            connection.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?)",
                (_SCHEDULED, text(LastRun(added.id, added.created))),
            )
        return added

    def last_scheduled(self) -> LastRun:
        """Return the schedule's last run."""
        rows = self._database.rows("SELECT document FROM documents WHERE name = ?", _SCHEDULED)
        return self._database.decode(rows[0][0], LastRun) if rows else LastRun()

    def update(self, job: Job, *, only: Iterable[JobState] = _OPEN) -> bool:
        """Store a job's new state and progress, if its state is one of `only`; say whether it was.

        A job that has ended stays as it is; a request to cancel one is never overwritten.
        """
        with self._database.transaction() as connection:
            return _update(connection, job, tuple(only))

    def record(self, job: Job, lines: Iterable[LogLine]) -> bool:
        """Store a job's state and more of its log; say whether someone asked for its end."""
        with self._database.transaction() as connection:
            _add_log(connection, job.id, lines)
            _update(connection, job, _OPEN)
        return self.is_cancelled(job.id)

    def add_line(self, number: int, level: str, message: str) -> None:
        """Add a line to the log of a job, which may have ended; nothing where there is no job."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO job_log SELECT ?, 1 + coalesce(max(number), 0), ?, ?, ? "
                "FROM job_log WHERE job = ? HAVING EXISTS (SELECT 1 FROM jobs WHERE id = ?)",
                (number, utcnow().isoformat(), level, redact(message), number, number),
            )

    def get(self, number: int) -> Job:
        """Return a job, or raise `NotFound`."""
        rows = self._database.rows("SELECT cancel, document FROM jobs WHERE id = ?", number)
        if not rows:
            raise NotFound(f"there is no job {number}", remedy="List them with `mirror job list`.")
        return self._job(*rows[0])

    def page(self, *, before: int = 0, limit: int = 50, states: Iterable[str] = ()) -> list[Job]:
        """Return jobs, the newest first: those with an id below `before` (0: all)."""
        states = tuple(states)
        only = f"AND state IN ({_marks(states)})" if states else ""
        rows = self._database.rows(
            f"SELECT cancel, document FROM jobs WHERE (? = 0 OR id < ?) {only} "  # noqa: S608
            "ORDER BY id DESC LIMIT ?",
            *(before, before, *states, limit),
        )
        return [self._job(*row) for row in rows]

    def unfinished(self) -> list[Job]:
        """Return the jobs that have not ended, the oldest first."""
        return self.page(limit=-1, states=_OPEN)[::-1]

    def next_queued(self) -> int:
        """Return the id of the job that waits longest for a process; 0: none does."""
        [row] = self._database.rows(
            "SELECT min(id) FROM jobs WHERE state = ?", JobState.QUEUED.value
        )
        return int(row[0] or 0)

    def prune(self, keep: int) -> None:
        """Forget all but the newest `keep` of the jobs that have ended, and their logs."""
        final = tuple(state.value for state in _FINAL)
        with self._database.transaction() as connection:
            oldest = connection.execute(
                f"SELECT id FROM jobs WHERE state IN ({_marks(final)}) "  # noqa: S608
                "ORDER BY id DESC LIMIT 1 OFFSET ?",
                (*final, keep - 1),
            ).fetchone()
            if oldest is None:
                return
            connection.execute(
                f"DELETE FROM jobs WHERE id < ? AND state IN ({_marks(final)})",  # noqa: S608
                (oldest[0], *final),
            )
            connection.execute(
                "DELETE FROM job_log WHERE job < ? AND job NOT IN (SELECT id FROM jobs)",
                (oldest[0],),
            )

    def ask_to_cancel(self, number: int) -> None:
        """Leave word for the process that runs the job."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE jobs SET cancel = 1 WHERE id = ?", (number,))

    def is_cancelled(self, number: int) -> bool:
        """Say whether someone asked for the job's end."""
        rows = self._database.rows("SELECT cancel FROM jobs WHERE id = ?", number)
        return bool(rows and rows[0][0])

    def log(self, number: int, *, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """Return the lines of a job's log whose number is above `after`."""
        rows = self._database.rows(
            "SELECT number, at, level, message FROM job_log WHERE job = ? AND number > ? "
            "ORDER BY number LIMIT ?",
            *(number, after, limit),
        )
        return [_line(*row) for row in rows]

    def _job(self, cancel: int, document: str) -> Job:
        stored = self._database.decode(document, Job)
        return msgspec.structs.replace(stored, cancel=bool(cancel))


def _line(number: int, at: str, level: str, message: str) -> LogLine:
    return msgspec.convert(
        {"number": number, "at": at, "level": level, "message": message}, LogLine
    )


def _insert(connection: sqlite3.Connection, job: Job) -> Job:
    cursor = connection.execute(
        "INSERT INTO jobs (state, cancel, document) VALUES (?, 0, '')", (job.state,)
    )
    numbered = msgspec.structs.replace(job, id=int(cursor.lastrowid or 0))
    connection.execute("UPDATE jobs SET document = ? WHERE id = ?", (text(numbered), numbered.id))
    return numbered


def _update(connection: sqlite3.Connection, job: Job, only: tuple[JobState, ...]) -> bool:
    changed = connection.execute(
        "UPDATE jobs SET state = ?, document = ? "  # noqa: S608  (marks only)
        f"WHERE id = ? AND state IN ({_marks(only)})",
        (job.state, text(job), job.id, *only),
    )
    return changed.rowcount > 0


def _add_log(connection: sqlite3.Connection, number: int, lines: Iterable[LogLine]) -> None:
    rows = [(number, each.number, each.at.isoformat(), each.level, each.message) for each in lines]
    connection.executemany("INSERT OR REPLACE INTO job_log VALUES (?, ?, ?, ?, ?)", rows)


def _marks(values: tuple[str, ...]) -> str:
    return ",".join("?" * len(values))
