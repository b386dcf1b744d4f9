"""The aiohttp application: keys and health here, what is mirrored through `Content`.

The content is answered before aiohttp's router is asked: a mirror's requests are nearly all of that
kind, and the router, the middlewares and the response machinery would double what they cost.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mirror.server.access_log import AccessLogger
from mirror.server.keys import KEY_TYPES
from mirror.server.options import KEEP_ALIVE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from mirror.server.access import Access
    from mirror.server.content import Content
    from mirror.server.meter import Meter
    from mirror.server.readiness import Readiness
    from mirror.server.replies import Reply

    Answer = Callable[[web.BaseRequest], Awaitable[Reply | None]]
    """Returns the reply to a request, or None where it has none."""

CLEANUP = 0.5
"""Seconds for aiohttp to close what is left; running transfers have been waited for by then."""

_NO_STORE = {"Cache-Control": "no-store"}
_REVALIDATE = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

_log = logging.getLogger(__name__)


def build_app(readiness: Callable[[], Readiness], keys: Mapping[str, bytes]) -> web.Application:
    """Return what every listener has. `keys` is the public key by file name, binary and armored."""

    async def key(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in keys:
            raise web.HTTPNotFound
        headers = {"Content-Type": KEY_TYPES[name], **_REVALIDATE}
        return web.Response(body=keys[name], headers=headers)

    async def readyz(_: web.Request) -> web.Response:
        state = readiness()
        return web.Response(
            status=200 if state.ready else 503,
            body=msgspec.json.encode(state) + b"\n",
            headers={"Content-Type": "application/json; charset=utf-8", **_NO_STORE},
        )

    app = web.Application()
    app.router.add_get("/keys/{name}", key)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", readyz)
    return app


async def make_runner(
    app: web.Application,
    content: Content,
    access: Access,
    meter: Meter,
    *,
    first: Sequence[Answer],
    access_log: logging.Logger | None,
) -> web.AppRunner:
    """Return a runner, set up, whose connections ask each of `first`, then `app`.

    `content` knows how many requests are being answered, `meter` counts them; handlers of `app`
    can ask `access` who sent one.
    """
    _log.addFilter(_is_our_fault)
    runner = web.AppRunner(
        app,
        access_log=access_log,
        access_log_class=AccessLogger,
        logger=_log,
        shutdown_timeout=CLEANUP,
        keepalive_timeout=KEEP_ALIVE,
    )
    await runner.setup()
    server = runner.server
    if server is None:
        raise RuntimeError("aiohttp made no server")
    ask_app = server.request_handler

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        content.busy += 1
        asked = meter.of(request.raw_path)
        begun, status = asked.begin(), 500
        try:
            for answer in first:
                reply = await answer(request)
                if reply is not None:
                    reply.count, status = asked.sent, reply.status
                    await reply.send(request)
                    return reply
            access.attach(request)
            response = await ask_app(request)
        except web.HTTPException as error:
            status = error.status
            raise
        else:
            status = response.status
            asked.sent(_body_length(request, response))
            return response
        finally:
            content.busy -= 1
            asked.end(request.method, status, begun)

    server.request_handler = handle
    return runner


def _body_length(request: web.BaseRequest, response: web.StreamResponse) -> int:
    """Return how many bytes went out, or will, now that the handler is done."""
    if response.prepared:
        return response.body_length
    return 0 if request.method == "HEAD" else response.content_length or 0


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Keep what a client can cause by sending nonsense (a 400 with a traceback) out of the log."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n", headers=_NO_STORE)
