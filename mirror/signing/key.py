"""The mirror's own key: made once, then used to sign streams and snapshots.

Its directory (0700) is a gpg home: `gpg --homedir DIR --list-keys` works. Beside gpg's own files it
holds the public key as clients want it, `public.gpg` and `public.asc`; the latter is written last,
so a directory that has it is whole.
"""

from __future__ import annotations

import os
import re
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Self

from mirror.errors import AlreadyExists, SigningFailed, UsageProblem
from mirror.signing.gpg import why
from mirror.signing.home import Home

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


RSA3072 = "rsa3072"
ED25519 = "ed25519"
_ALGORITHMS = {
    RSA3072: "Key-Type: RSA\nKey-Length: 3072\n",
    ED25519: "Key-Type: EDDSA\nKey-Curve: ed25519\n",
}
_AT_ONCE = 4
"""Runs of gpg at a time: an agent's locked memory is small."""

_BINARY = "public.gpg"
_ARMORED = "public.asc"
_TO_ESCAPE = re.compile(rb"^(?=-|From )", re.MULTILINE)


class SigningKey:
    """A key that signs. May be used from several threads; `close` it to end its gpg-agent.

    The agent starts at the first signature and ends with this process, however that ends.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._opening = threading.Lock()
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._temporary: Home | None = None

    @classmethod
    def create(cls, home: Path, name: str, *, algorithm: str = RSA3072) -> SigningKey:
        """Make a key that never expires, with `name` as its user id, and return it open.

        rsa3072 is what every gpgv can check; ed25519 is made and used faster. Raises AlreadyExists
        when `home` holds a key, SigningFailed, GpgMissing.
        """
        if algorithm not in _ALGORITHMS or not name.isprintable() or not name.strip():
            raise UsageProblem(f"can't make a key of type {algorithm!r} with the name {name!r}")
        if cls.exists(home):
            raise AlreadyExists(f"{home} holds a key already")
        _empty_home(home)
        work = Home(home)
        try:
            _generate(work, home, name, algorithm)
        finally:
            work.close()
        return cls.open(home)

    @staticmethod
    def exists(home: Path) -> bool:
        """Say whether this directory has a key."""
        return (home / _ARMORED).is_file()

    @classmethod
    def open(cls, home: Path) -> SigningKey:
        """Return the key of this directory. Raises SigningFailed when there is none."""
        if not cls.exists(home):
            raise SigningFailed(f"there is no key in {home}")
        return cls(home)

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
        """End the agent. Signing again starts a new one."""
        with self._opening:
            if self._temporary is not None:
                self._temporary.close()
            self._temporary = None

    @cached_property
    def fingerprint(self) -> str:
        """The key's fingerprint, 40 hex digits in upper case."""
        return str(self._opened().gpg.list_keys()[0]["fingerprint"])

    def public_binary(self) -> bytes:
        """Return the public key as a binary keyring."""
        return _read(self.home / _BINARY)

    def public_armored(self) -> bytes:
        """Return the public key as an armored text."""
        return _read(self.home / _ARMORED)

    def clearsign(self, text: bytes) -> bytes:
        """Return the text, clearsigned, with not a byte of it changed.

        OpenPGP doesn't sign white space at the end of a line, and gpg cuts lines of 20,000 bytes:
        such a text is refused (SigningFailed), as is one that does not end with a newline.
        """
        if not text.endswith(b"\n") or re.search(rb"[ \t\r]\n", text):
            raise SigningFailed("a text to clearsign ends with a newline, and no line with a space")
        signed = self._sign(text, detach=False)
        body, _, _ = signed.partition(b"\n-----BEGIN PGP SIGNATURE-----\n")
        _, _, body = body.partition(b"\n\n")
        if body + b"\n" != _TO_ESCAPE.sub(b"- ", text):
            raise SigningFailed("gpg altered the text; lines of it may be longer than 19,994 bytes")
        return signed

    def detach(self, data: bytes) -> bytes:
        """Return an armored detached signature of the data."""
        return self._sign(data, detach=True)

    def _sign(self, data: bytes, *, detach: bool) -> bytes:
        home = self._opened()
        with self._turns:
            try:
                result = home.gpg.sign(
                    data, detach=detach, clearsign=not detach, extra_args=["--digest-algo=SHA512"]
                )
            except OSError as error:
                raise SigningFailed(f"gpg stopped while signing: {error}") from error
        if result.returncode != 0 or not result:
            raise SigningFailed(f"gpg could not sign with the key in {self.home}{why(result)}")
        return bytes(result.data)

    def _opened(self) -> Home:
        with self._opening:
            if self._temporary is None or not self._temporary.is_whole():
                self._temporary = Home(self.home)
            return self._temporary


def _empty_home(home: Path) -> None:
    try:
        for folder in (home, home / "private-keys-v1.d", home / "openpgp-revocs.d"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # of a creation that was cut short: its key was never used
        (home / "pubring.kbx").unlink(missing_ok=True)
    except OSError as error:
        raise SigningFailed(f"{home} can't be made: {error.strerror}") from error


def _generate(work: Home, home: Path, name: str, algorithm: str) -> None:
    request = _ALGORITHMS[algorithm] + f"Key-Usage: sign\nName-Real: {name}\nExpire-Date: 0\n"
    # as bytes, for python-gnupg would write it in Latin-1
    made = work.gpg.gen_key((request + "%no-protection\n%commit\n").encode())
    if made.returncode != 0 or not made.fingerprint:
        raise SigningFailed(f"gpg could not make a key{why(made)}")
    try:
        for file in (home / "private-keys-v1.d").iterdir():
            _sync(file)
        _write(home / "pubring.kbx", (work.path / "pubring.kbx").read_bytes())
        _write(home / _BINARY, work.gpg.export_keys(made.fingerprint, armor=False))
        _write(home / _ARMORED, work.gpg.export_keys(made.fingerprint).encode())
    except OSError as error:
        raise SigningFailed(f"the key can't be written to {home}: {error.strerror}") from error


def _write(file: Path, data: bytes) -> None:
    part = file.with_name(f".{file.name}.tmp")
    part.write_bytes(data)
    _sync(part)
    part.replace(file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SigningFailed(f"{file}: {error.strerror}") from error
