"""The API as an aiohttp application, to be mounted at /api/v1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import hdrs, web

from mirror.server.api.conditions import etag_of, matches
from mirror.server.api.dispatch import Dispatch, explain_errors
from mirror.server.api.events import EventStreams
from mirror.server.api.openapi import openapi
from mirror.server.api.page import SECURITY_POLICY, render_page
from mirror.server.api.route import EVENTS
from mirror.server.api.table import ROUTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mirror.server.api.route import Route
    from mirror.server.lazy import LazyMirror
    from mirror.server.readiness import Readiness

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_api(mirror: LazyMirror, readiness: Callable[[], Readiness]) -> web.Application:
    """Return the application; `readiness` says how the server does, and when it is to stop."""
    dispatch = Dispatch(mirror, readiness)
    streams = EventStreams(dispatch, lambda: "draining" in readiness().reasons)
    app = web.Application(middlewares=[explain_errors])
    for route in ROUTES:
        answer = streams.answer if route.media == EVENTS else dispatch.answer
        _add(app, route, answer)
    _add_documents(app)

    async def close(_: web.Application) -> None:
        dispatch.close()

    app.on_cleanup.append(close)
    return app


def _add(
    app: web.Application,
    route: Route,
    answer: Callable[[Route, web.Request], Awaitable[web.StreamResponse]],
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await answer(route, request)

    app.router.add_route(route.method, route.pattern, handle)
    if route.method == hdrs.METH_GET:
        app.router.add_route(hdrs.METH_HEAD, route.pattern, handle)


def _add_documents(app: web.Application) -> None:
    """Add what is open to everyone: it says nothing that is not in the program."""
    document = openapi(ROUTES)
    as_json = _fixed(msgspec.json.encode(document), "application/json")
    page = _fixed(render_page(ROUTES, document).encode(), "text/html; charset=utf-8")
    for path, handler in (("/openapi.json", as_json), ("/docs", page), ("/", page)):
        app.router.add_get(path, handler)


def _fixed(body: bytes, content_type: str) -> Handler:
    etag = etag_of(body)

    async def handle(request: web.Request) -> web.Response:
        headers = {
            hdrs.CONTENT_TYPE: content_type,
            hdrs.ETAG: etag,
            hdrs.CACHE_CONTROL: "no-cache",
            "Content-Security-Policy": SECURITY_POLICY,
            "Referrer-Policy": "no-referrer",
        }
        seen = request.headers.get(hdrs.IF_NONE_MATCH)
        if seen and matches(seen, etag, weak=True):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)

    return handle
