"""How a request to MAAS says who asks: OAuth 1 with the PLAINTEXT method, signed afresh each time.

MAAS refuses a nonce that it has seen, and a time that is more than five minutes from its own.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple
from urllib.parse import quote

from mirror.errors import ApiKeyInvalid


class ApiKey(NamedTuple):
    """The three parts of a MAAS API key, as `maas apikey` prints them."""

    consumer: str
    token: str
    secret: str


def parse_key(text: str) -> ApiKey:
    """Read `CONSUMER:TOKEN:SECRET`. Raises `ApiKeyInvalid`, which never says what was in it."""
    parts = text.strip().split(":")
    if len(parts) != 3 or not all(part and part.isascii() and part.isalnum() for part in parts):
        raise ApiKeyInvalid("that is not an API key of MAAS: it is not CONSUMER:TOKEN:SECRET")
    return ApiKey(*parts)


def authorization(key: ApiKey, now: float) -> str:
    """Return the value of the Authorization header of one request; `now` is in seconds."""
    fields = {
        "oauth_version": "1.0",
        "oauth_signature_method": "PLAINTEXT",
        "oauth_consumer_key": key.consumer,
        "oauth_token": key.token,
        "oauth_signature": f"&{key.secret}",
        "oauth_nonce": secrets.token_hex(16),
        "oauth_timestamp": str(int(now)),
    }
    written = (f'{name}="{quote(value, safe="")}"' for name, value in fields.items())
    return f"OAuth {', '.join(written)}"
