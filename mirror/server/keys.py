"""The files at /keys/: the public key of the mirror."""

from __future__ import annotations

KEY_TYPES = {
    "mirror.gpg": "application/octet-stream",
    "mirror.asc": "text/plain; charset=utf-8",
}
"""The Content-Type of each: binary, and armored."""
