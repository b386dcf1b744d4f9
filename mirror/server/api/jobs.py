"""jobs: syncs that were asked for, that run, and that have ended."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mirror.access.rights import Right
from mirror.errors import BodyInvalid, NotCancellable, TooManyStreams
from mirror.model import Job, JobState, LogLine
from mirror.server.api.inputs import Count, Counted, Name, Number, accepting, made
from mirror.server.api.pages import Page, window
from mirror.server.api.route import EVENTS, Call, Route
from mirror.sync.run import SyncOptions

TAG = "jobs"

StartSync = accepting(
    SyncOptions,
    "StartSync",
    leave_out=("wait",),
    channel=Name,
    only=Annotated[tuple[Name, ...], Meta(max_length=100)],
)


class ById(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which job."""

    id: Number


class JobsWanted(Counted, frozen=True, forbid_unknown_fields=True):
    """Which jobs: in one of these states (none: in any)."""

    state: Annotated[tuple[JobState, ...], Meta(max_length=10)] = ()


class LinesWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines of a log: those whose number is above `after`."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 1000
    after: Count = 0


def list_(call: Call) -> Page[Job]:
    """Return jobs, the newest first."""
    query = call.query
    before = int(query.after or 0)
    found = call.mirror.jobs.list(before=before, limit=query.limit + 1, states=query.state)
    return window([without_result(job) for job in found], lambda job: job.id, query.limit)


def without_result(job: Job) -> Job:
    """Return a job as lists and events have it: the result may name thousands of files."""
    return msgspec.structs.replace(job, result=msgspec.Raw(b"null"))


def show(call: Call) -> Job:
    """Return one, with what came of it."""
    return call.mirror.jobs.get(call.where.id)


def log(call: Call) -> Page[LogLine]:
    """Return lines of its log."""
    query = call.query
    lines = call.mirror.jobs.log(call.where.id, after=query.after, limit=query.limit + 1)
    return window(lines, lambda line: line.number, query.limit)


def start(call: Call) -> Job:
    """Ask for a sync."""
    return call.mirror.jobs.start(made(SyncOptions, call.body), by=call.by)


def cancel(call: Call) -> Job:
    """Ask for the end of one."""
    return call.mirror.jobs.cancel(call.where.id, by=call.by)


def events(call: Call) -> Job:
    """Return the job that the events will be of."""
    return call.mirror.jobs.get(call.where.id)


def _channel_of(call: Call) -> str:
    """Return the channel that a job publishes to."""
    job = call.mirror.jobs.get(call.where.id)
    return msgspec.json.decode(job.options, type=SyncOptions).channel


ROUTES = (
    Route(
        method="GET",
        path="/jobs",
        right=Right.READ_STATE,
        handler=list_,
        summary="List the jobs, the newest first, without their results.",
        tag=TAG,
        query=JobsWanted,
        returns=Page[Job],
    ),
    Route(
        method="POST",
        path="/jobs",
        right=Right.OPERATE,
        handler=start,
        summary="Ask for a sync; `mirror serve` runs it when its turn comes.",
        tag=TAG,
        body=StartSync,
        returns=Job,
        status=202,
        location=lambda job: f"/jobs/{job.id}",
        channel=lambda call: str(call.body.channel),
    ),
    Route(
        method="GET",
        path="/jobs/{id}",
        right=Right.READ_STATE,
        handler=show,
        summary="Show a job: how far it is, and what came of it.",
        tag=TAG,
        where=ById,
        returns=Job,
    ),
    Route(
        method="GET",
        path="/jobs/{id}/log",
        right=Right.READ_STATE,
        handler=log,
        summary="Show the log of a job.",
        tag=TAG,
        where=ById,
        query=LinesWanted,
        returns=Page[LogLine],
    ),
    Route(
        method="GET",
        path="/jobs/{id}/events",
        right=Right.READ_STATE,
        handler=events,
        summary="Follow a job: server-sent events `progress`, `log` and, at last, `end`. With "
        "Last-Event-ID, the log goes on after that line.",
        tag=TAG,
        where=ById,
        returns=str,
        media=EVENTS,
        errors=(TooManyStreams, BodyInvalid),
    ),
    Route(
        method="POST",
        path="/jobs/{id}:cancel",
        right=Right.OPERATE,
        handler=cancel,
        summary="Ask for the end of a job; what it has fetched stays for the next one.",
        tag=TAG,
        where=ById,
        returns=Job,
        status=202,
        channel=_channel_of,
        errors=(NotCancellable,),
    ),
)
