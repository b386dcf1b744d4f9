"""The page of all routes and errors, for people: one file, no script, works with no internet."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from mirror.errors import MirrorError
from mirror.server.api.openapi import PREFIX, errors_of, roles_with
from mirror.server.api.problems import status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mirror.server.api.route import Route

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111}
h1,h2{font-weight:300}h3{font-weight:500;margin:2rem 0 .3rem}
code{font-family:ui-monospace,monospace;font-size:.9em;overflow-wrap:anywhere}
section{border-top:1px solid #ccc}table{border-collapse:collapse;width:100%;margin:.5rem 0}
td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #eee}
dt{margin-top:1rem;font-weight:500}dd{margin-left:0}.method{color:#c7162b;font-weight:600}
.quiet{color:#666}a{color:#06c}
@media(prefers-color-scheme:dark){body{background:#111;color:#eee}td,th{border-color:#333}
section{border-color:#444}.quiet{color:#aaa}a{color:#69f}.method{color:#f66}}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def render_page(routes: Sequence[Route], document: Mapping[str, Any]) -> str:
    """Return the page of the routes that `document`, in OpenAPI's form, describes."""
    groups = [(tag, list(own)) for tag, own in groupby(routes, key=lambda route: route.tag)]
    contents = " · ".join(f'<a href="#{tag}">{tag}</a>' for tag, _ in groups)
    body = "".join(_section(tag, own, document) for tag, own in groups)
    about = "".join(f"<p>{escape(each)}</p>" for each in _paragraphs(document))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>API of the MAAS image mirror</title><style>{_STYLE}</style></head><body>"
        f"<h1>API of the MAAS image mirror</h1>{about}"
        f'<p>For programs: <a href="{PREFIX}/openapi.json">{PREFIX}/openapi.json</a> '
        f'(OpenAPI 3.1).</p><p>{contents} · <a href="#errors">errors</a></p>'
        f'{body}<section id="errors"><h2>Errors</h2><dl>{_errors()}</dl></section></body></html>\n'
    )


def _paragraphs(document: Mapping[str, Any]) -> list[str]:
    return str(document["info"]["description"]).strip().split("\n\n")


def _section(tag: str, routes: Iterable[Route], document: Mapping[str, Any]) -> str:
    entries = "".join(_entry(route, document) for route in routes)
    return f'<section id="{tag}"><h2>{tag}</h2>{entries}</section>'


def _entry(route: Route, document: Mapping[str, Any]) -> str:
    operation = document["paths"][PREFIX + route.path][route.method.lower()]
    rows = [*_parameter_rows(operation), *_body_rows(operation, document)]
    table = f"<table>{''.join(rows)}</table>" if rows else ""
    roles = ", ".join(roles_with(route.right))
    codes = " ".join(
        f'<a href="#{kind.code}">{kind.code}</a>'
        for kind in errors_of(route)
        if kind in route.errors
    )
    further = f" Errors of its own: {codes}." if codes else ""
    return (
        f'<h3 id="{route.operation}"><span class="method">{route.method}</span> '
        f"<code>{escape(PREFIX + route.path)}</code></h3>"
        f"<p>{escape(route.summary)} "
        f'<span class="quiet">Roles: {roles}. {_answer(route)}{further}</span></p>{table}'
    )


def _answer(route: Route) -> str:
    if route.returns is None:
        return f"Answers {route.status}, without a body."
    parts = (route.returns, *get_args(route.returns))
    names = [part.__name__ for part in parts if hasattr(part, "__name__")] or ["JSON"]
    return f"Answers {route.status}: {escape(' of '.join(names))}."


def _parameter_rows(operation: Mapping[str, Any]) -> Iterator[str]:
    for each in operation["parameters"]:
        yield _row(each["name"], each["in"], each["schema"], required=each["required"])


def _body_rows(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    if "requestBody" not in operation:
        return
    [media] = operation["requestBody"]["content"].values()
    name = media["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][name]
    for field, described in schema["properties"].items():
        yield _row(field, "body", described, required=field in schema["required"])


def _row(name: str, place: str, schema: Mapping[str, Any], *, required: bool) -> str:
    kind = str(schema.get("type") or schema.get("$ref", "").rpartition("/")[2] or "any")
    if "enum" in schema:
        kind = " | ".join(map(str, schema["enum"]))
    if required:
        notes = "required"
    elif "default" in schema:
        notes = f"default {msgspec.json.encode(schema['default']).decode()}"
    else:
        notes = ""
    return (
        f"<tr><td><code>{escape(name)}</code></td><td>{place}</td>"
        f"<td>{escape(kind)}</td><td>{escape(notes)}</td></tr>"
    )


def _errors() -> str:
    kinds = sorted(_all_errors(MirrorError), key=lambda kind: kind.code)
    return "".join(
        f'<dt id="{kind.code}">{kind.code} {kind.__name__} <span class="quiet">HTTP '
        f"{int(status_of(kind))}</span></dt><dd>{escape(' '.join((kind.__doc__ or '').split()))} "
        f"{escape(kind.remedy)}</dd>"
        for kind in kinds
    )


def _all_errors(root: type[MirrorError]) -> Iterator[type[MirrorError]]:
    yield root
    for child in root.__subclasses__():
        yield from _all_errors(child)
