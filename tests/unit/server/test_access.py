"""Tokens over HTTP: what is closed, for whom it opens, and what nobody gets to see."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from yarl import URL

from mirror.access.tokens import make, parse
from mirror.model import Role, utcnow
from mirror.server import access
from mirror.service import Mirror as Service
from mirror.settings import Settings

BLOB = b"an image" * 1000
FILES = {
    "streams/v1/index.json": b'{"index": {}}',
    "a/boot-kernel": BLOB,
}


@pytest.fixture
def service(mirror):
    """The verbs of the mirror that is served."""
    with Service.open(Settings(data_dir=mirror.root)) as service:
        assert service.tokens.list() == []  # there is a catalogue before there is a snapshot
        yield service


@pytest.fixture
def token(service):
    def token(role=Role.READER, *channels, **more):
        return service.tokens.create("test", role, channels, by="test", **more).secret

    return token


@asynccontextmanager
async def closed(mirror, **more):
    async with (
        mirror.serving(reading="token", **more) as url,
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):

        async def get(path, method="GET", **kw):
            headers = kw.pop("headers", {})
            bearer = kw.pop("token", None)
            if bearer is not None:
                headers = {**headers, "Authorization": f"Bearer {bearer}"}
            at = URL(url + path, encoded=True)
            async with session.request(method, at, headers=headers, **kw) as answer:
                return answer.status, answer.headers, await answer.read()

        get.url = url
        yield get


async def test_closed_images_need_a_token_wherever_they_are(mirror, token):
    snapshot = mirror.publish(FILES)
    sha256 = mirror.blob(BLOB).sha256
    paths = (
        "/images/stable/streams/v1/index.json",
        "/images/stable/a/boot-kernel",
        f"/snapshots/{snapshot}/a/boot-kernel",
        f"/blobs/sha256/{sha256}",
    )
    good = token()
    async with closed(mirror) as get:
        for path in paths:
            for method in ("GET", "HEAD"):
                status, headers, _ = await get(path, method)
                assert status == 401
                assert {h.split()[0] for h in headers.getall("WWW-Authenticate")} == {
                    "Basic",
                    "Bearer",
                }
                assert headers["Cache-Control"] == "no-store"
                assert (await get(path, method, token=good))[0] == 200
        assert (await get(paths[1], token=good))[2] == BLOB


async def test_what_does_not_exist_is_401_too_without_a_token_and_404_with_one(mirror, token):
    mirror.publish(FILES)
    good = token()
    async with closed(mirror) as get:
        known = await get("/images/stable/a/boot-kernel")
        for path in ("/images/nope/x", "/images/stable/nope", "/snapshots/x/y", "/blobs/sha256/00"):
            unknown = await get(path)
            assert (unknown[0], unknown[2]) == (known[0], known[2])
            assert (await get(path, token=good))[0] == 404


async def test_keys_and_health_stay_open(mirror):
    mirror.publish(FILES)
    async with closed(mirror) as get:
        for path in ("/keys/mirror.gpg", "/keys/mirror.asc", "/healthz", "/readyz"):
            assert (await get(path))[0] == 200


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_a_token_may_come_as_bearer_as_password_or_as_user(mirror, token):
    mirror.publish(FILES)
    good = token()
    path = "/images/stable/a/boot-kernel"
    async with closed(mirror) as get:
        for value in (
            f"Bearer {good}",
            f"bearer {good}",
            f"  Bearer   {good} ",
            basic("anyone", good),
            basic("", good),
            basic(good, ""),
        ):
            assert (await get(path, headers={"Authorization": value}))[0] == 200, value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "{t}",
        "Token {t}",
        "Bearer {t} {t}",
        "Bearer {t},{t}",
        "Bearer {t}x",
        "Bearer x{t}",
        "Basic {t}",
        "Basic !!!!",
        "Basic /////w==",
        "Digest username={t}",
        "Bearer \u00e9",
    ],
)
async def test_what_is_not_quite_a_credential_is_refused(mirror, token, ask, value):
    mirror.publish(FILES)
    value = value.replace("{t}", token())
    async with closed(mirror) as get:
        head = f"GET /images/stable/a/boot-kernel HTTP/1.1\r\nHost: x\r\nAuthorization: {value}\r\n"
        answer = await ask(get.url, head.encode() + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert BLOB not in answer


async def test_the_wrong_user_with_an_empty_password_is_refused(mirror, token):
    mirror.publish(FILES)
    good = token()
    async with closed(mirror) as get:
        for value in (basic("x", ""), basic(good, "x"), basic("", "")):
            answer = await get("/images/stable/a/boot-kernel", headers={"Authorization": value})
            assert answer[0] == 401


async def test_of_several_authorization_headers_none_counts(mirror, token, ask):
    mirror.publish(FILES)
    good = token()
    lines = [f"Authorization: Bearer {each}\r\n" for each in (good, make().text)]
    async with closed(mirror) as get:
        for both in (lines, lines[::-1], [lines[0]] * 2):
            head = "GET /images/stable/a/boot-kernel HTTP/1.1\r\nHost: x\r\n" + "".join(both)
            answer = await ask(get.url, head.encode() + b"Connection: close\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 401 ")


async def test_expired_revoked_and_unknown_tokens_are_refused_alike(mirror, service, token):
    mirror.publish(FILES)
    revoked = token()
    service.tokens.revoke(parse(revoked).id, by="test")
    expired = token(expires=utcnow() + timedelta(seconds=1))
    forged = parse(token())._replace(secret=make().secret).text
    await asyncio.sleep(1.2)
    async with closed(mirror) as get:
        said = {
            (await get("/images/stable/a/boot-kernel", token=bad))[2]
            for bad in (revoked, expired, forged, make().text)
        }
    assert len(said) == 1
    assert b"MIR-801" in said.pop()


async def test_a_token_that_expires_while_it_is_remembered_is_refused(mirror, token):
    mirror.publish(FILES)
    short = token(expires=utcnow() + timedelta(seconds=2))
    async with closed(mirror) as get:
        assert (await get("/images/stable/a/boot-kernel", token=short))[0] == 200
        await asyncio.sleep(2.1)
        assert (await get("/images/stable/a/boot-kernel", token=short))[0] == 401


async def test_a_token_that_is_revoked_while_it_is_remembered_dies_soon(
    mirror, service, token, eventually
):
    mirror.publish(FILES)
    good = token()
    async with closed(mirror) as get:
        assert (await get("/images/stable/a/boot-kernel", token=good))[0] == 200
        service.tokens.revoke(parse(good).id, by="test")

        async def refused():
            return (await get("/images/stable/a/boot-kernel", token=good))[0] == 401

        await eventually(refused, access.REREAD + 2)
        assert access.REREAD <= 30


async def test_a_token_in_the_path_opens_what_a_header_opens(mirror, token):
    snapshot = mirror.publish(FILES)
    sha256 = mirror.blob(BLOB).sha256
    good = token()
    async with closed(mirror) as get:
        for path in (
            "/images/stable/streams/v1/index.json",
            "/images/stable/a/boot-kernel",
            f"/snapshots/{snapshot}/a/boot-kernel",
            f"/blobs/sha256/{sha256}",
            "/keys/mirror.gpg",
            "/keys/mirror.asc",
        ):
            status, headers, body = await get(f"/t/{good}{path}")
            assert status == 200, path
            assert body
            assert headers["Cache-Control"].startswith("private")
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "public" not in headers["Cache-Control"]
        part = await get(f"/t/{good}/images/stable/a/boot-kernel", headers={"Range": "bytes=8-15"})
        assert (part[0], part[2]) == (206, b"an image")
        etag = (await get(f"/t/{good}/images/stable/a/boot-kernel"))[1]["ETag"]
        again = await get(f"/t/{good}/images/stable/a/boot-kernel", headers={"If-None-Match": etag})
        assert again[0] == 304
        assert again[1]["Cache-Control"].startswith("private")


async def test_a_path_with_a_token_leads_nowhere_else(mirror, token):
    mirror.publish(FILES)
    good = token(Role.ADMIN)
    tricks = (
        "/t/{t}/api/v1/tokens",
        "/t/{t}/metrics",
        "/t/{t}/healthz",
        "/t/{t}/",
        "/t/{t}",
        "/t/{t}//images/stable/a/boot-kernel",
        "/t/{t}/x/../images/stable/a/boot-kernel",
        "/t/{t}/../images/stable/a/boot-kernel",
        "/t/{t}/%2e%2e/images/stable/a/boot-kernel",
        "/t/{t}/%69mages/stable/a/boot-kernel",
        "/t/{t}/t/{t}/images/stable/a/boot-kernel",
        "/t/{t}/keys/../images/stable/a/boot-kernel",
        "/t/{t}/keys/mirror.gpg/",
        "/t/{t}/keys/mirror.gpg?x",
        "/t/{t}/images/stable/..%2fstable/a/boot-kernel",
    )
    async with closed(mirror) as get:
        for path in tricks:
            assert (await get(path.replace("{t}", good)))[0] == 404, path
            assert (await get(path.replace("{t}", make().text)))[0] == 401, path


@pytest.mark.parametrize(
    "path",
    [
        "/t/../images/stable/a/boot-kernel",
        "/t/x/../../images/stable/a/boot-kernel",
        "/t/./images/stable/a/boot-kernel",
        "/t//images/stable/a/boot-kernel",
        "//images/stable/a/boot-kernel",
        "/./images/stable/a/boot-kernel",
        "/x/../images/stable/a/boot-kernel",
        "/%69mages/stable/a/boot-kernel",
        "/images%2fstable/a/boot-kernel",
        "/IMAGES/stable/a/boot-kernel",
        "/images/stable/a/boot-kernel?token=x",
        "/images/../images/stable/a/boot-kernel",
        "http://x/images/stable/a/boot-kernel",
        "http://x/t/y/images/stable/a/boot-kernel",
        "http://x//images/stable/a/boot-kernel",
        "/t/%2e%2e/images/stable/a/boot-kernel",
        "/images/stable/a/boot-kernel#x",
        "\\images\\stable\\a\\boot-kernel",
    ],
)
async def test_no_spelling_of_a_path_opens_what_is_closed(mirror, ask, path):
    mirror.publish(FILES)
    async with closed(mirror) as get:
        for method in ("GET", "HEAD", "POST", "OPTIONS", "FOO"):
            request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            answer = await ask(get.url, request.encode())
            assert re.match(rb"HTTP/1.[01] (400|401|404|405) ", answer), (method, answer[:200])
            assert BLOB not in answer


async def test_a_percent_encoded_token_is_the_same_token(mirror, token):
    mirror.publish(FILES)
    encoded = "".join(f"%{ord(letter):02x}" for letter in token())
    async with closed(mirror) as get:
        assert (await get(f"/t/{encoded}/images/stable/a/boot-kernel"))[2] == BLOB


async def test_with_reading_open_no_header_is_looked_at_and_a_path_token_must_be_good(
    mirror, token
):
    mirror.publish(FILES)
    mirror.publish(FILES, channel="other")
    good, limited = token(), token(Role.READER, "other")
    async with mirror.serving() as url, aiohttp.ClientSession() as session:

        async def status(path, **headers):
            async with session.get(url + path, headers=headers) as answer:
                return answer.status

        path = "/images/stable/a/boot-kernel"
        assert await status(path) == 200
        assert await status(path, Authorization="Bearer nonsense") == 200
        assert await status(f"/t/{good}{path}") == 200
        assert await status(f"/t/{make().text}{path}") == 401
        assert await status(f"/t/{limited}{path}") == 404
        assert await status(f"/t/{limited}/images/other/a/boot-kernel") == 200
        async with session.get(url + path) as answer:
            assert answer.headers["Cache-Control"].startswith("public")
            assert "Referrer-Policy" not in answer.headers


async def test_a_token_for_channels_opens_those_only(mirror, token):
    old = mirror.publish(FILES, channel="site-a")
    other_old = mirror.publish({**FILES, "b": b"b"}, channel="site-b")
    now = mirror.publish({**FILES, "c": b"c"}, channel="site-a")
    lonely = mirror.save({"d": b"d"})
    sha256 = mirror.blob(BLOB).sha256
    limited = token(Role.OPERATOR, "site-a", "not-yet")
    expected = {
        "/images/site-a/a/boot-kernel": 200,
        "/images/site%2da/a/boot-kernel": 200,
        f"/snapshots/{now}/c": 200,
        f"/snapshots/{old}/a/boot-kernel": 200,
        "/images/site-b/a/boot-kernel": 404,
        "/images/site-b/nope": 404,
        "/images/not-yet/x": 404,
        f"/snapshots/{other_old}/b": 404,
        f"/snapshots/{lonely}/d": 404,
        f"/blobs/sha256/{sha256}": 404,
        "/images/site-a/../site-b/a/boot-kernel": 404,
        "/images/%2e%2e/site-b/a/boot-kernel": 404,
        "/images//site-a/a/boot-kernel": 404,
    }
    unlimited = token()
    async with closed(mirror) as get:
        for path, status in expected.items():
            assert (await get(path, token=limited))[0] == status, path
            assert (await get(f"/t/{limited}{path}"))[0] == status, path
        for path in (f"/snapshots/{lonely}/d", f"/blobs/sha256/{sha256}"):
            assert (await get(path, token=unlimited))[0] == 200


@pytest.mark.parametrize("role", Role)
async def test_every_role_may_read(mirror, token, role):
    mirror.publish(FILES)
    good = token(role)
    async with closed(mirror) as get:
        assert (await get("/images/stable/a/boot-kernel", token=good))[0] == 200


async def test_a_token_is_in_no_log(mirror, token, ask, caplog):
    mirror.publish(FILES)
    good = token()
    damaged = mirror.blob_path(BLOB)
    damaged.chmod(0o600)
    damaged.write_bytes(BLOB[:100])
    caplog.set_level(logging.DEBUG)
    async with closed(mirror, access_log=True) as get:
        address = f"{get.url}/t/{good}/images/stable/streams/v1/index.json"
        assert (await get(f"/t/{good}/images/stable/a/boot-kernel"))[0] == 500
        assert (await get("/healthz", headers={"Referer": address, "User-Agent": good}))[0] == 200
        assert (await get("/images/stable/a/boot-kernel", token=good))[0] == 500
        assert (await get(f"/t/{good}/nope?{good}"))[0] == 404
        assert (await get(f"/t/{good}x/images"))[0] == 401
        await get(f"/{good}")
        end = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        await ask(get.url, f"GET http://x/t/{good}/images {end}".encode())
        for broken in (f"GET /t/{good}\x01 {end}", f"G\x00T /t/{good} {end}"):
            assert b" 400 " in (await ask(get.url, broken.encode()))[:20]
        await asyncio.sleep(0.1)
    lines = [record for record in caplog.records if record.name.startswith("mirror")]
    assert any("/images/stable/a/boot-kernel" in record.getMessage() for record in lines)
    assert any(record.name == "mirror.access" for record in lines)
    secret = parse(good).secret
    for record in lines:
        assert secret not in record.getMessage()
        assert secret not in str(record.__dict__)


async def test_an_answer_never_repeats_the_token(mirror, token):
    mirror.publish(FILES)
    good = token()
    async with closed(mirror) as get:
        for path in ("/images/stable/nope", "/images/stable/a/boot-kernel", "/keys/nope"):
            for given in (good, make().text):
                _, headers, body = await get(f"/t/{given}{path}")
                assert parse(given).secret not in str(headers) + body.decode(errors="replace")


async def test_a_catalogue_that_fails_opens_nothing(mirror, token):
    mirror.publish(FILES)
    good = token()
    async with closed(mirror) as get:
        catalogue = mirror.root / "catalog.sqlite"
        for file in mirror.root.glob("catalog.sqlite*"):
            file.unlink()
        catalogue.write_bytes(b"this is no database" * 100)
        status, headers, body = await get("/images/stable/a/boot-kernel", token=good)
        assert status == 500
        assert BLOB not in body
        assert b"MIR-5" in body
        assert headers["Cache-Control"] == "no-store"
        # and what is open stays open
        assert (await get("/keys/mirror.gpg"))[0] == 200
