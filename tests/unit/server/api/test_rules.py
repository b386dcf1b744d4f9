"""What holds for every route: errors, conditions, pages, limits, headers."""

from __future__ import annotations

import gzip
import json
import socket
from urllib.parse import urlsplit

import pytest

from mirror.errors import MirrorError
from mirror.server.api.conditions import matches
from mirror.server.api.table import ROUTES

UNSIGNED = {"name": "other", "url": "http://127.0.0.1:1/", "trust": "none"}


def assert_problem(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    said = answer.json()
    assert (said["status"], said["code"]) == (status, code)
    assert said["type"] == f"/api/v1/docs#{code}"
    assert said["title"]
    assert said["detail"]
    assert said["remedy"]
    assert said["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["Cache-Control"] == "no-store"
    return said


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_documents_are_open_to_all(api, path):
    assert api("GET", path, token="").status_code == 200


def test_the_page_works_offline(api):
    answer = api("GET", "/docs", token="")
    assert "<script" not in answer.text
    assert "src=" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_the_page_has_every_route_and_explains_every_error(api):
    page = api("GET", "/docs", token="").text
    for route in ROUTES:
        assert f'id="{route.operation}"' in page

    def every(kind):
        yield kind
        for child in kind.__subclasses__():
            yield from every(child)

    for kind in every(MirrorError):
        if kind.__module__.startswith("mirror.errors"):
            assert f'id="{kind.code}"' in page


@pytest.mark.parametrize("path", ["/nowhere", "/boot-sources/", "/jobs/abc", "/jobs/-1", ""])
def test_nothing_there(api, path):
    assert_problem(api("GET", path), 404, "MIR-720")


def test_a_method_that_it_does_not_take(api):
    answer = api("DELETE", "/boot-sources")
    assert_problem(answer, 405, "MIR-721")
    assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}


def test_a_verb_is_not_a_name(api):
    assert_problem(api("GET", "/boot-sources/main:check"), 405, "MIR-721")


def test_no_token(api):
    answer = api("GET", "/boot-sources", token="")
    assert_problem(answer, 401, "MIR-801")
    assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_a_wrong_token(api):
    assert_problem(api("GET", "/boot-sources", token="mirror_x"), 401, "MIR-801")


def test_a_token_as_a_password(api):
    secret = api.tokens["operator"]
    answer = api("GET", "/boot-sources", token="", auth=("anyone", secret))
    assert answer.status_code == 200


def test_another_sites_page_changes_nothing(api):
    headers = {"Origin": "http://evil.example"}
    answer = api("POST", "/jobs", json={}, headers=headers)
    assert_problem(answer, 403, "MIR-805")


def test_a_name_that_nothing_can_have(api):
    assert_problem(api("GET", "/boot-sources/-x"), 404, "MIR-106")
    assert_problem(api("GET", "/boot-sources/" + "x" * 65), 404, "MIR-106")
    assert_problem(api("GET", "/boot-sources/main%0A"), 404, "MIR-106")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b"nonsense", "malformed"),
        (b'{"name": "a"}', "missing required field `url`"),
        (b'{"name": 1, "url": "http://a.example/"}', "$.name"),
        (b'{"name": "a", "url": "http://a.example/", "x": 1}', "unknown field `x`"),
        (b'{"name": "a", "url": "ftp://a.example/"}', "$.url"),
        (b'{"name": "a", "url": "http://a.example/\\u0000"}', "$.url"),
        (b'{"name": "a\\n", "url": "http://a.example/"}', "$.name"),
        (b'{"name": "a", "url": "http://a.example/", "proxy": "\\u0000"}', "$.proxy"),
        (b'{"name": "a", "url": "http://a.example/", "proxy": "\\ud800"}', "body"),
        (b'{"name": "a", "url": "http://a.example/", "proxy": "\xff"}', "body"),
        (b'{"name": "a", "url": "http://a.example/", "priority": 1e400}', "body"),
        (b'{"name":"a","url":"http://a.example/","priority":%s}' % (b"9" * 5000), "$.priority"),
        (b'{"name":"a","url":"http://a.example/","max_staleness":"1 week"}', "$.max_staleness"),
        (b'{"name":"a","url":"http://a.example/","max_staleness":"P1DT"}', "$.max_staleness"),
        (b'{"name":"a","url":"http://a.example/","fingerprints":["\\u0007"]}', "$.fingerprints"),
        (b"[" * 200_000, "body"),
    ],
)
def test_bodies_that_cant_be_used(api, body, said):
    before = api.get("/audit?limit=1")
    answer = api("POST", "/boot-sources", data=body, headers={"Content-Type": "application/json"})
    assert said in assert_problem(answer, 400, "MIR-111")["detail"]
    assert api.get("/audit?limit=1") == before


def test_a_body_that_is_too_long(api):
    body = b'"' + b"x" * 2**20 + b'"'
    headers = {"Content-Type": "application/json"}
    assert_problem(api("POST", "/boot-sources", data=body, headers=headers), 413, "MIR-722")
    chunked = (body[at : at + 10_000] for at in range(0, len(body), 10_000))
    assert_problem(api("POST", "/boot-sources", data=chunked, headers=headers), 413, "MIR-722")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_bodies_that_are_not_said_to_be_json(api, headers):
    body = json.dumps(UNSIGNED).encode()
    if "Content-Encoding" in headers:
        body = gzip.compress(body)
    assert_problem(api("POST", "/boot-sources", data=body, headers=headers), 415, "MIR-723")


def test_a_body_where_none_is_taken(api):
    assert_problem(api("POST", "/boot-sources/main:check", json={}), 400, "MIR-111")


@pytest.mark.parametrize(
    "query",
    [
        "limt=1",
        "limit=0",
        "limit=1001",
        "limit=ten",
        "limit=1&limit=2",
        "limit=" + "9" * 400,
        "after=%00",
        "after=%FF",
        "&".join(f"a{n}=1" for n in range(60)),
    ],
)
def test_queries_that_cant_be_used(api, query):
    assert_problem(api("GET", f"/boot-sources?{query}"), 400, "MIR-111")


def test_a_cursor_that_never_was(api):
    assert_problem(api("GET", "/jobs?after=yesterday"), 400, "MIR-111")


def test_a_request_id_comes_back(api):
    assert (
        api("GET", "/key", headers={"X-Request-ID": "mine-1"}).headers["X-Request-ID"] == "mine-1"
    )
    odd = api("GET", "/key", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"]
    assert odd != "a b"
    assert odd


def test_a_chunk_that_is_none(api):
    host, port = urlsplit(api.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: application/json\r\nAuthorization: Bearer "
            + api.tokens["admin"].encode()
            + b"\r\n\r\nnonsense\r\n"
        )
        assert b" 400 " in raw.recv(1000)


# --- conditions -----------------------------------------------------------------------------------


def test_what_was_read_is_not_sent_again(api):
    first = api("GET", "/boot-sources/main")
    etag = first.headers["ETag"]
    again = api("GET", "/boot-sources/main", headers={"If-None-Match": f'"other", W/{etag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == etag
    head = api("HEAD", "/boot-sources/main")
    assert (head.headers["ETag"], head.content) == (etag, b"")


def test_whoever_was_slower_is_told(api):
    assert api("POST", "/boot-sources", json=UNSIGNED).status_code == 201
    old = api("GET", "/boot-sources/other").headers["ETag"]
    headers = {"If-Match": old}
    faster = api("PATCH", "/boot-sources/other", json={"priority": 7}, headers=headers)
    assert faster.status_code == 200
    slower = api("PATCH", "/boot-sources/other", json={"priority": 9}, headers=headers)
    assert_problem(slower, 412, "MIR-112")
    assert api.get("/boot-sources/other")["priority"] == 7
    assert_problem(api("DELETE", "/boot-sources/other", headers=headers), 412, "MIR-112")
    current = {"If-Match": faster.headers["ETag"]}
    assert api("DELETE", "/boot-sources/other", headers=current).status_code == 204
    assert_problem(api("DELETE", "/boot-sources/other", headers=current), 404, "MIR-106")


def test_if_match_names_strong_tags_only():
    assert matches('"a", "b"', '"b"')
    assert matches(" * ", '"b"')
    assert not matches('W/"b"', '"b"')
    assert matches('W/"b"', '"b"', weak=True)
    assert not matches("b", '"b"')
    assert not matches("", '"b"')


# --- pages ----------------------------------------------------------------------------------------


def test_a_list_in_pages(api):
    everything = [each["id"] for each in api.get("/audit")["items"]]
    assert len(everything) > 4
    found, url = [], "/audit?limit=2"
    while url:
        answer = api("GET", url)
        page = answer.json()
        assert len(page["items"]) <= 2
        found += [each["id"] for each in page["items"]]
        link = answer.links.get("next", {}).get("url", "")
        assert bool(link) is bool(page["next"])
        url = link.removeprefix("/api/v1")
    assert found == everything


def test_a_short_list_in_pages(api):
    names = [each["name"] for each in api.get("/channels")["items"]]
    first = api.get("/channels?limit=1")
    second = api.get(f"/channels?limit=1&after={first['next']}")
    assert [page["items"][0]["name"] for page in (first, second)] == names
    assert second["next"] == ""
