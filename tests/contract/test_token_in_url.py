"""Clients that know nothing of tokens read a mirror whose reading is closed."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest
from certificates import make_certificate

from mirror.access.tokens import make, parse
from mirror.model import Role
from mirror.server.options import ServerOptions
from mirror.server.serving import running_server
from mirror.testing.sstream import mirrored_files, sstream_mirror, sstream_query


@pytest.fixture
async def published(mut, sample_upstream, serve):
    """A mirror that has synced the sample to `stable`."""
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os~(ubuntu|centos)")
    await mut.sync()
    return mut


@pytest.fixture
def keyring(published, tmp_path):
    keyring = tmp_path / "mirror.gpg"
    keyring.write_bytes(published.mirror.key.public_binary())
    return keyring


@asynccontextmanager
async def closed(mut, **more):
    options = ServerOptions(data_dir=str(mut.root), port=0, reading="token", **more)
    async with running_server(options) as url:
        yield url


def token(mut, *channels):
    return mut.mirror.tokens.create("MAAS", Role.READER, channels, by="test").secret


@pytest.mark.parametrize("channels", [(), ("stable",)])
@pytest.mark.parametrize("suffix", ["/streams/v1/index.sjson", "", "/"])
async def test_a_token_in_the_path(published, keyring, tmp_path, suffix, channels, caplog):
    caplog.set_level(logging.INFO)
    secret = token(published, *channels)
    async with closed(published, access_log=True) as url:
        address = f"{url}/t/{secret}/images/stable{suffix}"
        outcome = await asyncio.to_thread(
            sstream_mirror, address, tmp_path / "out", keyring=keyring
        )
    assert outcome.status == 0, outcome.errors
    assert mirrored_files(tmp_path / "out") == published.published()
    assert "/streams/v1/index.sjson" in caplog.text
    assert parse(secret).secret not in caplog.text


async def test_a_token_as_the_password_of_the_url(published, keyring, tmp_path):
    secret = token(published)
    async with closed(published) as url:
        address = url.replace("://", f"://maas:{secret}@") + "/images/stable/"
        outcome = await asyncio.to_thread(
            sstream_mirror, address, tmp_path / "out", keyring=keyring
        )
    assert outcome.status == 0, outcome.errors
    assert mirrored_files(tmp_path / "out") == published.published()


async def test_without_a_good_token_there_is_nothing(published, keyring, tmp_path):
    revoked = published.mirror.tokens.create("gone", Role.READER, by="test")
    published.mirror.tokens.revoke(revoked.token.id, by="test")
    elsewhere = token(published, "candidate")
    async with closed(published) as url:
        for prefix in ("", f"/t/{make().text}", f"/t/{revoked.secret}", f"/t/{elsewhere}"):
            address = f"{url}{prefix}/images/stable/"
            outcome = await asyncio.to_thread(
                sstream_mirror, address, tmp_path / "out", keyring=keyring
            )
            assert outcome.status != 0
    assert mirrored_files(tmp_path / "out") == {}


async def test_over_tls(published, keyring, tmp_path, monkeypatch):
    certificate, key = make_certificate(tmp_path, "tls", kind="rsa")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    secret = token(published)
    tls = {"tls_certificate": str(certificate), "tls_key": str(key)}
    async with closed(published, **tls) as url:
        assert url.startswith("https://")
        address = f"{url}/t/{secret}/images/stable/"
        outcome = await asyncio.to_thread(
            sstream_mirror, address, tmp_path / "out", keyring=keyring
        )
        items = await asyncio.to_thread(sstream_query, address, keyring=keyring)
    assert outcome.status == 0, outcome.errors
    assert mirrored_files(tmp_path / "out") == published.published()
    assert {item["path"] for item in items} == set(published.published())
