"""The API as an aiohttp application, to be mounted at /api/v1."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from mirror.server.api.conditions import matches
from mirror.server.api.dispatch import Dispatch, explain_errors
from mirror.server.api.documents import Documents
from mirror.server.api.events import EventStreams
from mirror.server.api.page import SECURITY_POLICY
from mirror.server.api.plugin_routes import PATTERN, PluginRoutes
from mirror.server.api.route import EVENTS
from mirror.server.api.table import ROUTES
from mirror.server.api.uploads import UploadRoutes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mirror.server.api.route import Route
    from mirror.server.lazy import LazyMirror
    from mirror.server.readiness import Readiness


def make_api(mirror: LazyMirror, readiness: Callable[[], Readiness]) -> web.Application:
    """Return the application; `readiness` says how the server does, and when it is to stop."""
    dispatch = Dispatch(mirror, readiness)
    streams = EventStreams(dispatch, lambda: "draining" in readiness().reasons)
    app = web.Application(middlewares=[explain_errors])
    for route in ROUTES:
        answer = streams.answer if route.media == EVENTS else dispatch.answer
        _add(app, route, answer)
    plugins = PluginRoutes(dispatch)
    app.router.add_route("*", PATTERN, plugins.answer)
    UploadRoutes(dispatch).add_to(app)
    _add_documents(app, Documents(plugins.parts))

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


def _add_documents(app: web.Application, documents: Documents) -> None:
    """Add what is open to everyone: it says nothing that is not in the programs installed."""
    for path, name in (("/openapi.json", "json"), ("/docs", "page"), ("/", "page")):
        app.router.add_get(path, partial(_send, documents, name))


async def _send(documents: Documents, name: str, request: web.Request) -> web.Response:
    document = (await documents.get())[name]
    headers = {
        hdrs.CONTENT_TYPE: document.content_type,
        hdrs.ETAG: document.etag,
        hdrs.CACHE_CONTROL: "no-cache",
        "Content-Security-Policy": SECURITY_POLICY,
        "Referrer-Policy": "no-referrer",
    }
    seen = request.headers.get(hdrs.IF_NONE_MATCH)
    if seen and matches(seen, document.etag, weak=True):
        return web.Response(status=304, headers=headers)
    return web.Response(body=document.body, headers=headers)
