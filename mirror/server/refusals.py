"""What is answered, in plain text, instead of what is mirrored."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mirror.access.tokens import redact
from mirror.server.access import refusal_headers
from mirror.server.replies import Reply

if TYPE_CHECKING:
    from mirror.errors import MirrorError

TEXT = b"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"

_log = logging.getLogger(__name__)


def not_found() -> Reply:
    """Return the reply for what does not exist, and for what is not for the one who asks.

    Nobody can tell the two apart; so no cache may give it to somebody else.
    """
    return Reply(404, TEXT + b"Vary: Authorization\r\n", [b"404: not found\n"])


def refusal(error: MirrorError) -> Reply:
    """Return the reply to who may not ask, or can't be answered now."""
    if error.http_status >= 500:
        _log.error("%s. %s", redact(str(error)), error.remedy)
    fields = "".join(f"{name}: {value}\r\n" for name, value in refusal_headers(error))
    text = f"{error.http_status}: {error.code}: {error}. {error.remedy}\n"
    return Reply(error.http_status, fields.encode() + TEXT, [text.encode()])
