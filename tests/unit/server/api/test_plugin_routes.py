"""Routes of plugins: the same rules as ours, and nobody but their own plugin suffers by them."""

from __future__ import annotations

import concurrent.futures
import sys
import time

import pytest
import requests
from api_harness import Api, installed_plugin, served, served_api
from plugin_with_routes import BROKEN, HOSTS, UNFIT

from mirror.model import Role
from mirror.server.api import crew
from mirror.server.options import ServerOptions


@pytest.fixture(scope="module", autouse=True)
def plugins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    with (
        installed_plugin(folder / "hosts", "hosts", HOSTS),
        installed_plugin(folder / "broken", "broken", BROKEN),
        installed_plugin(folder / "unfit", "unfit", UNFIT),
    ):
        yield


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(crew, "LIMIT", 0.5)
    monkeypatch.setattr(crew, "PATIENCE", 0.3)


@pytest.fixture
def fresh(images):
    """Return the API of a server that nobody has asked for anything."""
    with served_api(images[0]) as api:
        yield api


def problem(answer, status, code):
    assert (answer.status_code, answer.headers["Content-Type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    said = answer.json()
    assert said["code"] == code
    assert "Traceback" not in answer.text
    assert "hunter2" not in answer.text
    return said


# --- what works -----------------------------------------------------------------------------------


def test_answers_and_changes(api):
    assert api.get("/plugins/hosts/hosts/one") == {"name": "one", "cores": 4}
    answer = api("PUT", "/plugins/hosts/hosts/two", json={"cores": 8})
    assert (answer.status_code, answer.json()) == (200, {"name": "two", "cores": 8})
    names = [each["name"] for each in api.get("/plugins/hosts/hosts?least=5")["items"]]
    assert names == ["two"]
    both = api.get("/plugins/hosts/hosts?names=one&names=two")["items"]
    assert len(both) == 2
    gone = api("DELETE", "/plugins/hosts/hosts/two")
    assert (gone.status_code, gone.content) == (204, b"")


def test_conditions_and_head(api):
    answer = api("GET", "/plugins/hosts/hosts/one")
    etag = {"If-None-Match": answer.headers["ETag"]}
    assert api("GET", "/plugins/hosts/hosts/one", headers=etag).status_code == 304
    head = api("HEAD", "/plugins/hosts/hosts/one")
    assert (head.status_code, head.content) == (200, b"")
    assert answer.headers["X-Request-ID"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_thread_of_the_plugins_own(api):
    assert api.get("/plugins/hosts/thread") == "plugin hosts"


def test_what_was_changed_is_in_the_audit_log_and_what_was_sent_is_not(api):
    before = api.mirror.audit.list(limit=1)[0].id
    api("PUT", "/plugins/hosts/hosts/three", json={"cores": 737})
    api("PUT", "/plugins/hosts/hosts/three", json={"cores": "no"})
    api("GET", "/plugins/hosts/hosts/three")
    api("DELETE", "/plugins/hosts/hosts/three")
    new = [each for each in api.mirror.audit.list(limit=9) if each.id > before]
    assert [(each.action, each.subject) for each in reversed(new)] == [
        ("plugin.call", "hosts: PUT /api/v1/plugins/hosts/hosts/three"),
        ("plugin.call", "hosts: DELETE /api/v1/plugins/hosts/hosts/three"),
    ]
    assert all(each.actor.startswith("token:") for each in new)
    assert not any(b"737" in bytes(each.after) + bytes(each.before) for each in new)


# --- the rules that ours have ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "code"),
    [
        ("GET", "/plugins/hosts/nowhere", {}, 404, "MIR-720"),
        ("GET", "/plugins/nobody/hosts", {}, 404, "MIR-720"),
        ("GET", "/plugins/hosts/hosts/", {}, 404, "MIR-720"),
        ("GET", "/plugins/hosts/hosts/Capital", {}, 404, "MIR-106"),
        ("GET", "/plugins/hosts/hosts/%2e%2e", {}, 404, "MIR-106"),
        ("POST", "/plugins/hosts/hosts", {"json": {}}, 405, "MIR-721"),
        ("PATCH", "/plugins/hosts/hosts/one", {"json": {}}, 405, "MIR-721"),
        ("GET", "/plugins/hosts/hosts?lest=1", {}, 400, "MIR-111"),
        ("GET", "/plugins/hosts/hosts?least=many", {}, 400, "MIR-111"),
        ("PUT", "/plugins/hosts/hosts/one", {"json": {"cores": 0}}, 400, "MIR-111"),
        ("PUT", "/plugins/hosts/hosts/one", {"data": "{"}, 415, "MIR-723"),
        ("PUT", "/plugins/hosts/hosts/one", {"json": {"cores": 1, "x": 1}}, 400, "MIR-111"),
        ("DELETE", "/plugins/hosts/hosts/one", {"json": {}}, 400, "MIR-111"),
    ],
)
def test_what_cant_be(api, method, path, more, status, code):
    problem(api(method, path, **more), status, code)


def test_the_body_is_bounded(api):
    long = {"json": {"cores": 1, "x": "x" * 2**20}}
    problem(api("PUT", "/plugins/hosts/hosts/one", **long), 413, "MIR-722")


def test_who_may(api):
    for path in ("/plugins/hosts/hosts", "/plugins/hosts/nowhere", "/plugins/broken/x"):
        problem(api("GET", path, token=""), 401, "MIR-801")
        problem(api("GET", path, token="reader"), 403, "MIR-802")
    assert api("GET", "/plugins/hosts/hosts", token="operator").status_code == 200
    other = {"Origin": "https://elsewhere.example"}
    problem(api("DELETE", "/plugins/hosts/hosts/x", headers=other), 403, "MIR-805")


def test_a_token_for_a_channel_may_read_and_change_nothing(api):
    api.token("narrow", Role.OPERATOR, "candidate")
    assert api("GET", "/plugins/hosts/hosts", token="narrow").status_code == 200
    body = {"json": {"cores": 1}}
    problem(api("PUT", "/plugins/hosts/hosts/one", token="narrow", **body), 403, "MIR-803")
    # also where the plugin thinks that to read is enough: it is no GET
    problem(api("DELETE", "/plugins/hosts/hosts/one", token="narrow"), 403, "MIR-803")


# --- what goes wrong in a plugin ------------------------------------------------------------------


def test_it_says_what_is_wrong_with_a_request(api):
    said = problem(api("GET", "/plugins/hosts/hosts/nine"), 422, "MIR-604")
    assert said["detail"] == "plugin 'hosts': there is no host nine"
    assert said["remedy"] == "List them first."
    said = problem(api("GET", "/plugins/hosts/surrogate"), 422, "MIR-604")
    assert said["detail"] == "plugin 'hosts': bad ? name"
    assert "abcdefgh" not in said["remedy"]


@pytest.mark.parametrize("path", ["fail", "leave", "denied", "unspeakable"])
def test_it_raises(api, path):
    said = problem(api("GET", f"/plugins/hosts/{path}"), 500, "MIR-600")
    assert "plugin 'hosts' failed" in said["detail"]
    assert "request_id" in said["remedy"]


def test_what_it_raised_is_in_the_log(api, caplog):
    said = problem(api("GET", "/plugins/hosts/fail"), 500, "MIR-600")
    [record] = [each for each in caplog.records if "plugin hosts failed" in each.getMessage()]
    assert record.exc_info
    assert said["request_id"]


def test_what_it_did_wrong_is_counted(api):
    def count():
        return api.mirror.catalog.tallies.plugin_failures().get(("hosts", "route"), 0)

    before = count()
    api("GET", "/plugins/hosts/fail")
    api("GET", "/plugins/hosts/wrong-type")
    api("GET", "/plugins/hosts/hosts/nine")  # this is no failure
    assert count() == before + 2
    headers = {"Authorization": f"Bearer {api.tokens['admin']}"}
    metrics = requests.get(f"{api.url}/metrics", headers=headers, timeout=10).text
    line = f'mirror_plugin_failures_total{{plugin="hosts",reason="route"}} {before + 2}.0'
    assert line in metrics.splitlines()
    assert 'mirror_plugin_failures_total{plugin="hosts",reason="trespass"} 0.0' in metrics


def test_a_type_of_its_own_raises_or_hangs(api, impatient):
    problem(api("POST", "/plugins/hosts/trap", json={"text": "exit"}), 500, "MIR-600")
    problem(api("POST", "/plugins/hosts/trap", json={"text": "hang"}), 504, "MIR-621")
    assert api("POST", "/plugins/hosts/trap", json={"text": "ok"}).json() == "ok"


@pytest.mark.parametrize(
    "path", ["wrong-type", "wrong-kind", "coroutine", "endless", "huge", "nothing"]
)
def test_an_answer_that_it_does_not_declare(api, path):
    said = problem(api("GET", f"/plugins/hosts/{path}"), 500, "MIR-623")
    assert "plugin 'hosts'" in said["detail"]


def test_one_that_hangs_has_its_own_threads_only(fresh, impatient):
    fresh.get("/status")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        began = time.monotonic()
        hung = [pool.submit(fresh, "GET", "/plugins/hosts/hang") for _ in range(10)]
        # meanwhile, everything else is answered
        for path in ("/boot-sources", "/channels", "/status"):
            assert fresh("GET", path).status_code == 200
        image = requests.get(f"{fresh.url}/images/stable/streams/v1/index.json", timeout=10)
        assert image.status_code == 200
        codes = sorted(each.result().json()["code"] for each in hung)
        assert time.monotonic() - began < 10
    assert codes == ["MIR-621"] * crew.THREADS + ["MIR-622"] * (10 - crew.THREADS)
    busy = fresh("GET", "/plugins/hosts/hosts")
    assert "plugin 'hosts'" in problem(busy, 503, "MIR-622")["detail"]
    assert busy.headers["Retry-After"]


def test_one_that_spins_leaves_the_others_their_turn(fresh):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        spinning = [pool.submit(fresh, "GET", "/plugins/hosts/spin") for _ in range(2)]
        time.sleep(0.5)
        began = time.monotonic()
        for _ in range(5):
            image = requests.get(f"{fresh.url}/images/stable/streams/v1/index.json", timeout=10)
            assert image.status_code == 200
        assert time.monotonic() - began < 3
        assert [each.result().json() for each in spinning] == ["done"] * 2


def test_a_server_with_a_hung_plugin_ends(images, impatient):
    with served_api(images[0]) as api:
        problem(api("GET", "/plugins/hosts/hang"), 504, "MIR-621")
        began = time.monotonic()
    assert time.monotonic() - began < 10


def test_plugins_that_could_not_be_loaded(api):
    said = problem(api("GET", "/plugins/broken/anything"), 503, "MIR-620")
    assert "'broken' is failed" in said["detail"]
    assert "mirror plugin list" in said["remedy"]
    said = problem(api("GET", "/plugins/unfit/it"), 503, "MIR-620")
    assert "async" in said["detail"]
    states = {each["name"]: each["status"] for each in api.get("/plugins")["items"]}
    assert (states["hosts"], states["broken"]) == ("loaded", "failed")


# --- lazily ---------------------------------------------------------------------------------------


def test_nothing_is_imported_before_someone_asks(images):
    sys.modules.pop("plug_hosts", None)
    options = ServerOptions(data_dir=str(images[0].settings.data_dir), port=0)
    with served(options) as url:
        stream = f"{url}/images/stable/streams/v1/index.json"
        assert requests.get(stream, timeout=10).status_code == 200
        api = Api(url, images[0])
        assert api("GET", "/plugins/hosts/hosts", token="").status_code == 401
        assert api("GET", "/plugins/hosts/hosts", token="nonsense").status_code == 401
        assert "plug_hosts" not in sys.modules
        api.token("admin", Role.ADMIN)
        assert api("GET", "/plugins/hosts/hosts").status_code == 200
        assert "plug_hosts" in sys.modules


# --- the documents --------------------------------------------------------------------------------


def test_the_documents_have_them(api):
    document = api.get("/openapi.json", token="")
    operation = document["paths"]["/api/v1/plugins/hosts/hosts/{name}"]["put"]
    assert operation["tags"] == ["hosts"]
    assert operation["operationId"] == "pluginHostsPutHostsByName"
    assert {"name": "hosts"} in document["tags"]
    schemas = document["components"]["schemas"]
    # a name that both have means two things
    assert schemas["hosts.Page"]["properties"].keys() == {"items", "next"}
    assert not any("unfit" in path or "broken" in path for path in document["paths"])
    page = api("GET", "/docs", token="").text
    assert 'id="pluginHostsPutHostsByName"' in page
    assert 'id="hosts"' in page


def test_a_plugin_that_cant_be_described_changes_nothing_of_ours(api):
    own = {path for path in api.get("/openapi.json")["paths"] if "/plugins/" not in path}
    assert {"/api/v1/boot-sources", "/api/v1/status", "/api/v1/plugins"} <= own


def test_the_documents_of_a_mirror_that_cant_be_opened(mut):
    (mut.root / "mirror.toml").write_text("nonsense = 1\n")
    with served_api(mut.mirror) as api:
        paths = api.get("/openapi.json", token="")["paths"]
        assert "/api/v1/boot-sources" in paths
        assert not any(path.startswith("/api/v1/plugins/") for path in paths)
