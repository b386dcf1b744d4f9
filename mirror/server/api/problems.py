"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from mirror.errors import (
    BodyInvalid,
    BodyTooLarge,
    KeyExpired,
    KeyNotKnown,
    KeyNotTrusted,
    MethodNotAllowed,
    MirrorError,
    MirrorUnavailable,
    NoSuchRoute,
    PluginBusy,
    TooManyStreams,
    UploadInvalid,
)
from mirror.logs import request_id
from mirror.server.access import refusal_headers

PROBLEM_JSON = "application/problem+json"
DOCS = "/api/v1/docs"


class ProblemDetails(msgspec.Struct, frozen=True):
    """What went wrong: `detail` says it of this request, `remedy` what to do next.

    `code` never changes its meaning; `type` is where that is explained. `request_id` is what the
    server's log calls this request.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str
    request_id: str


def status_of(kind: type[MirrorError]) -> int:
    """Return the status for an error of a verb.

    400 is for what can't be read; what can, and can't be done, is 422, also where the key that a
    body names is no good: on the command line that is an integrity error as any other.
    """
    can_t_be_read = issubclass(kind, BodyInvalid | UploadInvalid)
    if kind.http_status == HTTPStatus.BAD_REQUEST and not can_t_be_read:
        return HTTPStatus.UNPROCESSABLE_ENTITY
    if issubclass(kind, KeyExpired | KeyNotKnown | KeyNotTrusted):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return kind.http_status


def problem(error: MirrorError) -> web.Response:
    """Return the answer that says what went wrong."""
    status = int(status_of(type(error)))
    body = ProblemDetails(
        type=f"{DOCS}#{error.code}",
        title=" ".join((type(error).__doc__ or "").split()),
        status=status,
        detail=error.what,
        code=error.code,
        remedy=error.remedy,
        request_id=request_id.get(),
    )
    headers = CIMultiDict([("Content-Type", PROBLEM_JSON), *refusal_headers(error)])
    if isinstance(error, TooManyStreams | MirrorUnavailable | PluginBusy):
        headers["Retry-After"] = "60"
    return web.Response(status=status, body=msgspec.json.encode(body), headers=headers)


def from_framework(error: web.HTTPException, request: web.Request) -> MirrorError:
    """Return our error for one that aiohttp's router or parser raised."""
    if error.status == HTTPStatus.NOT_FOUND:
        return NoSuchRoute(f"there is nothing at {request.path}")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return MethodNotAllowed(
            f"{request.path} does not take {request.method}; it takes {allowed}"
        )
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return BodyTooLarge("the body is too long")
    if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return BodyInvalid(f"the request can't be read: {error.reason}")
    return MirrorError(f"the request failed: {error.reason}")
