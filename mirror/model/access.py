"""Who may do what, and who did."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (msgspec reads it)
from enum import StrEnum

import msgspec


class Role(StrEnum):
    """What the holder of a token may do; docs/access.md has the table."""

    ADMIN = "admin"
    OPERATOR = "operator"
    UPLOADER = "uploader"
    RACK = "rack"
    READER = "reader"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A credential. Its secret is shown once and stored as a hash only.

    `channels` limits it to those (empty: every channel). `licences` are those of images that are
    not free which its holder may have, where a channel allows them too; no role implies one.
    """

    id: str
    name: str
    role: Role
    channels: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    created_by: str = ""


class AuditEntry(msgspec.Struct, frozen=True):
    """A change that someone made: `before` and `after` are JSON, null where there was nothing."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: msgspec.Raw
    after: msgspec.Raw
