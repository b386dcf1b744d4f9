from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from mirror.errors import (
    KeyExpired,
    KeyNotTrusted,
    KeyringInvalid,
    KeyringMissing,
    MirrorError,
    SignatureInvalid,
    SourceInvalid,
    Unsigned,
)
from mirror.signing.key import ED25519, SigningKey
from mirror.signing.keyring import load_keyring
from mirror.signing.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = b'{\n "format": "index:1.0",\n- "dash": 1\n}\n'
OTHER = b'{\n "hostile": true\n}\n'


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    with SigningKey.create(tmp_path_factory.mktemp("key"), "good", algorithm=ED25519) as key:
        yield key


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    with SigningKey.create(tmp_path_factory.mktemp("key"), "stranger", algorithm=ED25519) as key:
        yield key


@pytest.fixture(scope="module")
def verifier(key: SigningKey) -> Iterator[Verifier]:
    with Verifier(key.public_binary(), name="src") as verifier:
        yield verifier


@pytest.fixture(scope="module")
def signed(key: SigningKey) -> bytes:
    return key.clearsign(TEXT)


class Gpg:
    """The gpg program with a home of its own: keys and signatures that the mirror never makes."""

    def __init__(self, home: Path) -> None:
        home.chmod(0o700)
        self.command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-tty", "--yes"]
        self.command += ["--pinentry-mode=loopback", "--passphrase="]

    def __call__(self, *arguments: str, data: bytes = b"") -> bytes:
        done = subprocess.run(
            [*self.command, *arguments], input=data, capture_output=True, check=True
        )
        return done.stdout


@pytest.fixture
def gpg(tmp_path: Path) -> Iterator[Gpg]:
    home = tmp_path / "g"
    home.mkdir()
    yield Gpg(home)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


def test_the_text_comes_back_exactly(verifier: Verifier, key: SigningKey, signed: bytes) -> None:
    verified = verifier.clearsigned(signed)
    assert verified.plaintext == TEXT
    assert verified.fingerprint == key.fingerprint


def test_line_ends_of_the_file_may_be_missing(verifier: Verifier, signed: bytes) -> None:
    assert verifier.clearsigned(signed.rstrip(b"\n")).plaintext == TEXT


def test_several_threads_share_a_verifier(key: SigningKey, signed: bytes) -> None:
    with Verifier(key.public_armored(), name="src") as verifier, ThreadPoolExecutor(8) as pool:
        texts = [job.plaintext for job in pool.map(verifier.clearsigned, [signed] * 16)]
    assert texts == [TEXT] * 16


# --- more than one signed text in a file: python-gnupg alone calls most of these valid ------------


def test_a_second_message_by_an_unknown_key(
    verifier: Verifier, signed: bytes, stranger: SigningKey
) -> None:
    with pytest.raises(SignatureInvalid, match="not exactly one"):
        verifier.clearsigned(signed + stranger.clearsign(OTHER))


def test_a_second_block_with_no_signature(verifier: Verifier, signed: bytes) -> None:
    block = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + OTHER
    for data in (signed + block, block + signed):
        with pytest.raises(SignatureInvalid, match="not exactly one"):
            verifier.clearsigned(data)


def test_the_same_message_twice(verifier: Verifier, signed: bytes) -> None:
    with pytest.raises(SignatureInvalid, match="not exactly one"):
        verifier.clearsigned(signed + signed)


def test_an_unknown_message_before_the_good_one(
    verifier: Verifier, signed: bytes, stranger: SigningKey
) -> None:
    with pytest.raises(SignatureInvalid, match="not exactly one"):
        verifier.clearsigned(stranger.clearsign(OTHER) + signed)


@pytest.mark.parametrize("garbage", [b"x", b"\n", b" ", b"\xef\xbb\xbf", OTHER])
def test_something_before_the_message(verifier: Verifier, signed: bytes, garbage: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        verifier.clearsigned(garbage + signed)


@pytest.mark.parametrize("garbage", [b"x", b" \nx\n", b"\0", OTHER])
def test_something_after_the_message(verifier: Verifier, signed: bytes, garbage: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        verifier.clearsigned(signed + garbage)


def test_an_expired_key(gpg: Gpg) -> None:
    then = "--faked-system-time=20200101T000000!"
    gpg(then, "--quick-gen-key", "old", "ed25519", "sign", "2d")
    signed = gpg(then, "--clearsign", data=TEXT)
    with (
        Verifier(gpg("--export"), name="src") as verifier,
        pytest.raises(KeyExpired, match="expir"),
    ):
        verifier.clearsigned(signed)


# --- who signed ----------------------------------------------------------------------------------


def test_a_revoked_key(gpg: Gpg, tmp_path: Path) -> None:
    gpg("--quick-gen-key", "gone", "ed25519", "sign", "never")
    signed = gpg("--clearsign", data=TEXT)
    revocation = next((tmp_path / "g" / "openpgp-revocs.d").iterdir())
    gpg("--import", data=revocation.read_bytes().replace(b"\n:-----BEGIN", b"\n-----BEGIN"))
    keyring = gpg("--export")
    with Verifier(keyring, name="src") as verifier, pytest.raises(KeyExpired, match="revoked"):
        verifier.clearsigned(signed)


def test_a_key_that_the_source_does_not_have(verifier: Verifier, stranger: SigningKey) -> None:
    with pytest.raises(KeyNotTrusted, match=stranger.fingerprint[-16:]):
        verifier.clearsigned(stranger.clearsign(TEXT))


def test_a_key_of_the_keyring_that_is_not_allowed(key: SigningKey, stranger: SigningKey) -> None:
    both = key.public_binary() + stranger.public_binary()
    signed = stranger.clearsign(TEXT)
    with Verifier(both, name="src") as any_key:
        assert any_key.clearsigned(signed).fingerprint == stranger.fingerprint
    with (
        Verifier(both, [key.fingerprint], name="src") as only_one,
        pytest.raises(KeyNotTrusted, match=stranger.fingerprint),
    ):
        only_one.clearsigned(signed)


def test_a_subkey_may_be_named_and_its_primary_key_is_told(gpg: Gpg) -> None:
    gpg("--quick-gen-key", "two", "ed25519", "cert", "never")
    listing = gpg("--with-colons", "--list-keys").decode()
    primary = re.findall(r"^fpr:+([0-9A-F]{40}):", listing, re.MULTILINE)[0]
    gpg("--quick-add-key", primary, "ed25519", "sign", "never")
    listing = gpg("--with-colons", "--list-keys").decode()
    subkey = re.findall(r"^fpr:+([0-9A-F]{40}):", listing, re.MULTILINE)[1]
    signed, keyring = gpg("--clearsign", data=TEXT), gpg("--export")
    for allowed in (primary, subkey.lower(), " ".join(re.findall("....", subkey))):
        with Verifier(keyring, [allowed], name="src") as verifier:
            assert verifier.clearsigned(signed).fingerprint == primary


def test_fingerprints_that_the_keyring_does_not_hold(key: SigningKey, signed: bytes) -> None:
    with (
        Verifier(key.public_binary(), ["A" * 40], name="src") as verifier,
        pytest.raises(KeyNotTrusted, match="holds none of the fingerprints"),
    ):
        verifier.clearsigned(signed)


@pytest.mark.parametrize("text", ["", "ABCD", "0123456789ABCDEF", "Z" * 40])
def test_what_is_not_a_whole_fingerprint(text: str) -> None:
    with pytest.raises(SourceInvalid, match="not a fingerprint"):
        Verifier(b"", [text], name="src")


# --- what was signed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"), [(b"index:1.0", b"index:1.1"), (b"\n}", b"\n,}"), (b"Hash: SHA512", b"X: y")]
)
def test_an_altered_text(verifier: Verifier, signed: bytes, old: bytes, new: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        verifier.clearsigned(signed.replace(old, new))


def test_a_truncated_message(verifier: Verifier, signed: bytes) -> None:
    for length in range(40, len(signed) - 1, 37):
        with pytest.raises(MirrorError) as caught:
            verifier.clearsigned(signed[:length])
        assert isinstance(caught.value, SignatureInvalid)


@pytest.mark.parametrize("data", [b"", TEXT, b"<html>log in</html>"])
def test_a_text_that_is_not_signed(verifier: Verifier, data: bytes) -> None:
    with pytest.raises(Unsigned):
        verifier.clearsigned(data)


def test_a_sha1_signature(gpg: Gpg) -> None:
    gpg("--quick-gen-key", "weak", "rsa1024", "sign", "never")
    signed = gpg("--digest-algo=SHA1", "--clearsign", data=TEXT)
    with (
        Verifier(gpg("--export"), name="src") as verifier,
        pytest.raises(SignatureInvalid, match="SHA-1"),
    ):
        verifier.clearsigned(signed)


def test_two_signatures_on_one_text(gpg: Gpg) -> None:
    gpg("--quick-gen-key", "one", "ed25519", "sign", "never")
    gpg("--quick-gen-key", "two", "ed25519", "sign", "never")
    signed = gpg("--local-user=one", "--local-user=two", "--clearsign", data=TEXT)
    with (
        Verifier(gpg("--export"), name="src") as verifier,
        pytest.raises(SignatureInvalid, match="2 signatures"),
    ):
        verifier.clearsigned(signed)


# --- detached ------------------------------------------------------------------------------------


def test_detached_signatures_armored_and_binary(verifier: Verifier, key: SigningKey) -> None:
    armored = key.detach(TEXT)
    binary = subprocess.run(["gpg", "--dearmor"], input=armored, capture_output=True, check=True)
    for signature in (armored, binary.stdout):
        verified = verifier.detached(TEXT, signature)
        assert (verified.plaintext, verified.fingerprint) == (TEXT, key.fingerprint)


def test_detached_signature_of_something_else(verifier: Verifier, key: SigningKey) -> None:
    with pytest.raises(SignatureInvalid):
        verifier.detached(TEXT + b" ", key.detach(TEXT))


def test_detached_by_a_stranger(verifier: Verifier, stranger: SigningKey) -> None:
    with pytest.raises(KeyNotTrusted):
        verifier.detached(TEXT, stranger.detach(TEXT))


def test_what_is_not_one_detached_signature(
    verifier: Verifier, key: SigningKey, stranger: SigningKey, signed: bytes
) -> None:
    good, foreign = key.detach(TEXT), stranger.detach(TEXT)
    for signature in (good + good, good + foreign, foreign + good, signed, b"x" + good, TEXT):
        with pytest.raises(SignatureInvalid):
            verifier.detached(TEXT, signature)
    with pytest.raises(Unsigned):
        verifier.detached(TEXT, b"\n")


def test_two_binary_signatures(verifier: Verifier, key: SigningKey) -> None:
    binary = subprocess.run(
        ["gpg", "--dearmor"], input=key.detach(TEXT), capture_output=True, check=True
    ).stdout
    with pytest.raises(SignatureInvalid, match="2 signatures"):
        verifier.detached(TEXT, binary + binary)


# --- keyrings ------------------------------------------------------------------------------------


def test_keyring_files(tmp_path: Path, key: SigningKey, signed: bytes) -> None:
    for content in (key.public_binary(), b"a comment\n" + key.public_armored()):
        (tmp_path / "ring").write_bytes(content)
        with Verifier(load_keyring(tmp_path / "ring"), name="src") as verifier:
            assert verifier.clearsigned(signed).plaintext == TEXT


def test_a_keyring_file_that_is_missing_or_a_directory(tmp_path: Path) -> None:
    with pytest.raises(KeyringMissing, match="No such file"):
        load_keyring(tmp_path / "none.gpg")
    with pytest.raises(KeyringMissing, match="directory"):
        load_keyring(tmp_path)


def test_a_keyring_file_that_is_something_else(tmp_path: Path, key: SigningKey) -> None:
    secret = next((key.home / "private-keys-v1.d").iterdir()).read_bytes()
    keybox = (key.home / "pubring.kbx").read_bytes()
    for content in (b"", b"hello\n", secret, keybox):
        (tmp_path / "ring").write_bytes(content)
        with pytest.raises(KeyringInvalid):
            load_keyring(tmp_path / "ring")


@pytest.mark.parametrize("keyring", [b"", b"hello", b"\x99\x00\x05hello"])
def test_a_keyring_with_no_key(keyring: bytes, signed: bytes) -> None:
    with Verifier(keyring, name="src") as verifier, pytest.raises(KeyringInvalid, match="src"):
        verifier.clearsigned(signed)


def test_a_closed_verifier_leaves_nothing(
    key: SigningKey, signed: bytes, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with Verifier(key.public_binary(), name="src") as verifier:
        assert list(temporary.iterdir()) == []
        verifier.clearsigned(signed)
        (home,) = temporary.iterdir()
        assert home.stat().st_mode & 0o777 == 0o700
        assert not list(home.glob("S.gpg-agent*"))
    assert list(temporary.iterdir()) == []
