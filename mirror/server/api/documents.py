"""The OpenAPI document and the page for people, of our own routes and of those of plugins.

They are made when they are first asked for: plugins are loaded then, and the server starts without.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mirror.server.api.conditions import etag_of
from mirror.server.api.openapi import describe, openapi
from mirror.server.api.page import render_page
from mirror.server.api.table import ROUTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from mirror.server.api.openapi import Part


class Document(NamedTuple):
    """One of the documents, as it is sent."""

    body: bytes
    content_type: str
    etag: str


class Documents:
    """The documents of one process. `plugins` returns their parts, None while it can't say."""

    def __init__(self, plugins: Callable[[], Awaitable[Sequence[Part] | None]]) -> None:
        self._plugins = plugins
        self._whole: Mapping[str, Document] | None = None
        self._own: Mapping[str, Document] | None = None

    async def get(self) -> Mapping[str, Document]:
        """Return `json` and `page`; of our own routes alone while plugins can't be loaded."""
        if self._whole is not None:
            return self._whole
        parts = await self._plugins()
        if parts is not None:
            self._whole = await asyncio.to_thread(_make, parts)
            return self._whole
        if self._own is None:
            self._own = await asyncio.to_thread(_make, ())
        return self._own


def _make(plugins: Sequence[Part]) -> Mapping[str, Document]:
    parts = [describe(ROUTES), *plugins]
    document = openapi(parts)
    page = render_page([route for part in parts for route in part.routes], document)
    return {
        "json": _document(msgspec.json.encode(document), "application/json"),
        "page": _document(page.encode(), "text/html; charset=utf-8"),
    }


def _document(body: bytes, content_type: str) -> Document:
    return Document(body, content_type, etag_of(body))
