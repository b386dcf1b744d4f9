from __future__ import annotations

import re
import string
from urllib.parse import quote

import pytest

from mirror.access.tokens import Credential, hash_secret, make, matches, parse, redact


def test_a_token_goes_into_a_url_as_it_is():
    token = make().text
    assert quote(token, safe="") == token
    assert re.fullmatch(r"mirror_[a-z0-9]{10}_[A-Za-z0-9]{43}", token)


def test_a_secret_has_192_bits_or_more():
    letters = len(string.ascii_letters + string.digits)
    assert letters ** len(make().secret) > 2**192
    made = {make() for _ in range(2000)}
    assert len({each.secret for each in made}) == len({each.id for each in made}) == 2000
    assert len(set("".join(each.secret for each in made))) == letters


def test_what_was_made_can_be_taken_apart():
    made = make()
    assert parse(made.text) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mirror",
        "mirror_",
        "mirror__",
        "Mirror_abcdefghij_" + "x" * 43,
        "mirror_abcdefghij_" + "x" * 42,
        "mirror_abcdefghij_" + "x" * 44,
        "mirror_ABCDEFGHIJ_" + "x" * 43,
        "mirror_abcdefghij_" + "x" * 42 + "\u00e9",
        "mirror_abcdefghij_" + "x" * 42 + "\u0663",
        "mirror_abcdefghij_" + "x" * 43 + "\n",
        " mirror_abcdefghij_" + "x" * 43,
        "x" * 100_000,
    ],
)
def test_what_is_no_token_is_not_taken_for_one(text):
    assert parse(text) is None


def test_only_the_right_secret_matches():
    secret = make().secret
    stored = hash_secret(secret)
    assert stored.startswith("$argon2id$")
    assert secret not in stored
    assert matches(stored, secret)
    assert not matches(stored, secret[:-1])
    assert not matches(stored, make().secret)
    assert not matches(stored, "")


def test_two_hashes_of_one_secret_differ():
    assert hash_secret("x") != hash_secret("x")


@pytest.mark.parametrize("stored", ["", "x", "$argon2id$v=19$m=8,t=1,p=1$x$y", "\u00e9"])
def test_a_damaged_hash_matches_nothing(stored):
    assert not matches(stored, "x")


TOKEN = Credential("abcdefghij", "S" * 43)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"GET /t/{TOKEN.text}/images/x", "GET /t/mirror_abcdefghij_***/images/x"),
        (f"/t/{TOKEN.text}", "/t/mirror_abcdefghij_***"),
        (f"/t/{TOKEN.text}?x", "/t/mirror_abcdefghij_***?x"),
        (f"Bearer {TOKEN.text}", "Bearer mirror_abcdefghij_***"),
        (f"{TOKEN.text}{TOKEN.text}", "mirror_abcdefghij_***"),
        (f"{TOKEN.text},{TOKEN.text}", "mirror_abcdefghij_***,mirror_abcdefghij_***"),
        ("/t/guess/images", "/t/***/images"),
        ("/t/mirror%5Fabcdefghij%5FSSSS/images", "/t/***/images"),
        ("/t/mirror_abcdefghij_SSSS-SSSS/images", "/t/***/images"),
        ("http://a/t/x/images and /t/y/z", "http://a/t/***/images and /t/***/z"),
        ("/images/stable/t", "/images/stable/t"),
        ("mirror_ubuntu", "mirror_ubuntu"),
    ],
)
def test_a_secret_is_taken_out_of_a_text(text, redacted):
    assert redact(text) == redacted
