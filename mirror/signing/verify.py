"""Verify a signed text against one source's keyring.

python-gnupg calls a file valid when *any* signature in it is good, though other text stands beside
the signed one. So these rules hold, all of them:

- a clearsigned file is one block: it begins with the header, ends with the footer, and no other
  line begins with five dashes (signed text has such lines escaped);
- a detached signature file is one armored block, or begins with a signature packet;
- gpg ends with status 0 and reports exactly one signature, good, and no problem of any kind;
- the signature's digest is not MD5, SHA-1 or RIPEMD-160;
- the key is in this source's keyring and, where the source names fingerprints, among those;
- only the text that gpg returns is used, never a slice of the file.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from typing import TYPE_CHECKING, Self

import msgspec

from mirror.errors import (
    KeyExpired,
    KeyNotTrusted,
    KeyringInvalid,
    SignatureInvalid,
    Unsigned,
)
from mirror.signing.gpg import TIMED_OUT, TIMEOUT, status_lines, why
from mirror.signing.home import Home
from mirror.signing.keyring import read_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    import gnupg

_TEXT_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE_BEGIN = b"-----BEGIN PGP SIGNATURE-----"
_SIGNATURE_END = b"-----END PGP SIGNATURE-----"
_SIGNATURE_PACKETS = frozenset(b"\x88\x89\x8a\xc2")
_WEAK_DIGESTS = {"1": "MD5", "2": "SHA-1", "3": "RIPEMD-160"}


class Verified(msgspec.Struct, frozen=True):
    """A text whose signature is good, and the fingerprint of the primary key that made it."""

    plaintext: bytes
    fingerprint: str


class Verifier:
    """Verifies by one keyring (binary or armored), with `name` in its errors.

    `fingerprints` narrows the keyring to those primary keys or subkeys (40 hex digits; empty: any
    key of it). Making one is free: gpg runs at the first verification, and only then is an unusable
    keyring noticed (KeyringInvalid, or KeyNotTrusted when it holds none of the fingerprints).
    May be used from several threads. Its temporary home goes when it is closed or dropped.
    """

    def __init__(self, keyring: bytes, fingerprints: Iterable[str] = (), *, name: str) -> None:
        self.name = name
        self._keyring = keyring
        self._allowed = frozenset(read_fingerprint(text, name) for text in fingerprints)
        self._opening = threading.Lock()
        self._home: Home | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary home. Using the verifier again makes a new one."""
        with self._opening:
            if self._home is not None:
                self._home.close()
            self._home = None

    def check(self) -> None:
        """Raise KeyringInvalid or KeyNotTrusted now, not at the first verification."""
        self._opened()

    def clearsigned(self, data: bytes) -> Verified:
        """Return the text of a clearsigned file, exactly as it was signed.

        Raises Unsigned, SignatureInvalid, KeyNotTrusted, KeyExpired.
        """
        _require_one_block(data, self.name)
        result = self._run(lambda gpg: gpg.decrypt(data))
        return Verified(bytes(result.data), self._judge(result))

    def detached(self, data: bytes, signature: bytes) -> Verified:
        """Return `data` if the detached signature (binary or armored) is a good one of it.

        Raises Unsigned, SignatureInvalid, KeyNotTrusted, KeyExpired.
        """
        _require_one_signature(signature, self.name)
        with self._opened().file(signature) as file:
            result = self._run(lambda gpg: gpg.verify_data(str(file), data))
        return Verified(data, self._judge(result))

    def _run(self, command: Callable[[gnupg.GPG], gnupg.Verify]) -> gnupg.Verify:
        home = self._opened()
        try:
            return command(home.gpg)
        except OSError as error:
            # gpg ended before it had read the whole file
            raise SignatureInvalid(f"{self.name}: gpg stopped reading the file: {error}") from error

    def _opened(self) -> Home:
        with self._opening:
            if self._home is None or not self._home.is_whole():
                home = Home()
                try:
                    self._import_keyring(home.gpg)
                except BaseException:
                    home.close()
                    raise
                self._home = home
            return self._home

    def _import_keyring(self, gpg: gnupg.GPG) -> None:
        imported = gpg.import_keys(self._keyring)
        keys = gpg.list_keys()
        if not keys:
            raise KeyringInvalid(
                f"{self.name}: the keyring holds no usable OpenPGP public key{why(imported)}"
            )
        known = {key["fingerprint"] for key in keys}
        known |= {subkey[2] for key in keys for subkey in key["subkeys"]}
        if self._allowed and not self._allowed & known:
            raise KeyNotTrusted(
                f"{self.name}: the keyring holds none of the fingerprints that it is narrowed to"
                f" ({', '.join(sorted(self._allowed))})"
            )

    def _judge(self, result: gnupg.Verify) -> str:
        lines = status_lines(result.stderr)
        keywords = Counter(line[0] for line in lines)
        self._refuse_by_status(result, lines, keywords)
        if result.returncode != 0 or not result.valid or result.problems:
            raise SignatureInvalid(f"{self.name}: the signature is not good ({result.status})")
        if (keywords["NEWSIG"], keywords["GOODSIG"], keywords["VALIDSIG"]) != (1, 1, 1):
            raise SignatureInvalid(f"{self.name}: {keywords['NEWSIG']} signatures in place of one")
        valid = next(line for line in lines if line[0] == "VALIDSIG")
        subkey, digest, primary = valid[1], valid[8], valid[10]
        if digest in _WEAK_DIGESTS:
            raise SignatureInvalid(f"{self.name}: the signature uses {_WEAK_DIGESTS[digest]}")
        if self._allowed and not self._allowed & {subkey, primary}:
            raise KeyNotTrusted(
                f"{self.name}: signed by {primary} (subkey {subkey}), which is not among the"
                " source's fingerprints"
            )
        return primary

    def _refuse_by_status(
        self, result: gnupg.Verify, lines: list[list[str]], keywords: Counter[str]
    ) -> None:
        if result.returncode in TIMED_OUT:
            raise SignatureInvalid(f"{self.name}: gpg took longer than {TIMEOUT} s")
        if keywords["NEWSIG"] > 1:
            raise SignatureInvalid(f"{self.name}: {keywords['NEWSIG']} signatures in place of one")
        if keywords["EXPKEYSIG"] or keywords["REVKEYSIG"]:
            raise KeyExpired(f"{self.name}: {result.key_status} ({result.key_id})")
        unknown = next((line for line in lines if line[0] == "NO_PUBKEY"), None)
        if unknown is not None:
            raise KeyNotTrusted(
                f"{self.name}: signed by key {_claimed(lines) or unknown[1]}, which is not in the"
                " source's keyring"
            )


def _claimed(lines: list[list[str]]) -> str:
    """Return the fingerprint that a signature which can't be checked says to be by, if it does."""
    line = next((line for line in lines if line[0] == "ERRSIG"), [])
    return line[7] if len(line) > 7 and re.fullmatch(r"[0-9A-F]{40}", line[7]) else ""


def _dashed_lines(data: bytes) -> list[bytes]:
    """Return the first lines, four at most, that begin with five dashes, without space at the end.

    By `find`, not line by line: a text may have a million of them.
    """
    lines: list[bytes] = []
    at = 0 if data.startswith(b"-----") else data.find(b"\n-----") + 1
    while len(lines) < 4 and data.startswith(b"-----", at):
        end = data.find(b"\n", at)
        lines.append(data[at : end if end >= 0 else None].rstrip(b" \t\r"))
        at = data.find(b"\n-----", at) + 1 or len(data)
    return lines


def _require_one_block(data: bytes, name: str) -> None:
    if _TEXT_BEGIN not in data:
        raise Unsigned(f"{name}: the file is not a signed text")
    if _dashed_lines(data) != [_TEXT_BEGIN, _SIGNATURE_BEGIN, _SIGNATURE_END]:
        raise SignatureInvalid(f"{name}: the file is not exactly one signed text")
    if not data.startswith(_TEXT_BEGIN) or not data.rstrip(b"\r\n").endswith(_SIGNATURE_END):
        raise SignatureInvalid(f"{name}: there is something outside the signed text")


def _require_one_signature(signature: bytes, name: str) -> None:
    if not signature.strip():
        raise Unsigned(f"{name}: the signature file is empty")
    if signature[0] in _SIGNATURE_PACKETS:
        return
    text = signature.strip()
    armored = text.startswith(_SIGNATURE_BEGIN) and text.endswith(_SIGNATURE_END)
    if not armored or len(_dashed_lines(text)) != 2:
        raise SignatureInvalid(f"{name}: the signature file is not one detached signature")
