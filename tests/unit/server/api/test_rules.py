"""What holds for every route: errors, conditions, pages, limits."""

from __future__ import annotations


def test_docs_are_open(api):
    answer = api("GET", "/docs", token="")
    assert answer.status_code == 200
    assert "script" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_list(api):
    assert [each["name"] for each in api.get("/boot-sources")["items"]] == ["main"]
    assert {each["name"] for each in api.get("/channels")["items"]} == {"stable", "candidate"}
