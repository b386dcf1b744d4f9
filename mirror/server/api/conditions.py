"""ETags, and what a request says about them (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib
import re

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def etag_of(representation: bytes) -> str:
    """Return the strong ETag of a representation."""
    return f'"{hashlib.sha256(representation).hexdigest()[:32]}"'


def matches(header: str, etag: str, *, weak: bool = False) -> bool:
    """Say whether If-Match (or, `weak`, If-None-Match) names this ETag, or is `*`."""
    if header.strip() == "*":
        return True
    return any(found[2] == etag and (weak or not found[1]) for found in _TAG.finditer(header))
