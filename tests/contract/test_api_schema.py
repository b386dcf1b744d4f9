"""The OpenAPI document is valid, and the API is as it says: found out by schemathesis."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import stamina
from api_harness import installed_plugin, mirror_with_images, served_api
from openapi_spec_validator import OpenAPIV31SpecValidator

from mirror.access.licences import GRANTABLE
from mirror.model import Role
from mirror.server import access
from mirror.server.api.table import ROUTES

HERE = Path(__file__).parent
SEED = "20250724"


SHELF = """
    from typing import Annotated

    import msgspec
    from msgspec import Meta
    from mirror.api import CommandFailed, Route, hookimpl

    Name = Annotated[str, Meta(pattern="^[a-z]{1,8}$", max_length=8)]

    class Which(msgspec.Struct, forbid_unknown_fields=True):
        name: Name

    class Wanted(msgspec.Struct, forbid_unknown_fields=True):
        pages: Annotated[int, Meta(ge=1, le=9999)]
        genre: Name = "novel"

    class Page(msgspec.Struct, omit_defaults=True):
        book: Name
        pages: int | None = None
        see_also: list["Page"] = []

    class Search(msgspec.Struct, forbid_unknown_fields=True):
        genre: Name = "novel"
        limit: Annotated[int, Meta(ge=1, le=10)] = 5

    BOOKS = {}

    def list_(call):
        found = [Page(name, book.pages) for name, book in BOOKS.items()]
        return found[: call.query.limit]

    def show(call):
        if call.where.name not in BOOKS:
            raise CommandFailed("there is no such book")
        return Page(call.where.name, BOOKS[call.where.name].pages, [Page("other")])

    def put(call):
        BOOKS[call.where.name] = call.body
        return show(call)

    def drop(call):
        BOOKS.pop(call.where.name, None)

    @hookimpl
    def mirror_routes():
        book = {"path": "/books/{name}", "where": Which}
        return [
            Route(method="GET", path="/books", summary="List the books.", handler=list_,
                  query=Search, returns=list[Page]),
            Route(method="GET", summary="Show a book.", handler=show, returns=Page, **book),
            Route(method="PUT", summary="Set a book.", handler=put, right="operate",
                  body=Wanted, returns=Page, **book),
            Route(method="DELETE", summary="Remove a book.", handler=drop, right="operate",
                  **book),
        ]
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory, signing_key):
    """Return a served mirror that a tool may try wrong tokens and dead addresses on, in no time."""
    with (
        pytest.MonkeyPatch.context() as patch,
        installed_plugin(tmp_path_factory.mktemp("plugins"), "shelf", SHELF),
        mirror_with_images(tmp_path_factory.mktemp("schema"), signing_key) as (mirror, _),
    ):
        patch.setattr(access, "WRONG_BURST", 10**6)
        patch.setattr(access, "TRIES_BURST", 10**6)
        stamina.set_testing(testing=True, attempts=1)
        try:
            with served_api(mirror) as api:
                yield api
        finally:
            stamina.set_testing(testing=False)


@pytest.fixture(scope="module")
def document(api):
    return api("GET", "/openapi.json", token="").json()


def test_the_document_is_valid(document):
    assert document["openapi"] == "3.1.0"
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_the_document_has_every_route(document):
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    own = {(method, path) for method, path in described if "/plugins/shelf/" not in path}
    assert own == {(route.method, f"/api/v1{route.path}") for route in ROUTES}
    books = "/api/v1/plugins/shelf/books"
    one = {(method, books + "/{name}") for method in ("GET", "PUT", "DELETE")}
    assert described - own == {("GET", books), *one}
    names = [each["operationId"] for item in document["paths"].values() for each in item.values()]
    assert len(set(names)) == len(names)


def test_every_field_of_a_body_has_limits(document):
    for name, schema in document["components"]["schemas"].items():
        if schema.get("additionalProperties") is not False:
            continue
        for field, limits in schema["properties"].items():
            for each in limits.get("anyOf", [limits]):
                if each.get("type") == "string" and "format" not in each:
                    assert {"maxLength", "pattern"} <= each.keys(), (name, field)
                if each.get("type") == "integer":
                    assert {"minimum", "maximum"} <= each.keys(), (name, field)
                if each.get("type") == "array":
                    assert "maxItems" in each, (name, field)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_with_no_token(api):
    before = everything(api)
    schemathesis(api, "--phases", "examples,fuzzing,stateful")
    assert everything(api) == before


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_as_an_admin(api):
    # one with every licence: to pass on another is 403
    made = api.mirror.tokens.create("all", Role.ADMIN, licences=GRANTABLE, by="test")
    schemathesis(api, "--header", f"Authorization: Bearer {made.secret}")
    # and it is the mirror that it was: what it publishes can still be read, all of it
    assert api("POST", "/snapshots/stable:verify").json()["damaged"] == []


def schemathesis(api, *options):
    """Let schemathesis try all that it knows; fail with what it says."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{api.url}/api/v1/openapi.json"),
            *("--checks", "all", "--seed", SEED, "--max-examples", "2"),
            *("--request-timeout", "20", "--continue-on-failure", "--warnings", "off"),
            *options,
        ],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        cwd=api.mirror.settings.data_dir.parent,
        env={
            **os.environ,
            "PYTHONPATH": f"{HERE}{os.pathsep}{os.environ['PYTHONPATH']}",
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "NO_COLOR": "1",
        },
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


def everything(api):
    """Return all that is stored: every row of the catalogue, and every file's name and size."""
    root = api.mirror.settings.data_dir
    with sqlite3.connect(api.mirror.dir.catalog) as database:
        rows = list(database.iterdump())
    files = {
        str(file.relative_to(root)): file.stat().st_size
        for file in root.rglob("*")
        if file.is_file() and "catalog.sqlite" not in file.name
    }
    return json.dumps([rows, files], sort_keys=True)
