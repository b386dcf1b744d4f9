"""One published file, ready to be answered for: validators, header lines, and the reply to a GET.

Header lines are rendered once for a metadata file, and per request for an image file.
"""

from __future__ import annotations

import secrets
from email.utils import formatdate
from typing import TYPE_CHECKING

import msgspec
from aiohttp import hdrs

from mirror.server.blobs import OpenBlob
from mirror.server.ranges import Span, Validators, parse_range, precondition, range_applies
from mirror.server.replies import Piece, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REVALIDATE = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"


class Resource(msgspec.Struct, frozen=True, gc=False):
    """One encoding of one published file: `size` bytes, named by `validators`.

    `validating` are the header lines that a 304 needs, `describing` the further ones of a 200;
    `content_type` is among them, and needed again for the parts of a multipart answer.
    """

    size: int
    validators: Validators
    content_type: str
    validating: bytes
    describing: bytes


def make_resource(
    *,
    sha256: str,
    size: int,
    modified: int,
    content_type: str,
    cache_control: str,
    encoding: str = "",
    varies: Sequence[str] = (),
) -> Resource:
    """Return the resource with its header lines. `modified` is in seconds since the epoch.

    The ETag is the digest of the bytes that go out, so each encoding has its own. `varies` names
    the fields of a request that decide which bytes go out.
    """
    etag = f'"{sha256}"'
    validating = [
        f"ETag: {etag}",
        f"Last-Modified: {formatdate(modified, usegmt=True)}",
        f"Cache-Control: {cache_control}",
    ]
    if varies:
        validating.append(f"Vary: {', '.join(varies)}")
    describing = [
        f"Content-Type: {content_type}",
        "Accept-Ranges: bytes",
        "X-Content-Type-Options: nosniff",
    ]
    if encoding:
        describing.append(f"Content-Encoding: {encoding}")
    return Resource(
        size=size,
        validators=Validators(etag, modified),
        content_type=content_type,
        validating=_lines(validating),
        describing=_lines(describing),
    )


def reply_to(
    method: str, headers: Mapping[str, str], resource: Resource, source: bytes | OpenBlob
) -> Reply:
    """Return the reply to a GET or HEAD of `resource`, whose bytes are in `source`."""
    if (
        hdrs.IF_NONE_MATCH in headers
        or hdrs.IF_MODIFIED_SINCE in headers
        or hdrs.IF_MATCH in headers
        or hdrs.IF_UNMODIFIED_SINCE in headers
    ):
        status = precondition(headers, resource.validators)
        if status != 200:
            return Reply(status, resource.validating)
    spans = _spans(method, headers, resource)
    if spans is None:
        fields = resource.validating + resource.describing
        return Reply(200, fields, [_cut(source, Span(0, resource.size))])
    if not spans:
        return Reply(416, resource.validating + b"Content-Range: bytes */%d\r\n" % resource.size)
    if len(spans) == 1:
        fields = resource.validating + resource.describing + _content_range(spans[0], resource.size)
        return Reply(206, fields, [_cut(source, spans[0])])
    return _multipart(resource, spans, source)


def _spans(method: str, headers: Mapping[str, str], resource: Resource) -> list[Span] | None:
    wanted = headers.get(hdrs.RANGE)
    # RFC 9110, 14.2: Range is defined for GET alone
    if wanted is None or method != "GET" or not range_applies(headers, resource.validators):
        return None
    return parse_range(wanted, resource.size)


def _cut(source: bytes | OpenBlob, span: Span) -> bytes | Piece:
    if isinstance(source, OpenBlob):
        return Piece(source, span.start, span.length)
    if span.length == len(source):
        return source
    return source[span.start : span.start + span.length]


def _multipart(resource: Resource, spans: list[Span], source: bytes | OpenBlob) -> Reply:
    boundary = secrets.token_hex(16).encode()
    body: list[bytes | Piece] = []
    for span in spans:
        body.append(
            b"\r\n--%s\r\nContent-Type: %s\r\n%s\r\n"
            % (boundary, resource.content_type.encode(), _content_range(span, resource.size))
        )
        body.append(_cut(source, span))
    body.append(b"\r\n--%s--\r\n" % boundary)
    fields = b"Content-Type: multipart/byteranges; boundary=%s\r\n" % boundary
    return Reply(206, resource.validating + fields, body)


def _content_range(span: Span, size: int) -> bytes:
    last = span.start + span.length - 1
    return b"Content-Range: bytes %d-%d/%d\r\n" % (span.start, last, size)


def _lines(fields: list[str]) -> bytes:
    return "".join(f"{field}\r\n" for field in fields).encode("latin-1")
