from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

import pytest

from mirror.access.tokens import make, parse
from mirror.errors import BodyInvalid, NameInvalid, NotFound, StoreError, TokenRequired
from mirror.model import Role, utcnow


@pytest.fixture
def mirror(mut):
    return mut.mirror


def test_a_new_token_lets_its_holder_in(mirror):
    until = utcnow() + timedelta(days=1)
    made = mirror.tokens.create("MAAS", Role.READER, ("stable",), until, by="me")
    token = mirror.tokens.authenticate(made.secret)
    assert token == made.token == mirror.tokens.current(made.token.id)
    assert (token.name, token.role, token.channels) == ("MAAS", Role.READER, ("stable",))
    assert (token.expires, token.created_by, token.revoked) == (until, "me", None)
    assert mirror.tokens.list() == [token]


def test_no_secret_is_in_the_data_directory(mirror):
    made = mirror.tokens.create("MAAS", Role.ADMIN, by="me")
    mirror.tokens.revoke(made.token.id, by="me")
    secret = parse(made.secret).secret.encode()
    files = [file for file in mirror.settings.data_dir.rglob("*") if file.is_file()]
    read = [file for file in files if "catalog" in file.name]
    assert read
    assert not any(secret in file.read_bytes() for file in read)


def test_an_unknown_a_wrong_and_no_token_are_refused_alike(mirror):
    made = parse(mirror.tokens.create("MAAS", Role.ADMIN, by="me").secret)
    said = set()
    for presented in (make().text, made._replace(secret=make().secret).text, "nonsense", ""):
        with pytest.raises(TokenRequired) as refused:
            mirror.tokens.authenticate(presented)
        said.add(str(refused.value))
    assert len(said) == 1


def test_a_revoked_token_is_refused_for_good(mirror):
    made = mirror.tokens.create("MAAS", Role.ADMIN, by="me")
    revoked = mirror.tokens.revoke(made.token.id, by="you")
    assert revoked.revoked is not None
    assert mirror.tokens.revoke(made.token.id, by="you") == revoked
    for refused in (
        lambda: mirror.tokens.authenticate(made.secret),
        lambda: mirror.tokens.current(made.token.id),
    ):
        with pytest.raises(TokenRequired):
            refused()
    assert not mirror.tokens.any_usable()


def test_an_expired_token_is_refused(mirror, monkeypatch):
    made = mirror.tokens.create("MAAS", Role.ADMIN, (), utcnow() + timedelta(hours=1), by="me")
    assert mirror.tokens.any_usable()
    later = utcnow() + timedelta(hours=1)
    monkeypatch.setattr("mirror.service.tokens.utcnow", lambda: later)
    with pytest.raises(TokenRequired):
        mirror.tokens.authenticate(made.secret)
    assert not mirror.tokens.any_usable()


@pytest.mark.parametrize("name", ["", " ", " x", "x ", "a\nb", "\x1b[31m", "x" * 65, "a\u2028b"])
def test_a_name_is_what_can_be_shown_on_a_line(mirror, name):
    with pytest.raises(NameInvalid):
        mirror.tokens.create(name, Role.READER, by="me")
    assert mirror.tokens.list() == []


@pytest.mark.parametrize("channel", ["", "..", "a/b", "a b", "-x", "x" * 65, "a\n"])
def test_a_channel_is_a_name_of_a_channel(mirror, channel):
    with pytest.raises(NameInvalid):
        mirror.tokens.create("x", Role.READER, (channel,), by="me")


@pytest.mark.parametrize(
    "expires",
    [utcnow(), utcnow() - timedelta(days=1), datetime(2999, 1, 1)],  # noqa: DTZ001
)
def test_an_expiry_is_a_time_to_come_with_a_zone(mirror, expires):
    with pytest.raises(BodyInvalid):
        mirror.tokens.create("x", Role.READER, (), expires, by="me")


def test_what_is_not_there_can_not_be_revoked(mirror):
    with pytest.raises(NotFound):
        mirror.tokens.revoke("abcdefghij", by="me")


def test_who_did_what_is_written_down_without_hash_or_secret(mirror):
    made = mirror.tokens.create("MAAS", Role.READER, by="me@here")
    mirror.tokens.revoke(made.token.id, by="you@there")
    mirror.tokens.revoke(made.token.id, by="again@there")
    revoke, create = mirror.audit.list()
    assert (create.actor, create.action, create.subject) == (
        "me@here",
        "token.create",
        made.token.id,
    )
    assert (revoke.actor, revoke.action) == ("you@there", "token.revoke")
    assert bytes(create.before) == b"null"
    assert bytes(revoke.before) == bytes(create.after)
    for value in (create.after, revoke.before, revoke.after):
        assert b"argon2" not in bytes(value)
        assert parse(made.secret).secret.encode() not in bytes(value)


def test_passwords_are_kept_out_of_the_audit_log(mirror):
    secret = make()
    value = {
        "proxy": "http://user:hunter2@proxy.example:3128",
        "deep": [{"said": f"used {secret.text}"}],
        "password_file": "/etc/mirror/password",
    }
    mirror.catalog.audit.record("me", "source.add", "x", None, value)
    [entry] = mirror.audit.list()
    after = bytes(entry.after).decode()
    assert "hunter2" not in after
    assert secret.secret not in after
    assert "/etc/mirror/password" in after
    assert "proxy.example:3128" in after


def test_the_audit_log_is_read_in_pages_newest_first(mirror):
    for number in range(7):
        mirror.catalog.audit.record("me", "x.y", str(number))
    first = mirror.audit.list(limit=3)
    second = mirror.audit.list(before=first[-1].id, limit=3)
    third = mirror.audit.list(before=second[-1].id, limit=3)
    assert [e.subject for e in (*first, *second, *third)] == ["6", "5", "4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
        "INSERT OR REPLACE INTO audit (id, actor) VALUES (1, 'nobody')",
        "REPLACE INTO audit (id, actor) VALUES (1, 'nobody')",
        "UPDATE OR REPLACE audit SET id = 2 WHERE id = 1",
    ],
)
def test_the_audit_log_only_grows(mirror, sql):
    mirror.catalog.audit.record("me", "source.add", "x")
    mirror.catalog.audit.record("me", "source.add", "y")
    before = mirror.audit.list()
    with pytest.raises(StoreError, match="append-only"), mirror.catalog.database.transaction() as c:
        c.execute(sql)
    assert mirror.audit.list() == before
    # nor for a program of someone else's that opens the file
    with sqlite3.connect(mirror.dir.catalog) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute(sql)
    other.close()
    assert mirror.audit.list() == before
