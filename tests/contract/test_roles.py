"""What each role may do over the API: every route, every role.

This table is what was decided, written by hand. The API's own table of routes must agree, and has
no route that is not here.
"""

from __future__ import annotations

import pytest
from api_harness import installed_plugin, mirror_with_images, served_api

from mirror.model import Role
from mirror.server.api.table import ROUTES

NOBODY = ""
ADMIN = {"admin"}
OPERATORS = {"admin", "operator"}

# path parameters are of things that do not exist, and bodies are no good: who is let in is told so
TABLE = {
    ("GET", "/boot-sources"): OPERATORS,
    ("POST", "/boot-sources"): OPERATORS,
    ("POST", "/boot-sources:check"): OPERATORS,
    ("GET", "/boot-sources/{name}"): OPERATORS,
    ("PATCH", "/boot-sources/{name}"): OPERATORS,
    ("DELETE", "/boot-sources/{name}"): OPERATORS,
    ("POST", "/boot-sources/{name}:check"): OPERATORS,
    ("GET", "/boot-sources/{name}/state"): OPERATORS,
    ("GET", "/boot-source-states"): OPERATORS,
    ("GET", "/boot-source-defaults"): OPERATORS,
    ("POST", "/boot-source-defaults/{name}:add"): OPERATORS,
    ("GET", "/selections"): OPERATORS,
    ("POST", "/selections"): OPERATORS,
    ("POST", "/selections:preview"): OPERATORS,
    ("GET", "/selections/{id}"): OPERATORS,
    ("PATCH", "/selections/{id}"): OPERATORS,
    ("DELETE", "/selections/{id}"): OPERATORS,
    ("POST", "/selections/{id}:preview"): OPERATORS,
    ("GET", "/available-images"): OPERATORS,
    ("POST", "/available-images:refresh"): OPERATORS,
    ("GET", "/boot-resources"): OPERATORS,
    ("GET", "/custom-images"): OPERATORS,
    ("POST", "/custom-images:publish"): OPERATORS,
    ("GET", "/custom-images/{os}/{release}/{arch}/{subarch}"): OPERATORS,
    ("PATCH", "/custom-images/{os}/{release}/{arch}/{subarch}"): OPERATORS,
    ("DELETE", "/custom-images/{os}/{release}/{arch}/{subarch}"): OPERATORS,
    ("GET", "/jobs"): OPERATORS,
    ("POST", "/jobs"): OPERATORS,
    ("GET", "/jobs/{id}"): OPERATORS,
    ("GET", "/jobs/{id}/log"): OPERATORS,
    ("GET", "/jobs/{id}/events"): OPERATORS,
    ("POST", "/jobs/{id}:cancel"): OPERATORS,
    ("GET", "/schedule"): OPERATORS,
    ("PUT", "/schedule"): OPERATORS,
    ("GET", "/snapshots"): OPERATORS,
    ("GET", "/snapshots/{snapshot}"): OPERATORS,
    ("DELETE", "/snapshots/{snapshot}"): OPERATORS,
    ("GET", "/snapshots/{snapshot}/contents"): OPERATORS,
    ("GET", "/snapshots/{snapshot}/versions"): OPERATORS,
    ("GET", "/snapshots/{snapshot}/notes"): OPERATORS,
    ("GET", "/snapshots/{snapshot}/diff"): OPERATORS,
    ("POST", "/snapshots/{snapshot}:verify"): OPERATORS,
    ("GET", "/packages"): OPERATORS,
    ("GET", "/channels"): OPERATORS,
    ("GET", "/channels/{channel}"): OPERATORS,
    ("PUT", "/channels/{channel}"): OPERATORS,
    ("DELETE", "/channels/{channel}"): OPERATORS,
    ("GET", "/channels/{channel}/history"): OPERATORS,
    ("GET", "/channels/{channel}/notices"): OPERATORS,
    ("GET", "/channels/{channel}/licences"): OPERATORS,
    ("PUT", "/channels/{channel}/licences"): OPERATORS,
    ("POST", "/channels/{channel}:promote"): OPERATORS,
    ("POST", "/channels/{channel}:rollback"): OPERATORS,
    ("POST", "/channels/{channel}:hold"): OPERATORS,
    ("GET", "/channels/{channel}/pins"): OPERATORS,
    ("POST", "/channels/{channel}/pins"): OPERATORS,
    ("DELETE", "/channels/{channel}/pins/{pin}"): OPERATORS,
    ("GET", "/storage"): OPERATORS,
    ("GET", "/storage/expiry"): OPERATORS,
    ("POST", "/storage:gc"): OPERATORS,
    ("GET", "/tokens"): ADMIN,
    ("POST", "/tokens"): ADMIN,
    ("GET", "/tokens/{id}"): ADMIN,
    ("DELETE", "/tokens/{id}"): ADMIN,
    ("GET", "/audit"): ADMIN,
    ("GET", "/status"): OPERATORS,
    ("GET", "/plugins"): OPERATORS,
    ("GET", "/key"): OPERATORS,
}

SHELF = """
    import msgspec
    from mirror.api import Route, hookimpl

    class Which(msgspec.Struct):
        name: str

    class Book(msgspec.Struct, forbid_unknown_fields=True):
        title: str

    def answer(call):
        return Book("a book")

    @hookimpl
    def mirror_routes():
        book = {"path": "/books/{name}", "handler": answer, "where": Which, "returns": Book}
        return [
            Route(method="GET", summary="Show.", **book),
            Route(method="PUT", summary="Set.", body=Book, right="operate", **book),
            Route(method="DELETE", summary="Remove.", **book),
        ]
"""

PLUGIN = {
    ("GET", "/plugins/shelf/books/{name}"): OPERATORS,
    ("PUT", "/plugins/shelf/books/{name}"): OPERATORS,
    ("DELETE", "/plugins/shelf/books/{name}"): OPERATORS,
    ("GET", "/plugins/shelf/nowhere"): OPERATORS,
}

LIMITED = {
    # what a token for channel `candidate` may do of it
    ("GET", "/channels/candidate"): 200,
    ("GET", "/channels/candidate/history"): 200,
    ("GET", "/channels/candidate/licences"): 200,
    ("PUT", "/channels/candidate/licences"): 400,
    ("GET", "/channels/candidate/pins"): 200,
    ("GET", "/boot-resources?channel=candidate"): 200,
    ("POST", "/channels/candidate:promote"): 400,  # let in; the body is no good
    ("POST", "/channels/candidate:rollback"): 400,
    ("POST", "/channels/candidate:hold"): 400,
    ("POST", "/channels/candidate/pins"): 400,
    ("DELETE", "/channels/candidate/pins/999"): 404,
    # what is the same for all channels it may see
    ("GET", "/boot-sources"): 200,
    ("GET", "/selections"): 200,
    ("GET", "/jobs"): 200,
    ("GET", "/schedule"): 200,
    ("GET", "/storage"): 200,
    ("GET", "/plugins/shelf/books/one"): 200,
    # and nothing else
    ("GET", "/channels/stable"): 403,
    ("GET", "/boot-resources?channel=stable"): 403,
    ("GET", "/boot-resources"): 403,
    ("PUT", "/channels/stable"): 403,
    ("DELETE", "/channels/stable"): 403,
    ("POST", "/channels/stable:promote"): 403,
    ("POST", "/channels/stable:rollback"): 403,
    ("POST", "/channels/stable:hold"): 403,
    ("GET", "/channels/stable/licences"): 403,
    ("PUT", "/channels/stable/licences"): 403,
    ("POST", "/channels/stable/pins"): 403,
    ("DELETE", "/channels/stable/pins/1"): 403,
    ("POST", "/boot-sources"): 403,
    ("PATCH", "/boot-sources/main"): 403,
    ("DELETE", "/boot-sources/main"): 403,
    ("POST", "/selections"): 403,
    ("DELETE", "/selections/1"): 403,
    ("PUT", "/schedule"): 403,
    ("DELETE", "/snapshots/nothing"): 403,
    ("POST", "/snapshots/nothing:verify"): 403,
    ("POST", "/storage:gc"): 403,
    ("POST", "/available-images:refresh"): 403,
    ("PUT", "/plugins/shelf/books/one"): 403,
    ("DELETE", "/plugins/shelf/books/one"): 403,
}


@pytest.fixture(scope="module")
def api(tmp_path_factory, signing_key):
    with (
        installed_plugin(tmp_path_factory.mktemp("plugins"), "shelf", SHELF),
        mirror_with_images(tmp_path_factory.mktemp("roles"), signing_key) as (mirror, _),
        served_api(mirror) as api,
    ):
        api.token("limited operator", Role.OPERATOR, "candidate")
        api.token("limited admin", Role.ADMIN, "candidate")
        yield api


def test_the_table_has_every_route(api):
    assert set(TABLE) == {(route.method, route.path) for route in ROUTES}
    described = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, item in api.get("/openapi.json")["paths"].items()
        for method in item
    }
    assert described == {*TABLE, *PLUGIN} - {("GET", "/plugins/shelf/nowhere")}


@pytest.mark.parametrize("role", [NOBODY, *(role.value for role in Role)])
@pytest.mark.parametrize(("method", "path"), [*TABLE, *PLUGIN])
def test_who_may(api, method, path, role):
    allowed = role in {**TABLE, **PLUGIN}[method, path]
    before = _changes(api)
    answer = _try(api, method, path, role)
    if allowed:
        assert answer.status_code not in {401, 403}, answer.text
        assert answer.status_code < 500, answer.text
    else:
        assert answer.status_code == (403 if role else 401), answer.text
        assert answer.json()["code"] == ("MIR-802" if role else "MIR-801")
        assert _changes(api) == before


@pytest.mark.parametrize("token", ["limited operator", "limited admin"])
@pytest.mark.parametrize(("method", "path"), LIMITED)
def test_a_token_for_one_channel(api, method, path, token):
    answer = _try(api, method, path, token)
    assert answer.status_code == LIMITED[method, path], answer.text
    if answer.status_code == 403:
        assert answer.json()["code"] == "MIR-803"


@pytest.mark.parametrize("path", ["/tokens", "/audit"])
def test_who_may_do_one_channel_makes_no_tokens(api, path):
    answer = api("GET", path, token="limited admin")
    assert (answer.status_code, answer.json()["code"]) == (403, "MIR-803")


def _try(api, method, path, token):
    for name, value in {"{name}": "nobody", "{id}": "999999", "{pin}": "999"}.items():
        path = path.replace(name, value)
    for name in ("channel", "snapshot", "os", "release", "arch", "subarch"):
        path = path.replace(f"{{{name}}}", "nothing")
    bodies = {"json": {"nonsense": True}} if method in {"POST", "PATCH", "PUT"} else {}
    return api(method, path, token=token, **bodies)


def _changes(api):
    """Return how many changes there were: the audit log has all of them."""
    return api.mirror.audit.list(limit=1)
