"""The OpenAPI 3.1 document, written from the table of routes."""

from __future__ import annotations

import inspect
from collections import defaultdict
from datetime import datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import msgspec

from mirror.access.rights import Right, allows
from mirror.errors import (
    BodyInvalid,
    BodyTooLarge,
    ChannelNotAllowed,
    ContentTypeUnsupported,
    MirrorError,
    MirrorUnavailable,
    NotFound,
    PreconditionFailed,
    RoleInsufficient,
    TokenRequired,
    TooManyAttempts,
)
from mirror.model import Role
from mirror.server.api.problems import PROBLEM_JSON, ProblemDetails, status_of
from mirror.server.api.route import JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mirror.server.api.route import Route

PREFIX = "/api/v1"

_EVENT = {
    "description": "One event of the stream; `data` is JSON.",
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["progress", "log", "end"]},
        "data": {"type": "string"},
    },
}

_REF = "#/components/schemas/{name}"
_ABOUT = """\
Everything that an operator controls on this mirror: the same verbs as on its command line.

Errors are `application/problem+json`, each with a code that /api/v1/docs explains. Lists come in
pages: `limit` and `after`, with `next` in the body and in a Link header. What has an ETag can be
changed with If-Match, which fails with 412 if someone else was faster, and read with If-None-Match.
"""


class Part(NamedTuple):
    """Some routes, and what the document says of them: its paths, and the schemas they refer to."""

    routes: tuple[Route, ...]
    paths: dict[str, Any]
    schemas: dict[str, Any]


def describe(routes: Iterable[Route], *, space: str = "") -> Part:
    """Describe routes. `space` goes before the names of their types, to tell them from others'.

    Raises `TypeError` and the like for types that no schema can say.
    """
    routes = tuple(routes)
    ref = _REF.format(name=f"{space}{{name}}")
    types = [t for route in routes for t in (route.body, route.returns) if t is not None]
    found, components = msgspec.json.schema_components(types, ref_template=ref)
    references = dict(zip(types, found, strict=True))
    _complete(components, types)
    paths: dict[str, Any] = defaultdict(dict)
    for route in routes:
        paths[PREFIX + route.path][route.method.lower()] = _operation(route, references)
    return Part(routes, paths, {space + name: schema for name, schema in components.items()})


def openapi(parts: Sequence[Part]) -> dict[str, Any]:
    """Return the document."""
    _, problem = msgspec.json.schema_components([ProblemDetails], ref_template=_REF)
    _complete(problem, [ProblemDetails])
    tags = dict.fromkeys(route.tag for part in parts for route in part.routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MAAS image mirror",
            "version": version("maas-image-mirror"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in tags],
        "paths": {path: item for part in parts for path, item in part.paths.items()},
        "components": {
            "schemas": {
                **problem,
                **{name: schema for part in parts for name, schema in part.schemas.items()},
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The token as the password; the user name is not looked at.",
                },
            },
        },
        "security": [{"bearer": []}, {"basic": []}],
    }


def errors_of(route: Route) -> list[type[MirrorError]]:
    """Return every error that a route may answer with, the framework's own included."""
    own: list[type[MirrorError]] = [TokenRequired, RoleInsufficient, ChannelNotAllowed]
    own += [TooManyAttempts, BodyInvalid, *route.errors]
    if "{" in route.path:
        own.append(NotFound)
    if route.current is not None:
        own.append(PreconditionFailed)
    own += [BodyTooLarge, ContentTypeUnsupported, MirrorUnavailable, MirrorError]
    return sorted(set(own), key=lambda kind: (status_of(kind), kind.code))


def roles_with(right: Right) -> list[str]:
    """Name the roles that have a right."""
    return [role.value for role in Role if allows(role, right)]


def _operation(route: Route, references: dict[Any, Any]) -> dict[str, Any]:
    roles = " or ".join(roles_with(route.right))
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": f"Needs a token of role {roles}.",
        "tags": [route.tag],
        "parameters": [
            *_parameters(route.where, "path"),
            *_parameters(route.query, "query"),
            *(_headers(route)),
        ],
        "responses": {**_success(route, references), **_failures(route)},
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": references[route.body]}},
        }
    return operation


def _parameters(kind: type[msgspec.Struct], place: str) -> Iterable[dict[str, Any]]:
    _, components = msgspec.json.schema_components([kind], ref_template=_REF)
    schema = components[kind.__name__]
    for name, described in schema["properties"].items():
        yield {
            "name": name,
            "in": place,
            "required": name in schema.get("required", ()),
            "schema": _inlined(described, components),
        }


def _inlined(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """Put what a parameter refers to (an enumeration) in its place."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return {**components[name], **{k: v for k, v in schema.items() if k != "$ref"}}
    return {
        key: _inlined(value, components) if isinstance(value, dict) else value
        for key, value in schema.items()
    }


def _headers(route: Route) -> Iterable[dict[str, Any]]:
    headers: dict[str, dict[str, Any]] = {}
    if route.current is not None:
        headers["If-Match"] = {"type": "string"}
    if route.media != JSON:
        headers["Last-Event-ID"] = {"type": "string", "pattern": "^[0-9]{0,15}$"}
    for name, schema in headers.items():
        yield {"name": name, "in": "header", "required": False, "schema": schema}


def _success(route: Route, references: dict[Any, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.media != JSON:
        answer["content"] = {route.media: {"schema": _EVENT}}
        return {str(route.status): answer}
    if route.returns is None:
        return {str(route.status): answer}
    answer["content"] = {JSON: {"schema": references[route.returns]}}
    answer["headers"] = {"ETag": {"schema": {"type": "string"}}}
    if route.location is not None:
        answer["headers"]["Location"] = {"schema": {"type": "string"}}
    answers = {str(route.status): answer}
    if route.method == "GET":
        answers["304"] = {"description": "It is what If-None-Match named."}
    return answers


def _failures(route: Route) -> dict[str, Any]:
    by_status = defaultdict(list)
    for kind in errors_of(route):
        meaning = " ".join((kind.__doc__ or "").split())
        by_status[int(status_of(kind))].append(f"{kind.code}: {meaning}")
    schema = {"$ref": _REF.format(name=ProblemDetails.__name__)}
    return {
        str(status): {
            "description": "\n\n".join(said),
            "content": {PROBLEM_JSON: {"schema": schema}},
        }
        for status, said in sorted(by_status.items())
    }


# --- what msgspec leaves out ----------------------------------------------------------------------


def _complete(components: dict[str, Any], types: Iterable[Any]) -> None:
    """Say what msgspec does not: that answers have all their fields, and which are times."""
    structs = _structs(types)
    partial = {kind.__name__ for kind in structs if kind.__struct_config__.omit_defaults}
    for name, schema in components.items():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
        whole = "properties" in schema and "additionalProperties" not in schema
        if whole and name not in partial:
            schema["required"] = list(schema["properties"])
    for kind in structs:
        properties = components.get(kind.__name__, {}).get("properties", {})
        for field in msgspec.structs.fields(kind):
            if datetime in (field.type, *get_args(field.type)):
                for schema in _choices(properties.get(field.encode_name, {})):
                    if schema.get("type") == "string":
                        schema["format"] = "date-time"


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    choices: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return choices


def _structs(types: Iterable[Any]) -> set[type[msgspec.Struct]]:
    """Return every class that these types are made of; those with parameters have no times."""
    found: set[type[msgspec.Struct]] = set()
    seen: set[object] = set()
    waiting: list[Any] = list(msgspec.inspect.multi_type_info(types))
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue  # a type may have fields of its own type
            seen.add(info.cls)
            if isinstance(info.cls, type):
                found.add(info.cls)
            waiting += [field.type for field in info.fields]
        elif isinstance(info, msgspec.inspect.UnionType):
            waiting += info.types
        elif isinstance(info, msgspec.inspect.CollectionType):
            waiting.append(info.item_type)
        elif isinstance(info, msgspec.inspect.DictType):
            waiting.append(info.value_type)
    return found
