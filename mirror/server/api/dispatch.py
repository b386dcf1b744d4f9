"""Answer a request by its route: who asks, what is asked, the verb, the answer.

Verbs block, so they run in threads of the API's own: a slow one takes no thread from those that
read image files.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from aiohttp import hdrs, web

from mirror.errors import (
    AccessDenied,
    MirrorError,
    MirrorUnavailable,
    PreconditionFailed,
)
from mirror.logs import accept_request_id, request_id
from mirror.server.access import principal_of, require
from mirror.server.api.conditions import etag_of, matches
from mirror.server.api.problems import from_framework, problem, status_of
from mirror.server.api.reading import decode_body, read_query, read_where, receive_body
from mirror.server.api.route import Call, Latest
from mirror.store.locks import file_lock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mirror.server.access import Principal
    from mirror.server.api.route import Handler, Route
    from mirror.server.lazy import LazyMirror
    from mirror.server.readiness import Readiness
    from mirror.service import Mirror

T = TypeVar("T")

THREADS = 8
_CHANGES_LOCK = "changes.lock"

_log = logging.getLogger(__name__)


class Dispatch:
    """Answers the requests of one process."""

    def __init__(self, mirror: LazyMirror, readiness: Callable[[], Readiness]) -> None:
        self._mirror = mirror
        self._readiness = readiness
        self._latest = Latest()
        self._opening = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="api")

    def close(self) -> None:
        """Let the threads end when they have done what they are at."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run what may block."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, work)

    async def answer(self, route: Route, request: web.Request) -> web.Response:
        """Return the answer. Raises what `call` and the verb raise."""
        call = await self.call(route, request)
        if_match = request.headers.get(hdrs.IF_MATCH)
        answer = await self.in_thread(lambda: _answer(route, call, if_match))
        return respond(route, request, answer)

    async def call(self, route: Route, request: web.Request) -> Call:
        """Read a request that may be made; what it names is looked at only then.

        Raises `AccessDenied` (401, 403, 429), `BodyInvalid` and its like, `NotFound`.
        """
        principal = _allowed(await who_asks(request), route, request.match_info.get("channel"))
        where = read_where(route, request.match_info)
        query = read_query(route, request.rel_url.raw_query_string)
        body = decode_body(route, await receive_body(route, request))

        def prepare() -> Call:
            call = self.made(self.opened(), principal, where, query, body)
            if route.channel is not None:
                require(principal, route.right, channel=route.channel(call))
            return call

        return await self.in_thread(prepare)

    def made(self, mirror: Mirror, principal: Principal, where: Any, query: Any, body: Any) -> Call:
        """Put a call together, of a request that was read."""
        return Call(mirror, self._readiness, self._latest, principal, where, query, body)

    def opened(self) -> Mirror:
        """Return the mirror. Blocks. Raises `MirrorUnavailable`."""
        try:
            mirror = self._mirror.get()
        except MirrorError as error:
            raise _unavailable(error) from error
        # what is opened when it is first asked for must not be opened by two threads at once; what
        # can't be opened says so to the verb that needs it
        with self._opening, suppress(MirrorError):
            _ = (mirror.announcer, mirror.store, mirror.plugins)
        return mirror


async def who_asks(request: web.Request) -> Principal | None:
    """Return who asks; None for a request without a token. Raises `AccessDenied` (401, 403, 429).

    Raises `MirrorUnavailable` where tokens can't be looked up.
    """
    try:
        return await principal_of(request)
    except AccessDenied:
        raise
    except MirrorError as error:
        raise _unavailable(error) from error


@dataclass(frozen=True)
class Answer:
    """What a handler returned, and how it is sent."""

    value: Any
    body: bytes
    etag: str


def _unavailable(error: MirrorError) -> MirrorUnavailable:
    """Say that the server can't; why is not for whoever may be asking, but for the log."""
    _log.error("the API can't open the mirror: %s. %s", error, error.remedy)
    return MirrorUnavailable("the server can't open its data directory or its settings")


def _allowed(principal: Principal | None, route: Route, channel: str | None) -> Principal:
    """Refuse what can be refused before more of the request is read."""
    if principal is not None and route.channel is not None:
        # which channel it is about is known later; nobody's role depends on that
        require(msgspec.structs.replace(principal, channels=()), route.right)
        return principal
    return require(principal, route.right, channel=channel)


def _answer(route: Route, call: Call, if_match: str | None) -> Answer:
    if if_match is None or route.current is None:
        return _represent(route.handler, call)
    # between the look and the change, no other process of the API may change it
    with file_lock(call.mirror.dir.root / _CHANGES_LOCK):
        _check_unchanged(route.current, call, if_match)
        return _represent(route.handler, call)


def _check_unchanged(current: Handler, call: Call, if_match: str) -> None:
    etag = _represent(current, call).etag
    if not matches(if_match, etag):
        raise PreconditionFailed(f"it is {etag} now, not {if_match}")


def _represent(handler: Handler, call: Call) -> Answer:
    value = handler(call)
    body = msgspec.json.encode(value)
    return Answer(value, body, etag_of(body))


def respond(route: Route, request: web.Request, answer: Answer) -> web.Response:
    """Return the response that says it, or that it has not changed."""
    if route.returns is None:
        return web.Response(status=route.status)
    headers = {hdrs.CONTENT_TYPE: route.media, hdrs.ETAG: answer.etag}
    if route.location is not None:
        headers[hdrs.LOCATION] = f"/api/v1{route.location(answer.value)}"
    following = getattr(answer.value, "next", "")
    if following:
        url = request.rel_url.update_query(after=following)
        headers[hdrs.LINK] = f'<{url}>; rel="next"'
    seen = request.headers.get(hdrs.IF_NONE_MATCH)
    if route.method == hdrs.METH_GET and seen and matches(seen, answer.etag, weak=True):
        return web.Response(status=304, headers={hdrs.ETAG: answer.etag})
    return web.Response(status=route.status, body=answer.body, headers=headers)


@web.middleware
async def explain_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn whatever goes wrong into a problem+json answer, and set what every answer has."""
    named = request_id.set(accept_request_id(request.headers.get("X-Request-ID", "")))
    try:
        response = await _explained(request, handler)
        if not response.prepared:
            set_headers(response)
        return response
    finally:
        request_id.reset(named)


async def _explained(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        response = problem(from_framework(error, request))
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return response
    except MirrorError as error:
        if status_of(type(error)) >= 500:
            _log.error("%s %s: %s. %s", request.method, request.path, error, error.remedy)
        return problem(error)
    except ConnectionError:
        raise  # the client has gone: there is nobody to tell
    except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
        _log.exception("%s %s failed", request.method, request.path)
        unexpected = MirrorError(
            "the server failed at this request",
            remedy="Find the request_id in the server's log, and report what it says there.",
        )
        return problem(unexpected)


def set_headers(response: web.StreamResponse) -> None:
    """Set the header fields that every answer of the API has."""
    response.headers["X-Request-ID"] = request_id.get()
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
