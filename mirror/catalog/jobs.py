"""Jobs and their logs. Any process may add one; the process that runs it keeps it up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.database import text
from mirror.errors import NotFound
from mirror.model import Job, JobState, LogLine

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def is_final(state: JobState) -> bool:
    """Say whether a job in this state has ended."""
    return state in _FINAL


class Jobs:
    """The jobs of one catalogue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, job: Job) -> Job:
        """Add a job (its `id` is given here) and return it."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO jobs (state, cancel, document) VALUES (?, 0, '')", (job.state,)
            )
            numbered = msgspec.structs.replace(job, id=int(cursor.lastrowid or 0))
            connection.execute(
                "UPDATE jobs SET document = ? WHERE id = ?", (text(numbered), numbered.id)
            )
        return numbered

    def update(self, job: Job) -> None:
        """Store a job's new state and progress; a request to cancel it is never overwritten."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET state = ?, document = ? WHERE id = ?",
                (job.state, text(job), job.id),
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
        marks = ",".join("?" * len(states))
        only = f"AND state IN ({marks})" if states else ""
        rows = self._database.rows(
            f"SELECT cancel, document FROM jobs WHERE (? = 0 OR id < ?) {only} "  # noqa: S608
            "ORDER BY id DESC LIMIT ?",
            *(before, before, *states, limit),
        )
        return [self._job(*row) for row in rows]

    def unfinished(self) -> list[Job]:
        """Return the jobs that have not ended, the oldest first."""
        states = tuple(state for state in JobState if not is_final(state))
        return self.page(limit=-1, states=states)[::-1]

    def ask_to_cancel(self, number: int) -> None:
        """Leave word for the process that runs the job."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE jobs SET cancel = 1 WHERE id = ?", (number,))

    def is_cancelled(self, number: int) -> bool:
        """Say whether someone asked for the job's end."""
        rows = self._database.rows("SELECT cancel FROM jobs WHERE id = ?", number)
        return bool(rows and rows[0][0])

    def add_log(self, number: int, lines: Iterable[LogLine]) -> None:
        """Append lines to a job's log."""
        rows = [
            (number, each.number, each.at.isoformat(), each.level, each.message) for each in lines
        ]
        with self._database.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO job_log VALUES (?, ?, ?, ?, ?)", rows)

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
