"""The routes of a plugin as entries of the API's table, below /plugins/NAME.

The loader has looked at each already; here it is what HTTP and the documents need besides. What is
wrong with one keeps all routes of its plugin out of the API, and nothing else.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import msgspec

from mirror.access.rights import Right
from mirror.api import Route as PluginRoute
from mirror.api import RouteCall
from mirror.errors import (
    CommandFailed,
    PluginAnswerInvalid,
    PluginBroken,
    PluginBusy,
    PluginError,
    PluginNotLoaded,
    PluginTimedOut,
)
from mirror.server.api.openapi import Part, describe, openapi
from mirror.server.api.page import render_page
from mirror.server.api.route import Call, Nothing, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_WORD = re.compile(r"[a-z0-9]+")
_ERRORS = (
    CommandFailed,
    PluginError,
    PluginAnswerInvalid,
    PluginBusy,
    PluginNotLoaded,
    PluginTimedOut,
)


def plugin_part(plugin: str, routes: Iterable[PluginRoute]) -> Part:
    """Return a plugin's part of the API. Raises `PluginBroken`, which names the route."""
    table: list[Route] = []
    what = ""
    try:
        for each in routes:
            what = f"its route {each.method} {each.path} "
            _check(each)
            table.append(_entry(plugin, each))
            if any(each.named == table[-1].named for each in table[:-1]):
                raise ValueError("differs from another in signs alone")
        what = "what its routes take and return can't be described: "
        part = describe(table, space=f"{plugin}.")
        document = openapi([part])
        msgspec.json.encode(document)
        render_page(table, document)
    except Exception as error:
        raise PluginBroken(
            f"plugin {plugin!r}: {what}{error}"[:1000],
            remedy="Report it to the plugin's author; `mirror.api.Route` says what a route may be.",
        ) from error
    return part


def _check(given: PluginRoute) -> None:
    """Raise `ValueError`, whose text follows the route's name."""
    if inspect.iscoroutinefunction(given.handler):
        raise ValueError("has a handler that is `async`: handlers are called in a thread")
    if given.body is not None and given.method in {"GET", "DELETE"}:
        raise ValueError(f"has a body, which a {given.method} has not")
    for name in ("where", "query", "body"):
        kind: type[msgspec.Struct] | None = getattr(given, name)
        if kind is None:
            continue
        if kind.__struct_config__.array_like:
            raise ValueError(f"has a {name} that is array_like, and no object")
        fields = msgspec.structs.fields(kind)
        if name != "body" and any(each.name != each.encode_name for each in fields):
            raise ValueError(f"has a {name} whose fields are renamed")
        if name == "where" and not all(each.required for each in fields):
            raise ValueError("has a where whose fields have defaults")


def _entry(plugin: str, given: PluginRoute) -> Route:
    changing = given.right == "operate" or given.method != "GET"
    words = _WORD.findall(
        f"plugin {plugin} {given.method} {given.path.replace('{', 'by-')}".lower()
    )
    return Route(
        method=given.method,
        path=f"/plugins/{plugin}{given.path}",
        # a token that is limited to channels may read what is about all of them, and change nothing
        right=Right.OPERATE if changing else Right.READ_STATE,
        handler=_handler(given),
        summary=given.summary,
        tag=plugin,
        where=given.where or Nothing,
        query=given.query or Nothing,
        body=given.body,
        returns=given.returns,
        status=204 if given.returns is None else 200,
        errors=_ERRORS,
        named=words[0] + "".join(word.capitalize() for word in words[1:]),
    )


def _handler(given: PluginRoute) -> Callable[[Call], Any]:
    def handle(call: Call) -> Any:
        return given.handler(
            RouteCall(
                where=call.where if given.where else None,
                query=call.query if given.query else None,
                body=call.body,
            )
        )

    return handle
