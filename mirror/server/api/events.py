"""A job's progress and log as server-sent events, until the job ends.

    event: progress    data: the job, as the list of jobs has it
    event: log         data: a line of the log; its number is the event's id
    event: end         data: the job; the stream ends

A client that was cut off says in Last-Event-ID which line it had last, and gets those after it. The
stream may end before the job does (the server restarts, an hour has passed): ask again.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from mirror.catalog.jobs import is_final
from mirror.errors import BodyInvalid, TooManyStreams
from mirror.server.api.dispatch import set_headers
from mirror.server.api.jobs import without_result
from mirror.server.api.route import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirror.model import Job, LogLine
    from mirror.server.api.dispatch import Dispatch
    from mirror.server.api.route import Call, Route

POLL = 0.5
HEARTBEAT = 15.0
"""Seconds without news after which a comment shows that the connection lives."""

LONGEST = 3600.0
MAX_STREAMS = 64
"""Of one process."""

_LINES = 500
"""Of the log, in one turn."""


class EventStreams:
    """The streams of one process. `draining` says that the server is about to stop."""

    def __init__(self, dispatch: Dispatch, draining: Callable[[], bool]) -> None:
        self._dispatch = dispatch
        self._draining = draining
        self._open = 0

    async def answer(self, route: Route, request: web.Request) -> web.StreamResponse:
        """Send the stream. Raises, before it has begun, what `Dispatch.call` raises, `NotFound`."""
        call = await self._dispatch.call(route, request)
        last = _last_event(request.headers.get("Last-Event-ID", ""))
        await self._dispatch.in_thread(lambda: route.handler(call))
        if self._open >= MAX_STREAMS:
            raise TooManyStreams(f"{MAX_STREAMS} clients follow jobs here")
        response = web.StreamResponse(headers={"Content-Type": EVENTS})
        set_headers(response)
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        self._open += 1
        try:
            await response.prepare(request)
            await self._follow(response, call, last)
        except ConnectionError:
            pass  # the client has gone, as clients of streams do
        finally:
            self._open -= 1
        return response

    async def _follow(self, response: web.StreamResponse, call: Call, last: int) -> None:
        loop = asyncio.get_running_loop()
        began = said = loop.time()
        before: Job | None = None
        while not self._draining() and loop.time() - began < LONGEST:
            job, lines = await self._dispatch.in_thread(partial(_look, call, last))
            news = b"".join(_event("log", line, line.number) for line in lines)
            last = lines[-1].number if lines else last
            ended = is_final(job.state) and len(lines) < _LINES
            if ended:
                news += _event("end", job)
            elif job != before:
                news += _event("progress", job)
            before = job
            if news:
                await response.write(news)
                said = loop.time()
            elif loop.time() - said > HEARTBEAT:
                await response.write(b": still here\n\n")
                said = loop.time()
            if ended:
                return
            if len(lines) < _LINES:
                await asyncio.sleep(POLL)


def _look(call: Call, after: int) -> tuple[Job, list[LogLine]]:
    # the job first: what is in its log when it has ended is all of it
    job = without_result(call.mirror.jobs.get(call.where.id))
    return job, call.mirror.jobs.log(call.where.id, after=after, limit=_LINES)


def _event(name: str, value: Any, number: int | None = None) -> bytes:
    identity = b"" if number is None else f"id: {number}\n".encode()
    return b"%sevent: %s\ndata: %s\n\n" % (identity, name.encode(), msgspec.json.encode(value))


def _last_event(value: str) -> int:
    if not value:
        return 0  # none was sent yet
    if not (value.isascii() and value.isdecimal() and len(value) <= 15):
        raise BodyInvalid(f"Last-Event-ID {value[:40]!r} is not the number of a line")
    return int(value)
