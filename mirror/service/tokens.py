"""Tokens: who may use the mirror, and for what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from mirror.access import tokens
from mirror.access.licences import checked_licences
from mirror.errors import BodyInvalid, NameInvalid, TokenRequired
from mirror.model import Role, Token, utcnow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mirror.service.mirror import Mirror

_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_NAME = 64
_REFUSED = "the token is not known, has expired or was revoked"


class NewToken(msgspec.Struct, frozen=True):
    """A token that was just made. `secret` is what its holder sends; nothing can show it again."""

    token: Token
    secret: str


class Tokens:
    """The tokens of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def create(
        self,
        name: str,
        role: Role,
        channels: Sequence[str] = (),
        expires: datetime | None = None,
        *,
        licences: Sequence[str] = (),
        by: str,
    ) -> NewToken:
        """Make a token; `channels` limits it to those, `expires` is aware (None: never).

        `licences` are those of images that are not free which its holder may have.

        Raises `NameInvalid`, `BodyInvalid`.
        """
        now = utcnow()
        if not (name.isprintable() and 0 < len(name.strip()) == len(name) <= _MAX_NAME):
            raise NameInvalid(
                f"{name!r} can't be the name of a token",
                remedy=f"Say whose it is in at most {_MAX_NAME} characters: 'MAAS region, site A'.",
            )
        if expires is not None and expires.tzinfo is None:
            raise BodyInvalid(f"the expiry {expires} has no time zone")
        if expires is not None and expires <= now:
            raise BodyInvalid(
                f"the expiry {expires} has passed already", remedy="Give a time in the future."
            )
        for channel in channels:
            if not _CHANNEL.fullmatch(channel):
                raise NameInvalid(f"{channel!r} can't be the name of a channel")
        credential = tokens.make()
        token = Token(
            id=credential.id,
            name=name,
            role=role,
            channels=tuple(dict.fromkeys(channels)),
            licences=checked_licences(licences),
            created=now,
            expires=expires,
            created_by=by,
        )
        self._mirror.catalog.tokens.add(token, tokens.hash_secret(credential.secret))
        self._mirror.catalog.audit.record(by, "token.create", token.id, None, token)
        return NewToken(token, credential.text)

    def revoke(self, token_id: str, *, by: str) -> Token:
        """Make a token useless, for good; again does nothing. Raises `NotFound`."""
        before = self._mirror.catalog.tokens.get(token_id)
        if before.revoked is not None:
            return before
        after = msgspec.structs.replace(before, revoked=utcnow())
        self._mirror.catalog.tokens.update(after)
        self._mirror.catalog.audit.record(by, "token.revoke", token_id, before, after)
        return after

    def authenticate(self, secret: str) -> Token:
        """Return the token that this is the secret of, or raise `TokenRequired`.

        Takes a few milliseconds of CPU when there is a token of that id, and none when there is
        not: ids are no secret, and too many to find by trying.
        """
        credential = tokens.parse(secret)
        found = self._mirror.catalog.tokens.find(credential.id) if credential else None
        if credential is None or found is None or not tokens.matches(found[1], credential.secret):
            raise TokenRequired(_REFUSED)
        return _usable(found[0])

    def current(self, token_id: str) -> Token:
        """Return a token whose secret was seen to be right, if it is still good.

        Raises `TokenRequired`.
        """
        found = self._mirror.catalog.tokens.find(token_id)
        if found is None:
            raise TokenRequired(_REFUSED)
        return _usable(found[0])

    def any_usable(self) -> bool:
        """Say whether anyone can log in now."""
        return any(is_usable(token) for token in self.list())

    def list(self) -> list[Token]:
        """Return every token, the oldest first; those that expired or were revoked as well."""
        return self._mirror.catalog.tokens.list()


def is_usable(token: Token) -> bool:
    """Say whether a token has neither expired nor been revoked."""
    return token.revoked is None and (token.expires is None or token.expires > utcnow())


def _usable(token: Token) -> Token:
    if not is_usable(token):
        raise TokenRequired(_REFUSED)
    return token
