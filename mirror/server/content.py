"""Answer for what is mirrored: /images/, /snapshots/ and /blobs/.

A path is looked up in what is published, never in the file system, so there is nothing to escape
from. What is unknown is 404 whatever it looks like; nothing is ever redirected.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import hdrs, web

from mirror.errors import BlobMissing, MirrorError
from mirror.server.published import Channel, Published
from mirror.server.replies import Reply
from mirror.server.resources import FOR_EVER, make_resource, reply_to
from mirror.server.tree import OCTETS, Document, Form, Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.model import FileRef
    from mirror.server.blobs import OpenBlob, OpenBlobs
    from mirror.server.pinned import PinnedTrees

PREFIXES = ("/images/", "/snapshots/", "/blobs/")

_BLOB = re.compile(r"sha256/([0-9a-f]{64})")
_ENCODED_SEPARATOR = re.compile(r"%(?:2f|5c|00)", re.IGNORECASE)
TEXT = b"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
NOT_FOUND = b"404: not found\n"

_log = logging.getLogger(__name__)


class Content:
    """What one worker serves. `published` is replaced as a whole; a request sees one value."""

    def __init__(self, blobs: OpenBlobs, pinned: PinnedTrees) -> None:
        self.published = Published()
        self.draining = False
        self.busy = 0
        """Requests that are being answered."""
        self._blobs = blobs
        self._pinned = pinned
        self._asked: set[str] = set()

    def take_pulled(self) -> set[str]:
        """Return the ids of the snapshots that were asked for since the last call."""
        asked, self._asked = self._asked, set()
        channels = self.published.channels
        names = {each.split("/", 3)[2] if each.startswith("/") else "" for each in asked}
        current = {channels[name].tree.snapshot for name in names if name in channels}
        return current | {each for each in asked if not each.startswith("/")}

    async def answer(self, request: web.BaseRequest) -> Reply | None:
        """Return the reply, or None for a path that is not one of ours."""
        target = request.raw_path
        document = self.published.documents.get(target)
        if document is not None and request.method == "GET" and not self.draining:
            # what every client asks for first, and most often
            self._asked.add(target)
            return await self._document("GET", document, request.headers)
        target = target_of(request)
        if not target.startswith(PREFIXES):
            return None
        return await self.reply(request.method, target, request.headers)

    async def reply(self, method: str, target: str, headers: Mapping[str, str]) -> Reply:
        """Return the reply to a request for what lies below `PREFIXES`."""
        reply = await self._answer(method, target, headers)
        if self.draining:
            reply.force_close()
        return reply

    async def _answer(self, method: str, target: str, headers: Mapping[str, str]) -> Reply:
        if method not in {"GET", "HEAD"}:
            reply = Reply(405, b"Allow: GET, HEAD\r\n" + TEXT, [b"405: only GET and HEAD\n"])
            reply.force_close()
            return reply
        try:
            reply_or_none = await self._find(method, target, headers)
        except MirrorError as error:
            _log.error("%s %s: %s. %s", method, target, error, error.remedy)
            text = f"500: {error.code}: {error}\n".encode()
            return Reply(500, TEXT, [text])
        return reply_or_none or Reply(404, TEXT, [NOT_FOUND])

    async def _find(self, method: str, target: str, headers: Mapping[str, str]) -> Reply | None:
        space, name, path = split_target(target)
        if space == "blobs":
            return await self._blob(method, f"{name}/{path}", headers)
        place = self.published.channels.get(name) if space == "images" else await self._tree(name)
        if place is None:
            return None
        tree = place.tree if isinstance(place, Channel) else place
        self._asked.add(tree.snapshot)
        document = tree.documents.get(path)
        if document is not None:
            return await self._document(method, document, headers)
        ref = place.file(path) if isinstance(place, Channel) else tree.files.get(path)
        return await self._file(method, ref, headers) if ref is not None else None

    async def _tree(self, snapshot_id: str) -> Tree | None:
        return self.published.tree(snapshot_id) or await self._pinned.get(snapshot_id)

    async def _document(self, method: str, document: Document, headers: Mapping[str, str]) -> Reply:
        accepted = headers.get(hdrs.ACCEPT_ENCODING, "")
        form: Form = document.form(accepted, ranged=hdrs.RANGE in headers)
        source: bytes | OpenBlob | None = form.body
        if source is None:
            source = await self._blobs.get(form.sha256, form.resource.size)
        return reply_to(method, headers, form.resource, source)

    async def _file(self, method: str, ref: FileRef, headers: Mapping[str, str]) -> Reply:
        blob = self._blobs.cached(ref.sha256)
        if blob is None or blob.size != ref.size:
            blob = await self._blobs.get(ref.sha256, ref.size)
        return _reply_to_blob(method, ref.sha256, blob, headers)

    async def _blob(self, method: str, rest: str, headers: Mapping[str, str]) -> Reply | None:
        name = _BLOB.fullmatch(rest)
        if name is None:
            return None
        try:
            blob = await self._blobs.get(name[1])
        except BlobMissing:
            return None
        return _reply_to_blob(method, name[1], blob, headers)


def target_of(request: web.BaseRequest) -> str:
    """Return the path and query that a request asks for, as they were sent."""
    target = request.raw_path
    # the absolute form is what a proxy's client sends
    return target if target.startswith("/") else request.rel_url.raw_path


def split_target(target: str) -> tuple[str, str, str]:
    """Return what a target below `PREFIXES` names, decoded: the space, the name in it, the path."""
    _, space, rest = _decode(target).split("/", 2)
    name, _, path = rest.partition("/")
    return space, name, path


def _reply_to_blob(method: str, sha256: str, blob: OpenBlob, headers: Mapping[str, str]) -> Reply:
    resource = make_resource(
        sha256=sha256,
        size=blob.size,
        modified=blob.modified,
        content_type=OCTETS,
        cache_control=FOR_EVER,
    )
    return reply_to(method, headers, resource, blob)


def _decode(target: str) -> str:
    """Return the path of a request target, decoded once; one that no file can have, if it is odd.

    A separator in disguise (%2F) would make two spellings of one path.
    """
    path = target.partition("?")[0]
    if "%" not in path:
        return path
    if _ENCODED_SEPARATOR.search(path):
        return "/none/"
    return unquote(path, errors="surrogateescape")
