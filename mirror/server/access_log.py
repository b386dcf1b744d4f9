"""The access log: one line for each request, and in none of them a token."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractAccessLogger

from mirror.access.tokens import redact

if TYPE_CHECKING:
    from aiohttp import web


class AccessLogger(AbstractAccessLogger):
    """What aiohttp calls after each response."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line. What a client chose is quoted: it can't make up a line of its own.

        The Referer is not written: it may hold the address of a page of someone else's.
        """
        self.logger.info(
            '%s "%s %s" %d %d %.3f s "%s"',
            request.remote,
            request.method,
            _quote(redact(request.raw_path)),
            response.status,
            response.body_length,
            time,
            _quote(redact(request.headers.get("User-Agent", "-"))),
        )

    @property
    def enabled(self) -> bool:
        """Whether anybody listens."""
        return self.logger.isEnabledFor(logging.INFO)


def _quote(text: str) -> str:
    return text.encode("unicode_escape").decode().replace('"', "%22")
