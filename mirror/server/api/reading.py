"""Read a request into the types that its route names, or say which part of it can't be used."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from mirror.errors import BodyInvalid, BodyTooLarge, ContentTypeUnsupported, NotFound
from mirror.server.api.route import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.server.api.route import Route

MAX_BODY = 2**20
_MAX_PARAMETERS = 50


def read_where(route: Route, values: Mapping[str, str]) -> Any:
    """Return the parameters of the path. Raises `NotFound`: nothing has such a name."""
    try:
        return msgspec.convert(dict(values), route.where, strict=False)
    except msgspec.ValidationError:
        said = ", ".join(f"{name} {value!r}" for name, value in values.items())
        raise NotFound(f"nothing can have the {said}") from None


def read_query(route: Route, query: str) -> Any:
    """Return the query; one that the route does not know is refused. Raises `BodyInvalid`."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError as error:
        raise BodyInvalid(f"the query can't be read: {error}") from None
    known = {field.name: field for field in msgspec.structs.fields(route.query)}
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name not in known:
            takes = ", ".join(known) or "none"
            raise BodyInvalid(f"there is no query parameter {name!r} here; there are: {takes}")
        if _is_list(known[name].type):
            values.setdefault(name, []).append(value)
        elif name in values:
            raise BodyInvalid(f"the query parameter {name!r} is there twice")
        else:
            values[name] = value
    try:
        return msgspec.convert(values, route.query, strict=False)
    except msgspec.ValidationError as error:
        raise BodyInvalid(f"the query: {error}") from None


async def receive_body(route: Route, request: web.Request) -> bytes:
    """Return the bytes of the body, which are said to be JSON; none where the route has no body.

    Raises `BodyTooLarge`, `ContentTypeUnsupported`, `BodyInvalid`.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ContentTypeUnsupported("the body is compressed")
    data = await _receive(request)
    if route.body is None:
        if data:
            raise BodyInvalid("this takes no body, and one was sent")
        return data
    charset = (request.charset or "utf-8").lower()
    if request.content_type != JSON or charset not in {"utf-8", "us-ascii"}:
        said = request.headers.get("Content-Type", "nothing")
        raise ContentTypeUnsupported(f"the body is said to be {said}, not {JSON}")
    return data


def decode_body(route: Route, data: bytes) -> Any:
    """Return the body, None where the route has none. Raises `BodyInvalid`."""
    if route.body is None:
        return None
    try:
        return _decode(data, route.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BodyInvalid(f"the body: {error}") from None


def _decode(data: bytes, kind: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        with suppress(msgspec.MsgspecError):
            return msgspec.convert(_DECODER.decode(data), kind)
        raise


def _number(text: str) -> int | float:
    """Read a number with a point or exponent; to JSON Schema, 1.0 is an integer."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


_DECODER = msgspec.json.Decoder(float_hook=_number)


async def _receive(request: web.Request) -> bytes:
    """Read the body, up to the limit and not a byte further."""
    if (request.content_length or 0) > MAX_BODY:
        raise BodyTooLarge(f"the body has {request.content_length} bytes")
    data = bytearray()
    try:
        async for piece in request.content.iter_any():
            data += piece
            if len(data) > MAX_BODY:
                raise BodyTooLarge(f"the body has more than {MAX_BODY} bytes")
    except web.RequestPayloadError as error:
        raise BodyInvalid(f"the body can't be read: {error}") from None
    return bytes(data)


def _is_list(kind: Any) -> bool:
    return isinstance(msgspec.inspect.type_info(kind), msgspec.inspect.CollectionType)
