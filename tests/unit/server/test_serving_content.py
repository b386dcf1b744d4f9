from __future__ import annotations

import gzip
import hashlib
import os

import aiohttp
import pytest
import pytest_asyncio
import zstandard

INDEX = b'{\n "format": "index:1.0",\n "index": {}\n}\n'
KERNEL = bytes(range(256)) * 1000
PRODUCTS = "streams/v1/com.ubuntu.maas:stable:v3:download.sjson"
FILES = {
    "streams/v1/index.json": INDEX,
    "streams/v1/index.json.gpg": b"-----BEGIN PGP SIGNATURE-----\n",
    PRODUCTS: b"-----BEGIN PGP SIGNED MESSAGE-----\n",
    "streams/v1/huge.json": os.urandom(1 << 20) + b"!",
    "noble/amd64/20250704/ga-24.04/generic/boot-kernel": KERNEL,
    "noble/amd64/20250704/empty": b"",
}
KERNEL_PATH = "/images/stable/noble/amd64/20250704/ga-24.04/generic/boot-kernel"
VARIANTS = {
    "streams/v1/index.json": {"gzip": gzip.compress(INDEX), "zstd": zstandard.compress(INDEX)}
}
KERNEL_SHA256 = hashlib.sha256(KERNEL).hexdigest()


# one server for the whole file: nothing here changes it
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def snapshot(shared_mirror):
    return shared_mirror.publish(FILES, VARIANTS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(shared_mirror, snapshot):
    async with shared_mirror.serving() as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def get(url):
    async with aiohttp.ClientSession(base_url=url, auto_decompress=False) as session:

        async def get(path, method="GET", **headers):
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            names.setdefault("Accept-Encoding", "")
            async with session.request(
                method, path, headers=names, allow_redirects=False
            ) as response:
                return response, await response.read()

        yield get


@pytest.mark.parametrize("path", FILES)
async def test_every_path_has_its_bytes(get, path):
    response, body = await get(f"/images/stable/{path}")
    assert response.status == 200
    assert body == FILES[path]
    assert response.headers["Content-Length"] == str(len(FILES[path]))
    assert response.headers["ETag"] == f'"{hashlib.sha256(FILES[path]).hexdigest()}"'
    assert response.headers["Accept-Ranges"] == "bytes"
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize("path", FILES)
async def test_a_snapshot_and_head_say_the_same(get, snapshot, path):
    whole, body = await get(f"/images/stable/{path}")
    for other, method in (
        (f"/images/stable/{path}", "HEAD"),
        (f"/snapshots/{snapshot}/{path}", "GET"),
    ):
        response, other_body = await get(other, method)
        assert response.status == 200
        assert other_body == (b"" if method == "HEAD" else body)
        assert _without_date(response) == _without_date(whole)


def _without_date(response):
    return [item for item in response.headers.items() if item[0] != "Date"]


@pytest.mark.parametrize(
    ("path", "content_type", "cache"),
    [
        ("streams/v1/index.json", "application/json; charset=utf-8", "no-cache"),
        ("streams/v1/index.json.gpg", "text/plain; charset=utf-8", "no-cache"),
        (PRODUCTS, "text/plain; charset=utf-8", "no-cache"),
        (
            "noble/amd64/20250704/empty",
            "application/octet-stream",
            "public, max-age=31536000, immutable",
        ),
    ],
)
async def test_types_and_caching(get, path, content_type, cache):
    response, _ = await get(f"/images/stable/{path}")
    assert response.headers["Content-Type"] == content_type
    assert response.headers["Cache-Control"] == cache
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Last-Modified" in response.headers


async def test_metadata_comes_compressed_to_those_who_ask(get):
    plain, _ = await get("/images/stable/streams/v1/index.json")
    etags = {plain.headers["ETag"]}
    for coding, expand in (("gzip", gzip.decompress), ("zstd", zstandard.decompress)):
        response, body = await get(
            "/images/stable/streams/v1/index.json", Accept_Encoding=f"br, {coding}"
        )
        assert response.headers["Content-Encoding"] == coding
        assert response.headers["Vary"] == "Accept-Encoding"
        assert expand(body) == INDEX
        etags.add(response.headers["ETag"])
    assert plain.headers["Vary"] == "Accept-Encoding"
    assert len(etags) == 3


async def test_files_are_never_compressed(get):
    response, body = await get(KERNEL_PATH, Accept_Encoding="gzip, zstd")
    assert "Content-Encoding" not in response.headers
    assert body == KERNEL


async def test_a_range_is_of_the_plain_file(get):
    response, body = await get(
        "/images/stable/streams/v1/index.json", Range="bytes=2-9", Accept_Encoding="gzip"
    )
    assert response.status == 206
    assert "Content-Encoding" not in response.headers
    assert body == INDEX[2:10]


@pytest.mark.parametrize("path", ["/images/stable/streams/v1/index.json", KERNEL_PATH])
async def test_what_the_client_has_is_not_sent_again(get, path):
    whole, _ = await get(path)
    etag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]
    for headers in ({"If_None_Match": etag}, {"If_Modified_Since": modified}):
        response, body = await get(path, **headers)
        assert response.status == 304
        assert body == b""
        assert response.headers["ETag"] == etag
        assert response.headers["Cache-Control"] == whole.headers["Cache-Control"]
    response, body = await get(path, If_None_Match='"other"')
    assert response.status == 200
    response, body = await get(path, If_Match='"other"')
    assert (response.status, body) == (412, b"")


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [("bytes=0-0", 0, 0), ("bytes=1000-1999", 1000, 1999), ("bytes=-10", 255990, 255999)],
)
async def test_one_range(get, header, start, end):
    response, body = await get(KERNEL_PATH, Range=header)
    assert response.status == 206
    assert response.headers["Content-Range"] == f"bytes {start}-{end}/256000"
    assert response.headers["Content-Length"] == str(end - start + 1)
    assert body == KERNEL[start : end + 1]


@pytest.mark.parametrize("path", [KERNEL_PATH, "/images/stable/streams/v1/index.json"])
async def test_several_ranges(get, path):
    whole, content = await get(path)
    response, body = await get(path, Range="bytes=0-3,10-12,-2")
    assert response.status == 206
    kind, boundary = response.headers["Content-Type"].split("; boundary=")
    assert kind == "multipart/byteranges"
    first, *parts, last = body.split(f"\r\n--{boundary}".encode())
    assert (first, last) == (b"", b"--\r\n")
    size = len(content)
    expected = [(0, 3), (10, 12), (size - 2, size - 1)]
    for part, (start, end) in zip(parts, expected, strict=True):
        head, data = part.split(b"\r\n\r\n", 1)
        assert data == content[start : end + 1]
        assert f"Content-Range: bytes {start}-{end}/{size}".encode() in head
        assert f"Content-Type: {whole.headers['Content-Type']}".encode() in head


async def test_a_range_past_the_end_is_416_with_no_body(get):
    # python-simplestreams takes the body of an error for the rest of a file that it has whole
    response, body = await get(KERNEL_PATH, Range="bytes=256000-")
    assert (response.status, body) == (416, b"")
    assert response.headers["Content-Length"] == "0"
    assert response.headers["Content-Range"] == "bytes */256000"


async def test_if_range(get):
    response, body = await get(KERNEL_PATH, Range="bytes=5-", If_Range=f'"{KERNEL_SHA256}"')
    assert (response.status, body) == (206, KERNEL[5:])
    response, body = await get(KERNEL_PATH, Range="bytes=5-", If_Range='"other"')
    assert (response.status, body) == (200, KERNEL)


async def test_a_range_means_nothing_to_head(get):
    response, _ = await get(KERNEL_PATH, "HEAD", Range="bytes=5-9")
    assert response.status == 200
    assert response.headers["Content-Length"] == "256000"


async def test_blobs_by_digest(get):
    response, body = await get(f"/blobs/sha256/{KERNEL_SHA256}")
    assert (response.status, body) == (200, KERNEL)
    assert response.headers["ETag"] == f'"{KERNEL_SHA256}"'
    response, body = await get(f"/blobs/sha256/{KERNEL_SHA256}", Range="bytes=1-2")
    assert (response.status, body) == (206, KERNEL[1:3])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_nothing_can_be_done_but_reading(get, method):
    response, _ = await get(KERNEL_PATH, method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"


UNKNOWN = [
    "/images/stable",
    "/images/stable/",
    "/images/",
    "/images",
    "/images/stablestreams/v1/index.sjson",
    "/images/nope/streams/v1/index.json",
    "/images/stable/streams/v1/index.json/",
    "/images/stable/streams/v1/",
    "/images/stable/streams//v1/index.json",
    "/images/stable//streams/v1/index.json",
    "//images/stable/streams/v1/index.json",
    "/images/./stable/streams/v1/index.json",
    "/images/stable/x/../streams/v1/index.json",
    "/images/stable/../../etc/passwd",
    "/images/stable/%2e%2e/%2e%2e/etc/passwd",
    "/images/stable/streams%2Fv1%2Findex.json",
    "/images%2fstable/streams/v1/index.json",
    "/images/stable/streams/v1/index.json%00",
    "/images/stable/streams/v1/index.json%2500",
    "/images/stable/%ff%fe",
    "/images/stable/streams/v1/%69ndex.json.gz",
    "/snapshots/",
    "/snapshots/20260101T000000Z-00000000/streams/v1/index.json",
    "/snapshots/..%2f..%2fx/streams/v1/index.json",
    "/snapshots/../channels/stable",
    "/blobs/sha256/" + "0" * 64,
    "/blobs/sha256/" + KERNEL_SHA256.upper(),
    "/blobs/sha256/" + KERNEL_SHA256 + "/",
    "/blobs/sha256/../../format",
    "/blobs/md5/d41d8cd98f00b204e9800998ecf8427e",
    "/keys/",
    "/keys/secret.gpg",
    "/keys/..%2fformat",
    "/favicon.ico",
    "/",
    "http://elsewhere/etc/passwd",
]


async def test_what_is_unknown_is_404_whatever_it_looks_like(url, ask):
    for target in UNKNOWN:
        answer = await ask(url, _request(target))
        assert answer.startswith(b"HTTP/1.1 404 "), target
        assert b"\r\nLocation:" not in answer, target


async def test_one_path_may_be_spelt_in_more_than_one_way(url, ask):
    for target in (
        "/images/stable/streams/v1/index.json",
        "/images/stable/streams/v1/index.json?x=/../..",
        "/images/stable/streams/v1/%69ndex.json",
        "http://mirror.example/images/stable/streams/v1/index.json",
    ):
        answer = await ask(url, _request(target))
        assert answer.startswith(b"HTTP/1.1 200 "), target
        assert answer.endswith(b"\r\n\r\n" + INDEX), target


async def test_a_colon_may_be_encoded(url, ask):
    for colon in (":", "%3A", "%3a"):
        answer = await ask(url, _request(f"/images/stable/{PRODUCTS}".replace(":", colon)))
        assert answer.endswith(FILES[PRODUCTS]), colon


def _request(target):
    return f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


async def test_http_1_0(url, ask):
    answer = await ask(url, b"GET /images/stable/streams/v1/index.json HTTP/1.0\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(INDEX)
    kept = b"GET /images/stable/streams/v1/index.json HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    last = b"GET /healthz HTTP/1.0\r\n\r\n"
    assert b"\r\nConnection: keep-alive\r\n" in await ask(url, kept + last)


async def test_requests_sent_in_one_go_are_answered_in_order(url, ask):
    paths = ["/images/stable/streams/v1/index.json", KERNEL_PATH] * 5
    requests = [f"GET {path} HTTP/1.1\r\nHost: x\r\n" for path in paths]
    answer = await ask(url, ("\r\n".join(requests) + "Connection: close\r\n\r\n").encode())
    at = 0
    for content in (INDEX, KERNEL) * 5:
        head_end = answer.index(b"\r\n\r\n", at) + 4
        assert answer[at:].startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer[head_end : head_end + len(content)] == content
        at = head_end + len(content)
    assert at == len(answer)


async def test_keys_and_health(get, shared_mirror):
    response, body = await get("/keys/mirror.gpg")
    assert body == shared_mirror.key.public_binary()
    response, body = await get("/keys/mirror.asc")
    assert body == shared_mirror.key.public_armored()
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    response, body = await get("/healthz")
    assert (response.status, body) == (200, b"ok\n")


async def test_nonsense_is_refused_without_a_traceback_in_the_log(url, ask, caplog):
    for request in (b"GET * HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"):
        assert (await ask(url, request)).startswith(b"HTTP/1.0 400 ")
    assert caplog.records == []
