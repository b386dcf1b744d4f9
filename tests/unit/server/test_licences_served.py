"""Images that are not free, as time goes on: caches, switches, withdrawn licences, a lost log."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import shutil
import sqlite3
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest

from mirror.model import FileRef, Role, Snapshot, View, utcnow
from mirror.service import Mirror as Service
from mirror.settings import Settings

PRO, SUB = "proprietary", "subscription"
INDEX = "streams/v1/index.json"
WINDOWS, UBUNTU = b"windows" * 1000, b"ubuntu" * 1000


@pytest.fixture
def service(mirror):
    with Service.open(Settings(data_dir=mirror.root)) as service:
        yield service


@pytest.fixture
def token(service):
    def token(*licences, role=Role.READER, channels=()):
        return service.tokens.create("test", role, channels, licences=licences, by="test").secret

    return token


@pytest.fixture
def publish(mirror):
    """Publish files, {path: (bytes, licence)}; the metadata says which view it is of."""
    times = iter(range(1, 1000))

    def ref(data, licence=""):
        found = mirror.store.blobs.add_bytes(data)
        return FileRef(found.sha256, found.size, "", licence)

    def publish(files, *, channel="stable", at=None):
        updated = utcnow().replace(year=2025) + timedelta(hours=next(times))
        views = {
            name: View(
                {INDEX: ref(f"{name} {updated}".encode() * 99)},
                {INDEX: {"gzip": ref(gzip.compress(f"{name} {updated}".encode() * 99))}},
            )
            for name in {licence for _, licence in files.values() if licence}
        }
        everyone = f"everyone {updated}".encode() * 99
        snapshot = Snapshot(
            created=updated,
            updated=updated,
            files={INDEX: ref(everyone), **{p: ref(*file) for p, file in files.items()}},
            variants={INDEX: {"gzip": ref(gzip.compress(everyone))}},
            views=views,
        )
        snapshot_id = mirror.store.snapshots.save(snapshot)
        mirror.store.channels.switch(channel, snapshot_id, "test", at=at)
        return snapshot_id

    return publish


FILES = {"w": (WINDOWS, PRO), "u": (UBUNTU, "")}


@asynccontextmanager
async def asking(mirror, **options):
    async with (
        mirror.serving(**options) as url,
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):

        async def ask(path, token="", method="GET", **headers):
            headers.setdefault("Accept-Encoding", "identity")
            if token:
                headers["Authorization"] = f"Bearer {token}"
            async with session.request(method, url + path, headers=headers) as answer:
                with contextlib.suppress(aiohttp.ClientPayloadError):
                    return answer.status, answer.headers, await answer.read()

        ask.url = url
        yield ask


def test_a_role_gives_no_licence(token, service):
    assert {each.licences for each in service.tokens.list()} == set()
    token(role=Role.ADMIN)
    assert [each.licences for each in service.tokens.list()] == [()]


async def test_caches_know_for_whom_an_answer_is(mirror, publish, service, token):
    publish(FILES)
    publish({"u": (UBUNTU, "")}, channel="free")
    service.channels.allow("stable", [PRO], by="test")
    licensed = token(PRO)
    at, free = f"/images/stable/{INDEX}", f"/images/free/{INDEX}"
    async with asking(mirror) as ask:
        for who, word, cache in (
            ("", b"everyone", "no-cache"),
            (licensed, b"pro", "private, no-cache"),
        ):
            for coding in ("identity", "gzip"):
                status, headers, body = await ask(at, who, **{"Accept-Encoding": coding})
                assert status == 200
                varies = [v for line in headers.getall("Vary") for v in line.split(", ")]
                assert varies == ["Accept-Encoding", "Authorization"]
                assert headers["Cache-Control"] == cache
                text = gzip.decompress(body) if coding == "gzip" else body
                assert text.startswith(word)
                again = {"If-None-Match": headers["ETag"], "Accept-Encoding": coding}
                assert (await ask(at, who, **again))[0] == 304
                other = "" if who else licensed
                assert (await ask(at, other, **again))[0] == 200
        _, headers, _ = await ask(free, licensed)
        assert headers.getall("Vary") == ["Accept-Encoding"]
        assert headers["Cache-Control"] == "no-cache"
        for path in (
            "/images/stable/w",
            "/images/stable/nope",
            "/snapshots/x/y",
            "/blobs/sha256/0",
        ):
            status, headers, body = await ask(path)
            assert (status, body) == (404, b"404: not found\n")
            assert headers["Vary"] == "Authorization"
        assert (await ask("/images/stable/u", licensed))[1]["Cache-Control"].startswith("public")
        _, headers, body = await ask("/images/stable/w", licensed)
        assert headers["Cache-Control"].startswith("private")
        assert body == WINDOWS
        closed = [await ask(f"/t/{licensed}{at}"), await ask(f"/t/{licensed}/images/stable/w")]
        for _, headers, _ in closed:
            assert len(headers.getall("Referrer-Policy")) == 1
            assert ",".join(headers.getall("Vary")).count("Authorization") == 1


async def test_a_server_that_runs_sees_what_a_channel_allows(
    mirror, publish, service, token, eventually
):
    publish(FILES)
    licensed = token(PRO)
    snapshot = mirror.store.channels.current("stable")
    blob = mirror.blob(WINDOWS).sha256
    paths = ("/images/stable/w", f"/snapshots/{snapshot}/w", f"/blobs/sha256/{blob}")
    async with asking(mirror) as ask:

        async def answers(code):
            return [(await ask(path, licensed, "HEAD"))[0] for path in paths] == [code] * 3

        assert await answers(404)
        service.channels.allow("stable", [SUB], by="test")
        await asyncio.sleep(1)
        assert await answers(404)
        service.channels.allow("stable", [PRO], by="test")
        await eventually(lambda: answers(200), 3)
        assert (await ask(f"/images/stable/{INDEX}", licensed))[2].startswith(b"pro")
        service.channels.disallow("stable", [PRO], by="test")
        await eventually(lambda: answers(404), 3)
        assert (await ask(f"/images/stable/{INDEX}", licensed))[2].startswith(b"everyone")
        service.channels.allow("stable", [PRO], by="test")
        await eventually(lambda: answers(200), 3)
        mirror.store.channels.remove("stable")
        mirror.store.channels.switch("stable", snapshot, "made anew")
        await eventually(lambda: answers(404), 3)


async def test_a_channel_that_can_not_be_brought_up_to_date_allows_no_more_than_it_does(
    mirror, publish, service, token, eventually
):
    publish(FILES)
    service.channels.allow("stable", [PRO], by="test")
    licensed = token(PRO)
    async with asking(mirror) as ask:
        assert (await ask("/images/stable/w", licensed))[0] == 200
        second = publish({"w": (WINDOWS + b"2", PRO)})
        mirror.store.snapshots.root.joinpath(f"{second}.json.zst").write_bytes(b"damaged")
        service.channels.disallow("stable", [PRO], by="test")

        async def is_hidden():
            return (await ask("/images/stable/w", licensed))[0] == 404

        await eventually(is_hidden, 3)
        assert (await ask("/images/stable/u"))[2] == UBUNTU


async def test_files_of_superseded_snapshots(mirror, publish, service, token):
    first = publish(FILES, at=utcnow() - timedelta(minutes=9))
    publish({"u": (UBUNTU, "")}, at=utcnow() - timedelta(minutes=5))
    service.channels.allow("stable", [PRO], by="test")
    licensed, limited = token(PRO), token(PRO, channels=["stable"])
    away = token(PRO, channels=["elsewhere"])
    async with asking(mirror, grace=timedelta(hours=1)) as ask:
        for who, code in (("", 404), (token(), 404), (away, 404), (licensed, 200), (limited, 200)):
            for path in ("/images/stable/w", f"/snapshots/{first}/w"):
                assert (await ask(path, who))[0] == code, path
        assert (await ask(f"/snapshots/{first}/{INDEX}", limited))[2].startswith(b"pro")
        assert (await ask(f"/snapshots/{first}/{INDEX}", away))[2].startswith(b"everyone")
        assert len(service.audit.list(action="download")) == 4


async def test_a_snapshot_that_only_others_channels_have(mirror, publish, service, token):
    """A channel that a token is limited to says nothing of what is elsewhere."""
    publish({"u": (UBUNTU, "")})
    hidden = publish(FILES, channel="hidden")
    service.channels.allow("stable", [PRO], by="test")
    async with asking(mirror) as ask:
        assert (await ask(f"/snapshots/{hidden}/w", token(PRO, channels=["stable"])))[0] == 404
        assert (await ask(f"/snapshots/{hidden}/w", token(PRO)))[0] == 200
        assert (await ask("/images/hidden/w", token(PRO)))[0] == 404


async def test_what_can_not_be_recorded_is_not_sent(mirror, publish, service, token):
    snapshot = publish(FILES)
    service.channels.allow("stable", [PRO], by="test")
    licensed = token(PRO)
    blob = mirror.blob(WINDOWS).sha256
    paths = ("/images/stable/w", f"/snapshots/{snapshot}/w", f"/blobs/sha256/{blob}")
    async with asking(mirror) as ask:
        assert (await ask(paths[0], licensed))[0] == 200  # the token is known by now
        with contextlib.closing(sqlite3.connect(mirror.store.dir.catalog)) as catalog:
            catalog.execute("ALTER TABLE audit RENAME TO aside")
            catalog.commit()
            for path in paths:
                for ranged in ({}, {"Range": "bytes=0-3"}):
                    status, headers, body = await ask(path, licensed, **ranged)
                    assert status == 503
                    assert b"MIR-807" in body
                    assert b"windows" not in body
                    assert headers["Cache-Control"] == "no-store"
                assert (await ask(path, licensed, "HEAD"))[0] == 200
                assert (await ask(path))[0] == 404
            assert (await ask("/images/stable/u", licensed))[2] == UBUNTU
            catalog.execute("ALTER TABLE aside RENAME TO audit")
            catalog.commit()
        assert (await ask(paths[0], licensed))[2] == WINDOWS
    assert len(service.audit.list(action="download")) == 2


async def test_many_at_once_are_each_on_record(mirror, publish, service, token):
    publish(FILES)
    service.channels.allow("stable", [PRO], by="test")
    licensed = token(PRO)
    async with asking(mirror) as ask:
        ranges = [f"bytes={n}-{n}" for n in range(40)]
        done = await asyncio.gather(*(ask("/images/stable/w", licensed, Range=r) for r in ranges))
    assert [(status, body) for status, _, body in done] == [
        (206, WINDOWS[n : n + 1]) for n in range(40)
    ]
    found = service.audit.list(action="download", limit=100)
    assert sorted(bytes(each.after).decode().count('"ranges":["') for each in found) == [1] * 40


async def test_marks_that_a_backup_had_not_are_there_before_anyone_asks(
    mirror, publish, service, token
):
    publish(FILES)
    service.channels.allow("stable", [PRO], by="test")
    shutil.rmtree(mirror.store.restricted.root)
    blob = f"/blobs/sha256/{mirror.blob(WINDOWS).sha256}"
    async with asking(mirror) as ask:
        assert (await ask(blob))[0] == 404
        assert (await ask(blob, token(PRO)))[0] == 200


async def test_a_blob_is_hidden_from_the_moment_that_it_is_marked(mirror, publish, token):
    """An image that is taken in is marked before any snapshot has it."""
    publish({"u": (UBUNTU, "")})
    blob = mirror.blob(WINDOWS).sha256
    path = f"/blobs/sha256/{blob}"
    async with asking(mirror) as ask:
        assert (await ask(path))[0] == 200
        mirror.store.restricted.mark(blob, PRO)
        assert (await ask(path))[0] == 404  # though it is open, and was sent a moment ago
        assert (await ask(path, token(PRO)))[0] == 404  # no channel allows it


async def test_reading_everything_takes_no_token_store(mirror, publish):
    """What is free is served though there is no catalogue to look tokens up in."""
    publish(FILES)
    mirror.store.dir.catalog.unlink()
    async with asking(mirror) as ask:
        for path in ("/images/stable/u", f"/images/stable/{INDEX}"):
            assert (await ask(path))[0] == 200
        assert (await ask("/images/stable/u", "mirror_nonsense"))[0] == 200
        assert (await ask("/images/stable/w"))[0] == 404
