from __future__ import annotations

import contextlib
import urllib.error
import urllib.request

import aiohttp
import pytest

from mirror.errors import NoSpace
from mirror.testing.serve import in_thread, serve_directory, serve_in_thread

BODY = bytes(range(256)) * 40


@pytest.fixture
def root(tmp_path):
    (tmp_path / "served/a").mkdir(parents=True)
    (tmp_path / "served/a/file").write_bytes(BODY)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "served/link").symlink_to(tmp_path / "secret")
    return tmp_path / "served"


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_whole_file(root, http):
    async with serve_directory(root) as url, http.get(f"{url}/a/file") as response:
        assert response.status == 200
        assert response.headers["Accept-Ranges"] == "bytes"
        assert response.headers["ETag"].startswith('"')
        assert response.headers["Last-Modified"]
        assert await response.read() == BODY


async def test_a_range(root, http):
    async with (
        serve_directory(root) as url,
        http.get(f"{url}/a/file", headers={"Range": "bytes=100-299"}) as response,
    ):
        assert response.status == 206
        assert response.headers["Content-Range"] == f"bytes 100-299/{len(BODY)}"
        assert await response.read() == BODY[100:300]


@pytest.mark.parametrize(("fresh", "status"), [(True, 206), (False, 200)])
async def test_if_range_gives_a_part_only_of_the_same_file(root, http, fresh, status):
    async with serve_directory(root) as url:
        async with http.head(f"{url}/a/file") as head:
            tag = head.headers["Last-Modified"] if fresh else "Thu, 01 Jan 1998 00:00:00 GMT"
        headers = {"Range": "bytes=5-", "If-Range": tag}
        async with http.get(f"{url}/a/file", headers=headers) as response:
            assert response.status == status
            assert await response.read() == (BODY[5:] if fresh else BODY)


async def test_a_file_that_is_not_changed(root, http):
    async with serve_directory(root) as url:
        async with http.head(f"{url}/a/file") as head:
            assert head.headers["Content-Length"] == str(len(BODY))
            seen = {"If-None-Match": head.headers["ETag"]}
        async with http.get(f"{url}/a/file", headers=seen) as response:
            assert response.status == 304


async def test_a_range_past_the_end(root, http):
    async with (
        serve_directory(root) as url,
        http.get(f"{url}/a/file", headers={"Range": f"bytes={len(BODY)}-"}) as response,
    ):
        assert response.status == 416
        assert await response.read() == b""


@pytest.mark.parametrize("path", ["missing", "a", "", "link", "%2e%2e/secret", "a%00b"])
async def test_what_is_not_a_file_below_the_root_is_404(root, http, path):
    async with serve_directory(root) as url, http.get(f"{url}/{path}") as response:
        assert response.status == 404


async def test_every_request_is_logged(root, http):
    log = []
    async with serve_directory(root, log) as url:
        await http.get(f"{url}/a/file", headers={"Range": "bytes=0-9"})
        await http.head(f"{url}/missing")
    assert [(entry.method, entry.path, entry.status) for entry in log] == [
        ("GET", "/a/file", 206),
        ("HEAD", "/missing", 404),
    ]
    assert log[0].headers["Range"] == "bytes=0-9"


def test_code_that_blocks_can_use_a_server_in_a_thread(root):
    log = []
    with serve_in_thread(root, log) as url:
        with urllib.request.urlopen(f"{url}/a/file") as response:
            assert response.read() == BODY
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}/missing")
        refused.value.close()
    assert [entry.status for entry in log] == [200, 404]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/a/file")


def test_a_port_in_use_is_said_at_once(root):
    with serve_in_thread(root) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), serve_in_thread(root, port=port):
            pass


@contextlib.asynccontextmanager
async def failing(error: BaseException, *, at_start: bool):
    if at_start:
        raise error
    yield "http://127.0.0.1:1"
    raise error


@pytest.mark.parametrize("error", [KeyError("key"), NoSpace("full"), SystemExit(3)])
def test_whatever_keeps_a_server_from_starting_is_raised(error):
    with pytest.raises(type(error)) as raised, in_thread(failing(error, at_start=True)):
        pytest.fail("it has not started")
    assert raised.value is error


def test_what_goes_wrong_at_its_end_is_raised():
    with pytest.raises(ValueError, match="at the end"):  # noqa: SIM117
        with in_thread(failing(ValueError("at the end"), at_start=False)) as url:
            assert url == "http://127.0.0.1:1"


def test_what_goes_wrong_meanwhile_is_not_hidden_by_its_end():
    with (
        pytest.raises(KeyError, match="meanwhile"),
        in_thread(failing(ValueError("at the end"), at_start=False)),
    ):
        raise KeyError("meanwhile")
