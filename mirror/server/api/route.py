"""What a route is. The table of them registers the handlers and writes the OpenAPI document."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from mirror.access.rights import Right
    from mirror.errors import MirrorError
    from mirror.server.access import Principal
    from mirror.server.readiness import Readiness
    from mirror.service import Mirror

T = TypeVar("T")

JSON = "application/json"
EVENTS = "text/event-stream"

_PARAMETER = re.compile(r"\{(\w+)\}")


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No path parameters, or no query."""


class Latest:
    """Keeps one value that was costly to make and never changes: the last that was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._name = ""
        self._value: Any = None

    def get(self, name: str, make: Callable[[], T]) -> T:
        """Return the value of this name, made now if it is not the one that is kept."""
        with self._lock:
            if self._name != name:
                self._value = make()
                self._name = name
            value: T = self._value
            return value


@dataclass(frozen=True)
class Call:
    """One request, read and allowed: what a handler is given.

    `where`, `query` and `body` are of the types that the route names.
    """

    mirror: Mirror
    readiness: Callable[[], Readiness]
    latest: Latest
    principal: Principal
    where: Any
    query: Any
    body: Any

    @property
    def by(self) -> str:
        """Who asks, for the audit log."""
        return self.principal.actor


Handler = Callable[[Call], Any]
"""Runs in a thread, so it may block; returns a value of the route's `returns`."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path.

    `path` is below /api/v1; its parameters are the fields of `where`. `right` is what the caller's
    role must allow. `body` None: the request has none; `returns` None: the answer has none.
    `current` returns the resource as a GET would: If-Match is compared with it. `location` makes
    the path of a resource that was created. `channel` says which channel a call is about, where the
    path does not: a token that is limited to others may not make it. `errors` are those of the
    verb. `named` is the operation's name, where the handler's does not give it.
    """

    method: str
    path: str
    right: Right
    handler: Handler
    summary: str
    tag: str
    where: type[msgspec.Struct] = Nothing
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None
    returns: Any = None
    status: int = 200
    media: str = JSON
    current: Handler | None = None
    location: Callable[[Any], str] | None = None
    channel: Callable[[Call], str] | None = None
    errors: tuple[type[MirrorError], ...] = ()
    named: str = ""

    @property
    def operation(self) -> str:
        """Name the operation: `listBootSources` for `list_` of the tag `boot-sources`."""
        if self.named:
            return self.named
        verb = self.handler.__name__.strip("_")
        words = f"{verb}-{self.tag}".replace("_", "-").split("-")
        return words[0] + "".join(word.capitalize() for word in words[1:])

    @property
    def pattern(self) -> str:
        """The path as aiohttp's router reads it. A colon begins a verb: no parameter has one."""
        kinds = {field.name: field.type for field in msgspec.structs.fields(self.where)}

        def place(found: re.Match[str]) -> str:
            kind = msgspec.inspect.type_info(kinds[found[1]])
            form = "[0-9]{1,18}" if isinstance(kind, msgspec.inspect.IntType) else "[^{}/:]+"
            return f"{{{found[1]}:{form}}}"

        return _PARAMETER.sub(place, self.path)
