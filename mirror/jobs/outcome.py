"""How a job ended: its error, and an exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.errors import MirrorError
from mirror.model import JobState, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.model import Job

_PARTIAL = 3


def problem_of(error: MirrorError) -> Problem:
    """Return the error with which a job ends, as data."""
    return Problem("", error.code, error.what, error.remedy)


def exit_status(job: Job) -> int:
    """Return what `mirror sync` would have ended with: 0, 3 if partial, that of its error."""
    if job.state is JobState.SUCCEEDED:
        return 0
    if job.state is JobState.PARTIAL:
        return _PARTIAL
    code = job.error.code if job.error else ""
    # a subclass without a code has its parent's, and its exit status
    return next((kind.exit_status for kind in _tree(MirrorError) if kind.code == code), 1)


def _tree(kind: type[MirrorError]) -> Iterator[type[MirrorError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)
