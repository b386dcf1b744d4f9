"""The verbs of boot sources: what may be added and changed, and how each source is."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from mirror_ubuntu.images import UbuntuImages

from mirror.api import SourceDefault
from mirror.errors import (
    AlreadyExists,
    BodyInvalid,
    CredentialsInUrl,
    DefaultKeyringMissing,
    KeyNotKnown,
    KeyNotTrusted,
    KeyringInvalid,
    KeyringMissing,
    NameInvalid,
    NotFound,
    Rollback,
    SourceInvalid,
)
from mirror.model import BootSource
from mirror.plugin_manager import Plugins
from mirror.simplestreams.verify import Seen
from mirror.testing.sample import SampleUpstream

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = "http://127.0.0.1:9/"


@pytest.fixture
def sources(mut):
    return mut.mirror.sources


@pytest.fixture
def good(sample_upstream) -> dict[str, object]:
    return {
        "name": "main",
        "url": "http://images.example/",
        "keyring": str(sample_upstream.keyring),
    }


def audited(mut) -> list[tuple[str, str, str]]:
    return [(e.actor, e.action, e.subject) for e in mut.mirror.catalog.audit.page()]


def seen_of(mut, name: str = "main") -> dict[str, Seen]:
    return msgspec.json.decode(mut.mirror.catalog.memory(name).seen, type=dict[str, Seen])


# --- what may be added ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"name": "../x"}, NameInvalid, "can't be the name"),
        ({"name": ""}, NameInvalid, "can't be the name"),
        ({"url": "ftp://images.example/"}, SourceInvalid, "not an http or https URL"),
        ({"url": "images.example/stable"}, SourceInvalid, "not an http or https URL"),
        ({"url": "http://images.example/?a=b"}, SourceInvalid, "query"),
        ({"url": "http://me:s3cret@images.example/"}, CredentialsInUrl, "images.example"),
        ({"url": "http://s3cret@images.example/"}, CredentialsInUrl, "images.example"),
        ({"fallback_urls": ["http://me:s3cret@b.example/"]}, CredentialsInUrl, "b.example"),
        ({"fallback_urls": ["file:///etc/passwd"]}, SourceInvalid, "not an http or https URL"),
        ({"proxy": "http://me:s3cret@proxy:3128"}, CredentialsInUrl, "proxy:3128"),
        ({"proxy": "socks5://proxy"}, SourceInvalid, "proxy must be"),
        ({"no_proxy": "10.0.0.0/40"}, SourceInvalid, "10.0.0.0/40"),
        ({"ca_file": "/nonexistent"}, SourceInvalid, "CA file /nonexistent"),
        ({"username": "me", "password_file": "/nonexistent"}, SourceInvalid, "/nonexistent"),
        ({"password_file": "/nonexistent"}, SourceInvalid, "no user name"),
        (
            {"username": "me", "url": "https://a.example/", "fallback_urls": ["http://b.example/"]},
            SourceInvalid,
            "in the clear",
        ),
        ({"trust": "maybe"}, SourceInvalid, "trust is 'maybe'"),
        ({"bandwidth": -1}, SourceInvalid, "bandwidth"),
        ({"max_staleness": "-P1D"}, SourceInvalid, "max_staleness"),
        ({"fingerprints": ["1234ABCD"]}, SourceInvalid, "40 hex digits"),
        ({"fingerprints": ["A" * 40]}, KeyNotTrusted, "none of the fingerprints"),
        ({"keyring": "/nonexistent"}, KeyringMissing, "/nonexistent"),
        ({"keyring": "/etc/passwd"}, KeyringInvalid, "/etc/passwd"),
        ({"keyring": "", "keyring_data": "bm90IGEga2V5"}, KeyringInvalid, "no OpenPGP"),
        ({"keyring": "", "keyring_data": "not base64!"}, KeyringInvalid, "neither"),
        ({"keyring_data": "bm90IGEga2V5"}, SourceInvalid, "give one of them"),
        ({"keyring": ""}, SourceInvalid, "no keyring"),
        ({"keyring": "", "fingerprints": ["A" * 40]}, KeyNotKnown, "A" * 40),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(mut, sources, good, changes, error, says):
    with pytest.raises(error) as raised:
        sources.add(msgspec.convert({**good, **changes}, BootSource), by="test")
    assert says in raised.value.what
    assert "s3cret" not in f"{raised.value.what} {raised.value.remedy}"
    assert sources.list() == []
    assert audited(mut) == []


def test_no_secret_key_is_ever_stored(sources, good, tmp_path: Path, signing_key):
    private = (
        b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ==\n-----END PGP PRIVATE KEY BLOCK-----\n"
    )
    for keyring in (private, signing_key.public_armored() + private):
        good |= {"keyring": "", "keyring_data": keyring.decode()}
        with pytest.raises(KeyringInvalid, match="secret key"):
            sources.add(msgspec.convert(good, BootSource), by="test")


def test_a_keyring_may_be_given_as_text(sources, signing_key, other_signing_key):
    binary = base64.encodebytes(signing_key.public_binary()).decode()  # with line breaks
    for name, text in (("armored", signing_key.public_armored().decode()), ("base64", binary)):
        added = sources.add(BootSource(name=name, url=NOBODY, keyring_data=text), by="test")
        assert sources.get(name) == added
    narrowed = BootSource(
        name="other", url=NOBODY, keyring_data=binary, fingerprints=(other_signing_key.fingerprint,)
    )
    with pytest.raises(KeyNotTrusted):
        sources.add(narrowed, by="test")


def test_fingerprints_may_have_spaces_and_are_stored_without(sources, good, signing_key):
    spaced = " ".join(signing_key.fingerprint[i : i + 4] for i in range(0, 40, 4)).lower()
    added = sources.add(msgspec.convert({**good, "fingerprints": [spaced]}, BootSource), by="test")
    assert added.fingerprints == (signing_key.fingerprint,)


def test_a_second_one_of_the_name_is_refused(sources, good):
    sources.add(BootSource(**good), by="test")
    with pytest.raises(AlreadyExists):
        sources.add(BootSource(**good), by="test")


# --- keys that are known --------------------------------------------------------------------------


def test_a_key_of_another_source_is_known_by_its_fingerprint(sources, good, signing_key):
    sources.add(BootSource(**good), by="test")
    added = sources.add(
        BootSource(name="second", url=NOBODY, fingerprints=(signing_key.fingerprint,)), by="test"
    )
    # its file, so that a new one in its place counts for both
    assert added.keyring == good["keyring"]
    sources.remove("main", by="test")
    assert sources.get("second") == added


def test_a_key_given_as_text_is_known_too(sources, signing_key, other_signing_key):
    both = signing_key.public_armored() + other_signing_key.public_armored()
    sources.add(BootSource(name="main", url=NOBODY, keyring_data=both.decode()), by="test")
    added = sources.add(
        BootSource(name="second", url=NOBODY, fingerprints=(signing_key.fingerprint,)), by="test"
    )
    from mirror.signing.keyring import decode_keyring, keys_of

    [key] = keys_of(decode_keyring(added.keyring_data))
    assert key.fingerprint == signing_key.fingerprint
    assert key.names == ("Sample upstream",)


def test_the_mirrors_own_key_is_known(mut, sources):
    own = mut.mirror.key.fingerprint
    added = sources.add(BootSource(name="peer", url=NOBODY, fingerprints=(own,)), by="test")
    assert "PUBLIC KEY" in added.keyring_data


def test_keys_of_two_sources_are_put_together(sources, signing_key, other_signing_key):
    for name, key in (("one", signing_key), ("two", other_signing_key)):
        text = key.public_armored().decode()
        sources.add(BootSource(name=name, url=NOBODY, keyring_data=text), by="test")
    prints = (signing_key.fingerprint, other_signing_key.fingerprint)
    added = sources.add(BootSource(name="both", url=NOBODY, fingerprints=prints), by="test")
    from mirror.signing.keyring import decode_keyring, keys_of

    found = {key.fingerprint for key in keys_of(decode_keyring(added.keyring_data))}
    assert found == set(prints)


async def test_a_source_whose_key_is_known_syncs(mut, sources, sample_upstream, serve):
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, NOBODY)
    mirrored = BootSource(
        name="second", url=served.url, fingerprints=(sample_upstream.fingerprint,)
    )
    sources.add(mirrored, by="test")
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    result = await mut.sync()
    assert (result.status, [problem.about for problem in result.sources]) == ("published", ["main"])
    assert sources.state("second").fingerprint == sample_upstream.fingerprint


async def test_a_keyring_file_that_was_replaced_counts_from_the_next_sync_on(
    mut, sample_upstream, other_signing_key, tmp_path: Path, serve
):
    ring = tmp_path / "ring.gpg"
    ring.write_bytes(sample_upstream.keyring.read_bytes())
    url = serve(sample_upstream.root).url
    mut.mirror.sources.add(BootSource(name="main", url=url, keyring=str(ring)), by="test")
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    await mut.sync()
    sample_upstream.key = other_signing_key  # the publisher changed the key
    sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.write()
    with pytest.raises(KeyNotTrusted, match=other_signing_key.fingerprint):
        await mut.sync()
    ring.write_bytes(other_signing_key.public_binary())
    assert len((await mut.sync()).added) == 1
    ring.unlink()
    with pytest.raises(KeyringMissing):
        await mut.sync()


# --- changes --------------------------------------------------------------------------------------


def test_every_field_can_be_changed(sources, good, sample_upstream, tmp_path: Path):
    (tmp_path / "secret").write_text("x")
    sources.add(BootSource(**good), by="test")
    changes = {
        "url": "http://b.example/",
        "fallback_urls": ["http://c.example/"],
        "fingerprints": [sample_upstream.fingerprint],
        "priority": 7,
        "enabled": False,
        "proxy": "http://proxy:3128",
        "proxy_username": "me",
        "proxy_password_file": str(tmp_path / "secret"),
        "no_proxy": "10.0.0.0/8",
        "username": "me",
        "password_file": str(tmp_path / "secret"),
        "bandwidth": 1_000_000,
        "max_staleness": "P3D",
    }
    after = sources.update("main", changes, by="test")
    assert sources.get("main") == after
    stored = msgspec.json.decode(msgspec.json.encode(after))
    before = msgspec.json.decode(msgspec.json.encode(BootSource(**good)))
    assert stored == {**before, **changes}
    assert set(stored) - set(changes) == {"name", "keyring", "keyring_data", "ca_file", "trust"}
    by_python = sources.update("main", {"max_staleness": timedelta(days=9)}, by="test")
    assert by_python.max_staleness == timedelta(days=9)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"nonsense": 1}, BodyInvalid),
        ({"priority": "high"}, BodyInvalid),
        ({"enabled": None}, BodyInvalid),
        ({"fallback_urls": "http://b.example/"}, BodyInvalid),
        ({"name": "other"}, BodyInvalid),
        ({"url": "http://me:s3cret@b.example/"}, CredentialsInUrl),
        ({"keyring": "/nonexistent"}, KeyringMissing),
    ],
)
def test_a_change_that_cannot_be_changes_nothing(mut, sources, good, changes, error):
    sources.add(BootSource(**good), by="test")
    with pytest.raises(error) as raised:
        sources.update("main", changes, by="test")
    assert "s3cret" not in raised.value.what
    assert sources.get("main") == BootSource(**good)
    assert audited(mut) == [("test", "source.add", "main")]


def test_changes_are_audited_with_before_and_after(mut, sources, good):
    sources.add(BootSource(**good), by="a@host")
    sources.update("main", {"priority": 3}, by="b@host")
    sources.update("main", {"priority": 3}, by="c@host")  # no change, no entry
    sources.remove("main", by="d@host")
    assert audited(mut) == [
        ("d@host", "source.remove", "main"),
        ("b@host", "source.update", "main"),
        ("a@host", "source.add", "main"),
    ]
    change = mut.mirror.catalog.audit.page()[1]
    before, after = (
        msgspec.json.decode(raw, type=BootSource) for raw in (change.before, change.after)
    )
    assert (before.priority, after.priority) == (0, 3)


@pytest.mark.parametrize("verb", ["get", "state", "remove", "update"])
def test_one_that_is_not_there(sources, verb):
    arguments = {"remove": {"by": "x"}, "update": {"changes": {}, "by": "x"}}.get(verb, {})
    with pytest.raises(NotFound, match="'nobody'"):
        getattr(sources, verb)("nobody", **arguments)


async def test_another_url_is_read_whole_and_what_was_seen_is_not_forgotten(
    mut, sources, sample_upstream, tmp_path: Path, serve
):
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, served.url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    await mut.sync()
    seen = seen_of(mut)
    assert seen
    moved = serve(sample_upstream.root)
    sources.update("main", {"url": moved.url}, by="test")
    assert seen_of(mut) == seen
    await mut.sync()
    assert moved.requests[0].status == 200  # not conditional
    older = SampleUpstream.create(
        tmp_path / "older",
        key=sample_upstream.key,
        updated=datetime.now(UTC).replace(microsecond=0) - timedelta(days=2),
    )
    sources.update("main", {"url": serve(older.root).url}, by="test")
    with pytest.raises(Rollback):
        await mut.sync()
    await mut.sync(accept_rollback=True)
    assert sources.state("main").state == "good"


async def test_a_source_that_was_removed_begins_anew(mut, sources, sample_upstream, serve):
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    await mut.sync()
    sources.remove("main", by="test")
    mut.add_source(sample_upstream, NOBODY)
    assert seen_of(mut) == {}
    assert sources.state("main").state == "unread"


# --- defaults -------------------------------------------------------------------------------------

CLOUD_KEYRING = "/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg"


def test_plugins_suggest_sources(sources):
    by_name = {each.name: each for each in sources.defaults()}
    assert set(by_name) == {"maas-stable", "maas-candidate"}
    for name, default in by_name.items():
        label = name.removeprefix("maas-")
        assert default.url == f"http://images.maas.io/ephemeral-v3/{label}/"
        assert default.keyring == CLOUD_KEYRING


class Suggesting(UbuntuImages):
    """A distribution whose keyring is where the test wants it."""

    def __init__(self, *suggested: SourceDefault) -> None:
        self._suggested = suggested

    def default_sources(self) -> tuple[SourceDefault, ...]:
        return self._suggested


def test_a_default_whose_keyring_is_not_here_says_how_to_get_it(
    mut, sources, tmp_path: Path, signing_key
):
    ring = tmp_path / "example.gpg"
    default = SourceDefault(
        name="example",
        url="http://images.example/",
        keyring=str(ring),
        title="Example",
        package="example-keyring",
        fingerprints=(signing_key.fingerprint,),
    )
    mut.mirror.__dict__["plugins"] = Plugins((Suggesting(default),), ())
    with pytest.raises(DefaultKeyringMissing) as raised:
        sources.from_default("example")
    assert str(ring) in raised.value.what
    for way in ("apt install example-keyring", f"--fingerprint {signing_key.fingerprint}"):
        assert way in raised.value.remedy
    ring.write_bytes(signing_key.public_binary())
    added = sources.add(sources.from_default("example"), by="test")
    assert (added.name, added.keyring) == ("example", str(ring))
    known = BootSource(name="two", url=NOBODY, fingerprints=(signing_key.fingerprint,))
    sources.remove("example", by="test")
    assert sources.add(known, by="test").keyring == str(ring)  # also of a default not added


def test_a_plugin_that_fails_to_suggest_suggests_nothing(mut, sources):
    class Broken(UbuntuImages):
        def default_sources(self) -> tuple[SourceDefault, ...]:
            raise RuntimeError("no idea")

    mut.mirror.__dict__["plugins"] = Plugins((Broken(),), ())
    assert sources.defaults() == []


def test_a_default_with_a_keyring_of_ones_own(sources, sample_upstream):
    changes = {"keyring": str(sample_upstream.keyring), "name": "ubuntu", "priority": 4}
    added = sources.add(sources.from_default("maas-stable", changes), by="test")
    assert (added.name, added.priority) == ("ubuntu", 4)
    assert added.url == "http://images.maas.io/ephemeral-v3/stable/"
    assert added.keyring == str(sample_upstream.keyring)


def test_a_default_that_nobody_suggests(sources):
    with pytest.raises(NotFound, match="'maas-daily'"):
        sources.from_default("maas-daily")
