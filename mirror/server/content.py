"""Answer for what is mirrored: /images/, /snapshots/ and /blobs/.

A path is looked up in what is published, never in the file system, so there is nothing to escape
from. What is unknown is 404 whatever it looks like; nothing is ever redirected.

What is free is sent to whoever asks. Only what is not, and what is not there, depends on who that
is; the two take the same way, so that they look the same to who may not have it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import hdrs, web

from mirror.access.licences import FREE, may_have
from mirror.errors import AccessDenied, BlobMissing, DownloadNotRecorded, MirrorError
from mirror.server.access import principal_of
from mirror.server.licences import Asking, Download, licences_for
from mirror.server.published import Channel, Published
from mirror.server.refusals import TEXT, not_found, refusal
from mirror.server.replies import Reply
from mirror.server.resources import FOR_EVER, make_resource, reply_to
from mirror.server.tree import OCTETS, Document, Form, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mirror.model import FileRef
    from mirror.server.access import Access, Principal
    from mirror.server.blobs import OpenBlob, OpenBlobs
    from mirror.server.licences import Downloads
    from mirror.server.pinned import PinnedTrees

PREFIXES = ("/images/", "/snapshots/", "/blobs/")

_BLOB = re.compile(r"sha256/([0-9a-f]{64})")
_ENCODED_SEPARATOR = re.compile(r"%(?:2f|5c|00)", re.IGNORECASE)
_NOWHERE = Tree("", {}, {})

_log = logging.getLogger(__name__)


class Content:
    """What one worker serves. `published` is replaced as a whole; a request sees one value.

    `needed` says what one needs to have a blob, by its sha256 ('': it is free); it may block.
    """

    def __init__(
        self,
        blobs: OpenBlobs,
        pinned: PinnedTrees,
        access: Access,
        downloads: Downloads,
        *,
        needed: Callable[[str], str],
    ) -> None:
        self.published = Published()
        self.draining = False
        self.busy = 0
        """Requests that are being answered."""
        self._blobs = blobs
        self._pinned = pinned
        self._access = access
        self._downloads = downloads
        self._needed = needed
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

        async def who() -> Principal | None:
            self._access.attach(request)
            return await principal_of(request)

        address = request.remote or ""
        return await self.reply(Asking(request.method, target, request.headers, address, who))

    async def reply(self, asking: Asking) -> Reply:
        """Return the reply to a request for what lies below `PREFIXES`."""
        reply = await self._answer(asking)
        if self.draining:
            reply.force_close()
        return reply

    async def _answer(self, asking: Asking) -> Reply:
        if asking.method not in {"GET", "HEAD"}:
            reply = Reply(405, b"Allow: GET, HEAD\r\n" + TEXT, [b"405: only GET and HEAD\n"])
            reply.force_close()
            return reply
        try:
            return await self._find(asking) or not_found()
        except (AccessDenied, DownloadNotRecorded) as error:
            reply = refusal(error)
            reply.keep_private()
            return reply
        except MirrorError as error:
            _log.error("%s %s: %s. %s", asking.method, asking.target, error, error.remedy)
            text = f"500: {error.code}: {error}\n".encode()
            return Reply(500, TEXT, [text])

    async def _find(self, asking: Asking) -> Reply | None:
        space, name, path = split_target(asking.target)
        if space == "blobs":
            return await self._blob(asking, f"{name}/{path}")
        place = self.published.channels.get(name) if space == "images" else await self._tree(name)
        tree, ref = _NOWHERE, None
        if place is not None:
            tree = place.tree if isinstance(place, Channel) else place
            self._asked.add(tree.snapshot)
            document = tree.documents.get(path)
            if document is not None and not tree.views:
                return await self._document(asking.method, document, asking.headers)
            ref = place.file(path) if isinstance(place, Channel) else tree.files.get(path)
            if ref is not None and ref.licence == FREE:
                return await self._file(asking.method, ref, asking.headers)
        return await self._for_some(asking, tree, path, ref)

    async def _for_some(
        self, asking: Asking, tree: Tree, path: str, ref: FileRef | None
    ) -> Reply | None:
        """Return the reply where it depends on who asks, or there is nothing."""
        space, name, _ = split_target(asking.target)
        principal = await asking.who()
        licences = licences_for(principal, self.published, space, name)
        document = tree.seen_with(licences).get(path)
        if document is not None:
            reply = await self._document(asking.method, document, asking.headers)
            if document is not tree.documents.get(path):
                reply.keep_private()
            return reply
        if ref is None or not may_have(ref.licence, licences):
            return None
        reply = await self._file(asking.method, ref, asking.headers)
        download = Download(f"/{space}/{name}/{path}", ref.sha256, ref.licence)
        return await self._recorded(principal, asking, download, reply)

    async def _recorded(
        self, principal: Principal | None, asking: Asking, download: Download, reply: Reply
    ) -> Reply:
        """Return a reply that may be sent: it is private, and bytes that go out are on record."""
        reply.keep_private()
        if asking.method == "GET" and reply.status in {200, 206}:
            await self._downloads.record(principal, asking, download, reply)
        return reply

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

    async def _blob(self, asking: Asking, rest: str) -> Reply | None:
        name = _BLOB.fullmatch(rest)
        if name is None:
            return None
        sha256, blob = name[1], None
        needed = await asyncio.to_thread(self._needed, sha256)
        with suppress(BlobMissing):
            blob = await self._blobs.get(sha256)
        if blob is not None and needed == FREE:
            return _reply_to_blob(asking.method, sha256, blob, asking.headers)
        principal = await asking.who()
        licences = licences_for(principal, self.published, "blobs", sha256)
        if blob is None or not may_have(needed, licences):
            return None
        reply = _reply_to_blob(asking.method, sha256, blob, asking.headers)
        download = Download(f"/blobs/sha256/{sha256}", sha256, needed)
        return await self._recorded(principal, asking, download, reply)


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
