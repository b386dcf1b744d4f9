"""How a token looks, and how its secret is stored: pure, no I/O.

`mirror_<id>_<secret>`: a prefix that people and secret scanners recognise, an id that is no secret
(it finds the row, and names the token in lists, logs and the audit log), and the secret. Letters,
digits and `_` only, so that a token goes into a URL as it is.
"""

from __future__ import annotations

import re
import secrets
import string
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_LETTERS = string.ascii_letters + string.digits
_ID_LENGTH = 10
_SECRET_LENGTH = 43
"""Of 62 letters: 256 bits."""

_TOKEN = re.compile(rf"mirror_([a-z0-9]{{{_ID_LENGTH}}})_([A-Za-z0-9]{{{_SECRET_LENGTH}}})")
_ANY_TOKEN = re.compile(r"(mirror_[a-z0-9]{10}_)[A-Za-z0-9_]+")
_PATH_TOKEN = re.compile(r"(/t/)([^/\s\"?#]+)")
_REDACTED = re.compile(r"mirror_[a-z0-9]{10}_\*\*\*")


class Credential(NamedTuple):
    """A token taken apart. `id` is no secret, `secret` is."""

    id: str
    secret: str

    @property
    def text(self) -> str:
        """The token as its holder has it."""
        return f"mirror_{self.id}_{self.secret}"


def make() -> Credential:
    """Return a new token, at random."""
    lower = string.ascii_lowercase + string.digits
    return Credential(
        "".join(secrets.choice(lower) for _ in range(_ID_LENGTH)),
        "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH)),
    )


def parse(text: str) -> Credential | None:
    """Take a token apart; None for what can't be one."""
    found = _TOKEN.fullmatch(text)
    return Credential(found[1], found[2]) if found else None


def redact(text: str) -> str:
    """Return `text` without the secret of any token, and without what stands after /t/ in a path.

    The id stays: it says which token it was. What was meant as a token, and is none, goes whole.
    """
    if "mirror_" in text:
        text = _ANY_TOKEN.sub(r"\1***", text)
    if "/t/" in text:
        text = _PATH_TOKEN.sub(_redact_segment, text)
    return text


def _redact_segment(found: re.Match[str]) -> str:
    return found[0] if _REDACTED.fullmatch(found[2]) else f"{found[1]}***"


def hash_secret(secret: str) -> str:
    """Return what is stored of a secret: argon2id, with its salt and parameters. Takes 10 ms."""
    return _hasher().hash(secret)


def matches(secret_hash: str, secret: str) -> bool:
    """Say whether this is the secret that was hashed, in a time that does not depend on it."""
    from argon2.exceptions import VerificationError

    try:
        return _hasher().verify(secret_hash, secret)
    except (VerificationError, ValueError):  # the latter for what is no hash at all
        return False


@cache
def _hasher() -> PasswordHasher:
    """Return the hasher. Its cost is low on purpose.

    Slow hashing protects passwords, which are few enough to try; nobody tries 2^256. What remains
    is to keep the file from holding anything usable, and to be cheap enough that a flood of wrong
    tokens is no attack: 8 MiB and one pass, a few milliseconds.
    """
    from argon2 import PasswordHasher, Type

    return PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1, type=Type.ID)
