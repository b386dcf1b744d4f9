"""`mirror job`: the work that was asked for, that runs, and that has ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.context import AsJson, opened, operator
from mirror.cli.output import human_seconds, print_json, print_line, print_note, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mirror.model import Job, LogLine
    from mirror.service import Mirror

app = typer.Typer(help="Jobs: syncs, past and present.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(help="The job's number.", metavar="ID")]

_LINE_EVERY = 5.0
"""Seconds between two lines of progress."""


@app.command("list")
def list_(
    ctx: typer.Context,
    state: Annotated[
        list[str] | None, typer.Option(help="Only jobs in this state (may be repeated).")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
    before: Annotated[int, typer.Option(help="Only those with a lower number.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    from mirror.errors import UsageProblem
    from mirror.model import JobState

    unknown = sorted(set(state or ()) - set(JobState))
    if unknown:
        raise UsageProblem(f"{unknown[0]!r} is no state; there are {', '.join(JobState)}")
    with opened(ctx) as mirror:
        jobs = mirror.jobs.list(before=before, limit=limit, states=state or ())
    if as_json:
        print_json(jobs)
        return
    print_table(
        ("ID", "STATE", "REASON", "BY", "CREATED", "TOOK", "WHAT CAME OF IT"),
        [
            (
                str(job.id),
                job.state,
                job.reason,
                job.by,
                _local(job.created),
                _took(job),
                _summary(job),
            )
            for job in jobs
        ],
    )


@app.command()
def show(ctx: typer.Context, number: Number, as_json: AsJson = False) -> None:
    """Show one job."""
    with opened(ctx) as mirror:
        job = mirror.jobs.get(number)
    if as_json:
        print_json(job)
        return
    from mirror.cli.progress import progress_line

    print_line(f"job {job.id}: {job.kind}, {job.state}{', to be cancelled' if _asked(job) else ''}")
    print_line(f"asked for: {_local(job.created)} ({job.reason}{f', {job.by}' if job.by else ''})")
    print_line(f"options: {bytes(job.options).decode()}")
    for label, at in (("began", job.started), ("ended", job.ended)):
        if at:
            print_line(f"{label}: {_local(at)}")
    if job.process and not job.ended:
        print_line(f"process: {job.process}")
    print_line(progress_line(job.progress))
    if summary := _summary(job):
        print_line(summary)
    if job.error:
        print_line(f"  {job.error.remedy}")


@app.command()
def log(
    ctx: typer.Context,
    number: Number,
    after: Annotated[int, typer.Option(help="Only lines with a higher number.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Print the log of a job."""
    with opened(ctx) as mirror:
        lines = mirror.jobs.log(number, after=after, limit=-1)
    if as_json:
        print_json(lines)
        return
    for line in lines:
        print_line(_words(line))


@app.command()
def cancel(ctx: typer.Context, number: Number, as_json: AsJson = False) -> None:
    """End a job. What has come of its files is kept: the next sync goes on from there."""
    with opened(ctx) as mirror:
        job = mirror.jobs.cancel(number, by=operator())
    if as_json:
        print_json(job)
    else:
        print_note(f"job {number} is {'ending' if _asked(job) else job.state}")


@app.command()
def follow(ctx: typer.Context, number: Number, as_json: AsJson = False) -> None:
    """Show what a job does until it ends, and end with its exit status. Ctrl-C leaves it running.

    With --json: one object a line, {"log": ...} or {"job": ...}; the last one is the job that has
    ended.
    """
    from mirror.jobs.outcome import exit_status

    with opened(ctx) as mirror:
        job = _follow_as_json(mirror, number) if as_json else show_until_end(mirror, number)
    if not as_json:
        print_line(f"job {job.id} {job.state}{f': {text}' if (text := _summary(job)) else ''}")
    raise typer.Exit(exit_status(job))


def show_until_end(mirror: Mirror, number: int) -> Job:
    """Print what a job says, and how far it is now and then, until it ends. Raises `Cancelled`."""
    from mirror.cli.progress import progress_line
    from mirror.model import JobState

    said, next_line = "", time.monotonic() + _LINE_EVERY
    for job, lines in _leaving_it(mirror, number):
        for line in lines:
            print_note(_words(line))
        words = progress_line(job.progress)
        if job.state is JobState.RUNNING and words != said and time.monotonic() >= next_line:
            print_note(words)
            said, next_line = words, time.monotonic() + _LINE_EVERY
    return job


def print_failure(job: Job, *, as_json: bool) -> int:
    """Print the error with which a job ended, as its own process would; return the exit status."""
    from mirror.jobs.outcome import exit_status

    if job.error is not None and as_json:
        import msgspec

        error = {key: getattr(job.error, key) for key in ("code", "what", "remedy")}
        print_note(msgspec.json.encode({"error": error}).decode())
    elif job.error is not None:
        print_note(f"mirror: {job.error.what} [{job.error.code}]")
        print_note(f"  {job.error.remedy}")
    return exit_status(job)


def _follow_as_json(mirror: Mirror, number: int) -> Job:
    import msgspec

    last = None
    for job, lines in _leaving_it(mirror, number):
        for line in lines:
            print_line(msgspec.json.encode({"log": line}).decode())
        if not lines and job != last:
            print_line(msgspec.json.encode({"job": job}).decode())
            last = job
    return job


def _leaving_it(mirror: Mirror, number: int) -> Iterator[tuple[Job, list[LogLine]]]:
    """Follow a job; Ctrl-C is about us, not about the job."""
    from mirror.errors import Cancelled

    try:
        yield from mirror.jobs.follow(number)
    except KeyboardInterrupt:
        raise Cancelled(
            f"job {number} goes on",
            remedy=f"Follow it with `mirror job follow {number}`, end it with "
            f"`mirror job cancel {number}`.",
        ) from None


def _asked(job: Job) -> bool:
    return job.cancel and job.ended is None


def _summary(job: Job) -> str:
    """Say in a few words what came of a job."""
    import msgspec

    if job.error is not None:
        return f"{job.error.what} [{job.error.code}]"
    result = msgspec.json.decode(job.result)
    if not result:
        return ""
    if job.kind != "sync":
        new = "" if result["is_new"] else "already there: "
        return f"{new}{result['product']} {result['version']['name']}"
    left_out = len(result["left_out"]) + len(result["sources"])
    states = {"unchanged": "nothing new, at", "planned": "a dry run, at", "held": "held at"}
    at = states.get(result["status"], "at")
    found = sum(len(each["findings"]) for each in result.get("findings", ()))
    counts = ((left_out, "problems"), (found, "findings"))
    return ", ".join([f"{at} {result['snapshot']}", *(f"{n} {what}" for n, what in counts if n)])


def _words(line: LogLine) -> str:
    grave = "" if line.level == "info" else f"{line.level}: "
    return f"{_local(line.at)} {grave}{line.message}"


def _took(job: Job) -> str:
    if job.started is None or job.ended is None:
        return ""
    return human_seconds((job.ended - job.started).total_seconds())


def _local(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"
