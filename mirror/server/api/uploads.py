"""Uploads by the tus protocol, version 1.0: at /api/v1/uploads.

Extensions: creation, creation-with-upload, checksum, expiration, termination. An upload that is
whole becomes a job, which checks the image and publishes it: nothing shows before.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from contextlib import asynccontextmanager
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from aiohttp import hdrs, web

from mirror.access.rights import Right, allows
from mirror.errors import (
    Busy,
    ChecksumMismatch,
    UploadInvalid,
    UploadLocked,
    UploadTypeWrong,
    UploadVersion,
)
from mirror.server.access import require
from mirror.server.api.dispatch import who_asks
from mirror.server.api.read_ahead import Body, reading_ahead
from mirror.uploads.receive import CHECKSUMS, receive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mirror.server.access import Principal
    from mirror.server.api.dispatch import Dispatch
    from mirror.service.uploading import Uploading
    from mirror.uploads.receive import Receiver
    from mirror.uploads.upload import Upload

VERSION = "1.0.0"
BASE = "/api/v1/uploads"
_EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
_OFFSET_TYPE = "application/offset+octet-stream"
_MOST_METADATA = 16 * 1024
_NUMBER_DIGITS = 15
_PRECONDITION = 412


class UploadRoutes:
    """Answers the requests of uploads."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        for path in ("/uploads", "/uploads/"):
            app.router.add_route(hdrs.METH_OPTIONS, path, self._options)
            app.router.add_route(hdrs.METH_POST, path, self._create)
        one = "/uploads/{id}"
        app.router.add_route(hdrs.METH_OPTIONS, one, self._options)
        app.router.add_route(hdrs.METH_HEAD, one, self._head)
        app.router.add_route(hdrs.METH_GET, one, self._show)
        app.router.add_route(hdrs.METH_PATCH, one, self._patch)
        app.router.add_route(hdrs.METH_DELETE, one, self._delete)
        app.on_response_prepare.append(_say_version)

    # --- the requests -----------------------------------------------------------------------------

    async def _options(self, request: web.Request) -> web.Response:
        del request
        uploading = await self._opened()
        headers = {
            "Tus-Version": VERSION,
            "Tus-Extension": _EXTENSIONS,
            "Tus-Max-Size": str(uploading.max_size),
            "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
        }
        return _answer(204, headers)

    async def _create(self, request: web.Request) -> web.Response:
        async with reading_ahead(request) as body:
            return await self._created(request, body)

    async def _created(self, request: web.Request, body: Body) -> web.Response:
        principal = await _allowed(request)
        _check_version(request)
        if "Upload-Defer-Length" in request.headers:
            raise UploadInvalid("the length of an upload must be known: Upload-Length")
        length = _number(request, "Upload-Length")
        metadata = read_metadata(request.headers.get("Upload-Metadata", ""))
        uploading = await self._opened()
        upload = await self._dispatch.in_thread(
            lambda: uploading.begin(
                length,
                metadata,
                by=principal.actor,
                licence_stays=not allows(principal.role, Right.OPERATE),
            )
        )
        offset = 0
        if request.content_type == _OFFSET_TYPE:
            offset = await self._take(uploading, upload, 0, request, body)
        upload = await self._finish(uploading, upload, offset)
        headers = {hdrs.LOCATION: f"{BASE}/{upload.id}", "Upload-Offset": str(offset)}
        return _answer(201, headers | self._state(uploading, upload))

    async def _head(self, request: web.Request) -> web.Response:
        uploading, upload = await self._found(request)
        offset = await self._dispatch.in_thread(lambda: uploading.uploads.offset(upload))
        upload = await self._finish(uploading, upload, offset)
        headers = {"Upload-Offset": str(offset), "Upload-Length": str(upload.length)}
        if upload.metadata:
            headers["Upload-Metadata"] = write_metadata(upload.metadata)
        return _answer(200, headers | self._state(uploading, upload))

    async def _show(self, request: web.Request) -> web.Response:
        """Say it as JSON: for a person, or a program that is not a tus client."""
        await _allowed(request)
        uploading = await self._opened()

        def look() -> dict[str, object]:
            upload = uploading.find(request.match_info["id"])
            return msgspec.structs.asdict(upload) | {"offset": uploading.uploads.offset(upload)}

        body = msgspec.json.encode(await self._dispatch.in_thread(look))
        return web.Response(body=body, content_type="application/json")

    async def _patch(self, request: web.Request) -> web.Response:
        async with reading_ahead(request) as body:
            return await self._patched(request, body)

    async def _patched(self, request: web.Request, body: Body) -> web.Response:
        uploading, upload = await self._found(request)
        if request.content_type != _OFFSET_TYPE:
            raise UploadTypeWrong(f"the body of a PATCH is {_OFFSET_TYPE}")
        begin = _number(request, "Upload-Offset")
        offset = await self._take(uploading, upload, begin, request, body)
        upload = await self._finish(uploading, upload, offset)
        return _answer(204, {"Upload-Offset": str(offset)} | self._state(uploading, upload))

    async def _delete(self, request: web.Request) -> web.Response:
        uploading, upload = await self._found(request)
        await self._dispatch.in_thread(lambda: uploading.remove(upload))
        return _answer(204, {})

    # --- how --------------------------------------------------------------------------------------

    async def _opened(self) -> Uploading:
        return await self._dispatch.in_thread(lambda: self._dispatch.opened().uploading)

    async def _found(self, request: web.Request) -> tuple[Uploading, Upload]:
        await _allowed(request)
        _check_version(request)
        uploading = await self._opened()
        number = request.match_info["id"]
        return uploading, await self._dispatch.in_thread(lambda: uploading.find(number))

    async def _take(
        self, uploading: Uploading, upload: Upload, offset: int, request: web.Request, body: Body
    ) -> int:
        """Add the body to the upload, as far as it comes; return where the upload is then."""
        checksum = read_checksum(request.headers.get("Upload-Checksum", ""))
        async with self._receiving(uploading, upload, offset) as receiver:
            await self._pass_on(body, receiver, checksum)
        return receiver.offset

    @asynccontextmanager
    async def _receiving(
        self, uploading: Uploading, upload: Upload, offset: int
    ) -> AsyncIterator[Receiver]:
        """Let one request add to the upload, and make what came durable however that ends."""
        context = receive(uploading.uploads, upload, offset)
        try:
            receiver = await self._dispatch.in_thread(context.__enter__)
        except Busy:
            raise UploadLocked(f"upload {upload.id} is being added to") from None
        try:
            yield receiver
        finally:
            leave = self._dispatch.in_thread(lambda: context.__exit__(None, None, None))
            await asyncio.shield(leave)

    async def _pass_on(self, body: Body, receiver: Receiver, checksum: Checksum | None) -> None:
        def add(data: bytes) -> None:
            if checksum is not None:
                checksum.hash.update(data)
            receiver.add(data)

        while data := await body.take():
            await asyncio.shield(self._dispatch.in_thread(partial(add, data)))
        if checksum is None:
            return
        if checksum.hash.digest() != checksum.expected:  # or a part of the piece did not come
            await self._dispatch.in_thread(receiver.take_back)
            raise ChecksumMismatch("the piece is not what its Upload-Checksum says")

    async def _finish(self, uploading: Uploading, upload: Upload, offset: int) -> Upload:
        """Have a whole upload taken in; also one whose last answer got lost with its server.

        Where the server stopped while a job did that, another one does.
        """
        if offset < upload.length:
            return upload
        return await self._dispatch.in_thread(lambda: uploading.finish(upload))

    @staticmethod
    def _state(uploading: Uploading, upload: Upload) -> dict[str, str]:
        """Return the header fields that say what becomes of an upload."""
        if upload.job:
            return {"Mirror-Job": str(upload.job)}
        expires = uploading.uploads.expires(upload)
        return {"Upload-Expires": format_datetime(expires, usegmt=True)}


class Checksum(NamedTuple):
    """What a piece is to be, and is so far."""

    hash: hashlib._Hash
    expected: bytes


def read_checksum(value: str) -> Checksum | None:
    """Read an Upload-Checksum header. Raises `UploadInvalid`."""
    if not value:
        return None
    algorithm, _, encoded = value.strip().partition(" ")
    if algorithm not in CHECKSUMS:
        known = " and ".join(CHECKSUMS)
        raise UploadInvalid(f"Upload-Checksum: {algorithm[:20]!r} is not known; {known} are")
    try:
        expected = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise UploadInvalid("Upload-Checksum is not base64") from None
    running = hashlib.new(algorithm, usedforsecurity=False)
    if len(expected) != running.digest_size:
        raise UploadInvalid(f"Upload-Checksum is not as long as a {algorithm} is")
    return Checksum(running, expected)


def read_metadata(value: str) -> dict[str, str]:
    """Read an Upload-Metadata header: names, each with a base64 value. Raises `UploadInvalid`."""
    if len(value) > _MOST_METADATA:
        raise UploadInvalid("Upload-Metadata is too long")
    metadata: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in value.split(","))):
        name, _, encoded = pair.partition(" ")
        try:
            text = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, ValueError):
            raise UploadInvalid(f"Upload-Metadata: {name[:40]!r} is not base64 of text") from None
        if name in metadata:
            raise UploadInvalid(f"Upload-Metadata: {name[:40]!r} comes twice")
        metadata[name] = text
    return metadata


def write_metadata(metadata: Mapping[str, str]) -> str:
    """Write it as the header has it."""
    return ",".join(
        f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in metadata.items()
    )


async def _say_version(request: web.Request, response: web.StreamResponse) -> None:
    """Set what every answer to a tus client has, errors among them."""
    if request.path.startswith(BASE):
        response.headers["Tus-Resumable"] = VERSION
        if response.status == _PRECONDITION:
            response.headers["Tus-Version"] = VERSION


async def _allowed(request: web.Request) -> Principal:
    return require(await who_asks(request), Right.UPLOAD)


def _check_version(request: web.Request) -> None:
    if request.headers.get("Tus-Resumable") != VERSION:
        raise UploadVersion(f"this speaks tus {VERSION}: send Tus-Resumable: {VERSION}")


def _number(request: web.Request, name: str) -> int:
    value = request.headers.get(name, "")
    if not (value.isascii() and value.isdecimal() and len(value) <= _NUMBER_DIGITS):
        raise UploadInvalid(f"{name} is not a number of bytes: {value[:40]!r}")
    return int(value)


def _answer(status: int, headers: Mapping[str, str]) -> web.Response:
    return web.Response(status=status, headers={hdrs.CACHE_CONTROL: "no-store", **headers})
