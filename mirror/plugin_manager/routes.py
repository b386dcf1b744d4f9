"""The routes that a plugin adds to the API, checked before any of them is served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import PluginBroken

if TYPE_CHECKING:
    from mirror.api import Route

_PATH = re.compile(r"(?:/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*|\{[a-z_][a-z0-9_]*\}))+", re.ASCII)
_PARAMETER = re.compile(r"\{(\w+)\}")
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
_RIGHTS = frozenset({"read", "operate"})


def title(route: Route) -> str:
    """Return `GET /hosts/{name}`."""
    return f"{route.method} {route.path}"


def check_routes(routes: list[Route]) -> None:
    """Check each, and that none is there twice. Raises `PluginBroken`."""
    seen: dict[tuple[str, str], str] = {}
    for route in routes:
        _check(route)
        # names of parameters do not tell paths apart
        key = (route.method, _PARAMETER.sub("{}", route.path))
        if key in seen:
            raise PluginBroken(f"its routes {seen[key]} and {title(route)} are one path")
        seen[key] = title(route)


def _check(route: Route) -> None:
    name = title(route)
    if route.method not in _METHODS:
        raise PluginBroken(f"route {name}: the method is none of {', '.join(sorted(_METHODS))}")
    if not isinstance(route.path, str) or not _PATH.fullmatch(route.path):
        what = "the path is not '/' and plain names or '{parameters}', as in /hosts/{name}"
        raise PluginBroken(f"route {name}: {what}")
    if route.right not in _RIGHTS:
        raise PluginBroken(f"route {name}: the right {route.right!r} is not 'read' or 'operate'")
    if not callable(route.handler):
        raise PluginBroken(f"route {name}: its handler can't be called")
    if not isinstance(route.summary, str) or not route.summary.strip():
        raise PluginBroken(f"route {name}: it has no summary")
    _check_types(route, name)


def _check_types(route: Route, name: str) -> None:
    for part in ("where", "query", "body"):
        kind = getattr(route, part)
        if kind is not None and not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            raise PluginBroken(f"route {name}: its {part} is not a subclass of msgspec.Struct")
    asked = _PARAMETER.findall(route.path)
    known = (
        [each.encode_name for each in msgspec.structs.fields(route.where)] if route.where else []
    )
    if sorted(asked) != sorted(known):
        what = f"the path has {asked or 'no parameters'}, `where` has {known or 'none'}"
        raise PluginBroken(f"route {name}: {what}")
    for part in ("where", "query", "body", "returns"):
        kind = getattr(route, part)
        if kind is None:
            continue
        try:
            msgspec.json.schema(kind)  # what the OpenAPI document is made from
        except Exception as error:
            what = f"its {part} has no schema: {error}"
            raise PluginBroken(f"route {name}: {what}") from error
