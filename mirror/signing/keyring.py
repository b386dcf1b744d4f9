"""Keyrings: from a file or from text, what keys they hold, and one key taken out of several."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import KeyringInvalid, KeyringMissing, SourceInvalid
from mirror.signing.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.model import BootSource

_KEY_BEGIN = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_SECRET = b"PRIVATE KEY BLOCK-----"
_LARGEST = 4 << 20
"""Bytes. Debian's keyring of all its developers has less."""


class Key(msgspec.Struct, frozen=True):
    """A public key: its fingerprint, those of its subkeys, whose it is, and until when."""

    fingerprint: str
    subkeys: tuple[str, ...]
    names: tuple[str, ...]
    expires: datetime | None = None

    def has(self, fingerprint: str) -> bool:
        """Say whether this is the key, or has the subkey, of this fingerprint."""
        return fingerprint == self.fingerprint or fingerprint in self.subkeys


def keyring_of(source: BootSource) -> bytes:
    """Return a source's keyring as it is now: the file is read anew each time.

    Empty for a source that names none. Raises `KeyringMissing`, `KeyringInvalid`.
    """
    if source.keyring:
        return load_keyring(Path(source.keyring))
    return decode_keyring(source.keyring_data) if source.keyring_data else b""


def load_keyring(path: Path) -> bytes:
    """Return the bytes of a keyring file, binary or armored.

    Raises KeyringMissing, or KeyringInvalid when it is plainly something else.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise KeyringMissing(f"keyring {path}: {error.strerror}") from error
    _check_keyring(data, f"keyring {path}")
    return data


def decode_keyring(text: str) -> bytes:
    """Return the bytes of a keyring given as text: armored, or base64 of binary, as MAAS takes it.

    Raises KeyringInvalid.
    """
    where = "the keyring given as text"
    if "-----BEGIN PGP" in text:
        data = text.strip().encode("utf-8", "replace") + b"\n"
    else:
        try:
            data = base64.b64decode("".join(text.split()), validate=True)
        except ValueError:
            raise KeyringInvalid(f"{where} is neither armored nor base64") from None
    _check_keyring(data, where)
    return data


def read_fingerprint(text: str, name: str) -> str:
    """Return a fingerprint as 40 hex digits in upper case; spaces are allowed in `text`.

    Raises SourceInvalid, with `name` in it.
    """
    digits = "".join(text.split()).upper()
    if not re.fullmatch(r"[0-9A-F]{40}", digits):
        raise SourceInvalid(
            f"{name}: {text!r} is not a fingerprint of 40 hex digits",
            remedy="Give the whole fingerprint, as `gpg --show-keys KEYRING` prints it.",
        )
    return digits


def keys_of(keyring: bytes) -> tuple[Key, ...]:
    """Return the keys that a keyring holds. Runs gpg; what holds none gives none."""
    home = Home()
    try:
        home.gpg.import_keys(keyring)
        return tuple(_key(listed) for listed in home.gpg.list_keys())
    finally:
        home.close()


def take_keys(keyrings: Iterable[bytes], fingerprints: Iterable[str] = ()) -> str:
    """Return keys out of several keyrings as one armored text: those with these fingerprints.

    All of them where none is named. Raises KeyringInvalid when gpg can't.
    """
    home = Home()
    try:
        for keyring in keyrings:
            home.gpg.import_keys(keyring)
        wanted = list(fingerprints) or [key["fingerprint"] for key in home.gpg.list_keys()]
        taken = home.gpg.export_keys(wanted)
        if not taken:
            raise KeyringInvalid("gpg does not find the key in the keyrings that should have it")
        return str(taken)
    finally:
        home.close()


def _key(listed: dict[str, object]) -> Key:
    expires = str(listed.get("expires") or "")
    return Key(
        fingerprint=str(listed["fingerprint"]),
        subkeys=tuple(str(subkey[2]) for subkey in listed["subkeys"]),  # type: ignore[attr-defined]
        names=tuple(str(name) for name in listed["uids"]),  # type: ignore[attr-defined]
        expires=datetime.fromtimestamp(int(expires), UTC) if expires.isdecimal() else None,
    )


def _check_keyring(data: bytes, where: str) -> None:
    if len(data) > _LARGEST:
        raise KeyringInvalid(f"{where} has more than {_LARGEST:,} bytes")
    if _SECRET in data:
        raise KeyringInvalid(
            f"{where} holds a secret key, which has no business here",
            remedy="Give the public key only: `gpg --armor --export FINGERPRINT`.",
        )
    if data[8:12] == b"KBXf":
        raise KeyringInvalid(f"{where} is gpg's own keybox, not an exported keyring")
    # RFC 4880, 4.3: a public key packet (tag 6) of the old or the new format
    if data[:1] not in (b"\x98", b"\x99", b"\x9a", b"\xc6") and _KEY_BEGIN not in data:
        raise KeyringInvalid(f"{where} holds no OpenPGP public key")
