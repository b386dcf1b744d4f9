"""Keyrings as text and as files, what they hold, and keys taken out of them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from mirror.errors import KeyringInvalid, KeyringMissing, SourceInvalid
from mirror.model import BootSource
from mirror.signing.keyring import (
    decode_keyring,
    keyring_of,
    keys_of,
    load_keyring,
    read_fingerprint,
    take_keys,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_text_is_armored_or_base64(signing_key) -> None:
    binary = signing_key.public_binary()
    assert decode_keyring(base64.b64encode(binary).decode()) == binary
    assert decode_keyring(base64.encodebytes(binary).decode()) == binary
    armored = signing_key.public_armored().decode()
    for text in (armored, f"\n{armored}\n\n", armored.replace("\n", "\r\n")):
        [key] = keys_of(decode_keyring(text))
        assert key.fingerprint == signing_key.fingerprint


@pytest.mark.parametrize("text", ["", "%%%", "aGVsbG8=", "-----BEGIN PGP MESSAGE-----\n", "é"])
def test_text_that_is_no_keyring(text: str) -> None:
    with pytest.raises(KeyringInvalid):
        decode_keyring(text)


def test_what_is_too_large_is_not_a_keyring(tmp_path: Path, signing_key) -> None:
    file = tmp_path / "ring"
    file.write_bytes(signing_key.public_binary() + bytes(5 << 20))
    with pytest.raises(KeyringInvalid, match="more than"):
        load_keyring(file)


def test_a_source_names_its_keyring_in_one_of_three_ways(tmp_path: Path, signing_key) -> None:
    binary = signing_key.public_binary()
    file = tmp_path / "ring"
    file.write_bytes(binary)
    text = base64.b64encode(binary).decode()
    assert keyring_of(BootSource("x", "http://x/", keyring=str(file))) == binary
    assert keyring_of(BootSource("x", "http://x/", keyring_data=text)) == binary
    assert keyring_of(BootSource("x", "http://x/")) == b""
    with pytest.raises(KeyringMissing):
        keyring_of(BootSource("x", "http://x/", keyring=str(tmp_path / "none")))


def test_keys_of_a_keyring(signing_key, other_signing_key) -> None:
    both = signing_key.public_armored() + other_signing_key.public_armored()
    keys = {key.fingerprint: key for key in keys_of(both)}
    assert set(keys) == {signing_key.fingerprint, other_signing_key.fingerprint}
    key = keys[signing_key.fingerprint]
    assert (key.names, key.expires) == (("Sample upstream",), None)
    assert key.has(signing_key.fingerprint)
    assert not key.has(other_signing_key.fingerprint)
    assert keys_of(b"\x99 nothing that gpg can read") == ()


def test_taking_keys_out_of_several_keyrings(signing_key, other_signing_key) -> None:
    rings = [signing_key.public_binary(), other_signing_key.public_armored()]
    [key] = keys_of(take_keys(rings, [other_signing_key.fingerprint]).encode())
    assert key.fingerprint == other_signing_key.fingerprint
    assert len(keys_of(take_keys(rings).encode())) == 2
    with pytest.raises(KeyringInvalid):
        take_keys(rings, ["A" * 40])


def test_a_fingerprint_may_be_written_with_spaces_and_small_letters() -> None:
    assert read_fingerprint(" abcd " * 10, "x") == "ABCD" * 10
    for text in ("", "AB" * 19, "AB" * 21, "XY" * 20, "0x" + "AB" * 19):
        with pytest.raises(SourceInvalid, match="40 hex digits"):
            read_fingerprint(text, "x")
