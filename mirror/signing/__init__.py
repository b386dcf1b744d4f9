"""OpenPGP: verify with a source's keyring, sign with the mirror's key."""

from __future__ import annotations
