"""Answer the requests to plugins' routes, so that a plugin can fail only its own.

Whatever of a plugin runs for a request (its types, its handler) runs in that plugin's threads, and
within a time limit. What it raises becomes a problem that names it; what it returns is sent only if
it is what its route says.

The plugins are loaded when they are first asked for, by someone who may ask.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import msgspec
from aiohttp import hdrs, web
from aiohttp.web_urldispatcher import UrlDispatcher

from mirror.access.rights import Right
from mirror.catalog.tallies import ROUTE
from mirror.errors import (
    BodyInvalid,
    CommandFailed,
    MirrorError,
    NotFound,
    PluginAnswerInvalid,
    PluginBroken,
    PluginBusy,
    PluginError,
    PluginNotLoaded,
)
from mirror.logs import redact
from mirror.server.access import require
from mirror.server.api.conditions import etag_of
from mirror.server.api.crew import Crew
from mirror.server.api.dispatch import Answer, respond, who_asks
from mirror.server.api.openapi import PREFIX, Part
from mirror.server.api.plugin_table import plugin_part
from mirror.server.api.reading import decode_body, read_query, read_where, receive_body
from mirror.server.api.route import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.web_urldispatcher import AbstractRoute

    from mirror.plugin_manager import Plugins
    from mirror.server.access import Principal
    from mirror.server.api.dispatch import Dispatch
    from mirror.server.api.route import Route
    from mirror.service import Mirror

PATTERN = "/plugins/{plugin:[^{}/:]+}/{rest:.*}"
"""Every address that a plugin can have."""

MAX_ANSWER = 8 * 2**20
"""Bytes of one answer: it is in memory as a whole."""

AGAIN = 30.0
"""Seconds after which plugins that could not be loaded are tried again for the documents."""

_MAX_SAID = 2000

_log = logging.getLogger(__name__)


class _Loaded(NamedTuple):
    """Every plugin's part of the API, and how to find a route in it.

    `unusable` says, by plugin, why one has none.
    """

    parts: tuple[Part, ...]
    router: UrlDispatcher
    routes: Mapping[AbstractRoute, Route]
    unusable: Mapping[str, str]


class PluginRoutes:
    """The routes of all plugins, in one process."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._loaded: _Loaded | None = None
        self._loading: asyncio.Task[_Loaded] | None = None
        self._failed_at = -AGAIN
        self._crews: dict[str, Crew] = {}

    async def parts(self) -> tuple[Part, ...] | None:
        """Return every plugin's part of the API; None while plugins can't be loaded."""
        if self._loaded is None and time.monotonic() - self._failed_at < AGAIN:
            return None
        try:
            return (await self._load()).parts
        except MirrorError:
            self._failed_at = time.monotonic()
            return None

    async def answer(self, request: web.Request) -> web.Response:
        """Return the answer. Raises the errors of access, of reading, and of plugins."""
        # a stranger is not even told what there is
        principal = require(await who_asks(request), Right.READ_STATE)
        route, names = await self._find(request)
        require(principal, route.right)
        data = await receive_body(route, request)
        query = request.rel_url.raw_query_string
        mirror = await self._dispatch.in_thread(self._dispatch.opened)
        asked = _Asked(self._dispatch, mirror, principal, route, request.path)
        crew = self._crews.setdefault(route.tag, Crew(route.tag))
        try:
            answer = await crew.run(lambda: asked.answer(names, query, data))
        except (CommandFailed, PluginBusy):
            raise  # these are what it should say
        except PluginError:
            await self._dispatch.in_thread(lambda: _count(mirror, route.tag))
            raise
        return respond(route, request, answer)

    async def _find(self, request: web.Request) -> tuple[Route, dict[str, str]]:
        """Return the route, and the parameters in its path. Raises what aiohttp's router does."""
        loaded = await self._load()
        plugin = request.match_info["plugin"]
        if plugin in loaded.unusable:
            raise PluginNotLoaded(loaded.unusable[plugin])
        found = await loaded.router.resolve(request)
        if found.http_exception is not None:
            raise found.http_exception
        return loaded.routes[found.route], dict(found)

    async def _load(self) -> _Loaded:
        """Return what is loaded, once for all who ask at the same time."""
        if self._loaded is not None:
            return self._loaded
        if self._loading is None:
            self._loading = asyncio.create_task(
                self._dispatch.in_thread(lambda: _load(self._dispatch.opened().plugins))
            )
            self._loading.add_done_callback(self._end_loading)
        return await asyncio.shield(self._loading)

    def _end_loading(self, task: asyncio.Task[_Loaded]) -> None:
        self._loading = None
        if not task.cancelled() and task.exception() is None:
            self._loaded = task.result()


def _load(plugins: Plugins) -> _Loaded:
    parts: list[Part] = []
    unusable = {
        record.name: f"plugin {record.name!r} is {record.status}: {record.error or 'by settings'}"
        for record in plugins.records
        if record.status != "loaded"
    }
    router = UrlDispatcher()
    routes: dict[AbstractRoute, Route] = {}
    for plugin, given in plugins.routes.items():
        try:
            part = plugin_part(plugin, given)
        except PluginBroken as error:
            _log.error("%s. %s", error, error.remedy)
            unusable[plugin] = error.what
            continue
        parts.append(part)
        for route in part.routes:
            methods = (hdrs.METH_GET, hdrs.METH_HEAD) if route.method == "GET" else (route.method,)
            for method in methods:
                added = router.add_route(method, PREFIX + route.pattern, _unused)
                routes[added] = route
    return _Loaded(tuple(parts), router, routes, unusable)


async def _unused(request: web.Request) -> NoReturn:
    """Stand where aiohttp's table wants a handler: we only look up in it."""
    raise NotImplementedError


class _Asked(NamedTuple):
    """One request that may be made. All of it runs in a thread of the plugin's."""

    dispatch: Dispatch
    mirror: Mirror
    principal: Principal
    route: Route
    path: str

    def answer(self, names: Mapping[str, str], query: str, data: bytes) -> Answer:
        """Read, call, and check what comes back."""
        try:
            where = read_where(self.route, names)
            asked = read_query(self.route, query)
            body = decode_body(self.route, data)
        except (NotFound, BodyInvalid):
            raise
        except BaseException as error:  # noqa: BLE001 - the types are a plugin's: anything may come
            raise self._failed(error) from None
        if self.route.method != hdrs.METH_GET:
            # before the call: what it begins and does not end was asked for, too
            self.mirror.catalog.audit.record(
                self.principal.actor,
                "plugin.call",
                f"{self.route.tag}: {self.route.method} {self.path}",
            )
        call = self.dispatch.made(self.mirror, self.principal, where, asked, body)
        return self._checked(self._called(call))

    def _called(self, call: Call) -> Any:
        try:
            return self.route.handler(call)
        except CommandFailed as error:
            raise self._refused(error) from None
        except BaseException as error:  # noqa: BLE001 - a plugin's code: anything may come
            raise self._failed(error) from None

    def _checked(self, value: object) -> Answer:
        """Return the answer, made anew of what its route says and nothing else."""
        returns = type(None) if self.route.returns is None else self.route.returns
        try:
            body = msgspec.json.encode(value)
            if len(body) <= MAX_ANSWER:
                body = msgspec.json.encode(msgspec.json.decode(body, type=returns))
        except BaseException as error:  # noqa: BLE001 - a plugin's types, too
            _close(value)
            said = str(error) if isinstance(error, msgspec.ValidationError) else _named(error)
            raise self._invalid(f"is not what it says: {said}") from None
        if len(body) > MAX_ANSWER:
            raise self._invalid(f"is longer than {MAX_ANSWER // 2**20} MiB")
        # what a plugin returned is not handed on: to look at it may run its code
        return Answer(None, body, etag_of(body))

    def _refused(self, error: CommandFailed) -> MirrorError:
        """Return what a plugin says of a request, as plain text of bounded length."""
        try:
            what, remedy = _plain(error.what), _plain(error.remedy)
        except BaseException as worse:  # noqa: BLE001 - what it was given may be anything
            return self._failed(worse)
        return CommandFailed(f"plugin {self.route.tag!r}: {what}", remedy=remedy)

    def _failed(self, error: BaseException) -> PluginError:
        _log.error("plugin %s failed at %s", self.route.tag, self._place, exc_info=error)
        return PluginError(
            f"plugin {self.route.tag!r} failed at this request: {_named(error)}",
            remedy="Find the request_id in the server's log, and report what it says there to the "
            "plugin's author.",
        )

    def _invalid(self, why: str) -> PluginAnswerInvalid:
        _log.error("plugin %s: the answer at %s %s", self.route.tag, self._place, why)
        return PluginAnswerInvalid(f"plugin {self.route.tag!r}: its answer {why}")

    @property
    def _place(self) -> str:
        return f"{self.route.method} {self.path}"


def _count(mirror: Mirror, plugin: str) -> None:
    try:
        mirror.catalog.tallies.count_failures([(plugin, ROUTE)])
    except MirrorError as error:
        _log.error("a failure of plugin %s could not be counted: %s", plugin, error)


def _named(error: BaseException) -> str:
    """Name an error by its type: what it says may be a secret of the plugin's."""
    return type(error).__name__[:100]


def _plain(text: object) -> str:
    """Return what a plugin says as text that can be sent: short, and without what looks secret."""
    return redact(str(text)[:_MAX_SAID]).encode("utf-8", "replace").decode()


def _close(value: object) -> None:
    """Throw away what an `async def` returns: nobody awaits it, and Python would complain."""
    close = getattr(value, "close", None)
    if close is not None and hasattr(value, "cr_frame"):
        close()
