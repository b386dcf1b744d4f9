"""Who sees which product: every kind of client, in every index, on every path, by every method.

The matrix is by hand: what a token has, what a channel allows, and that the two together count.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import NamedTuple

import pytest
import requests
from api_harness import WAIT, Api, served_api, sync

from mirror.model import BootSource, Role, Selection
from mirror.service import Mirror
from mirror.settings import Settings, StoreSettings, SyncSettings
from mirror.signing.verify import Verifier
from mirror.simplestreams.lint import lint_stream
from mirror.testing.sample import SampleUpstream
from mirror.testing.sample_products import centos_products, sample_products
from mirror.testing.serve import serve_in_thread
from mirror.testing.sstream import mirrored_files, sstream_mirror, sstream_query

SUB, PRO = "subscription", "proprietary"
FREE, RHEL, WINDOWS = "free", "rhel", "windows"
ALL = {FREE, RHEL, WINDOWS}
GIVES = {SUB: RHEL, PRO: WINDOWS}

CHANNELS = {"stable": set(), "sub": {SUB}, "pro": {PRO}, "both": {SUB, PRO}}

# name: role, licences, channels that it is limited to
TOKENS = {
    "plain": (Role.READER, (), ()),
    "root": (Role.ADMIN, (), ()),
    "rhel": (Role.READER, (SUB,), ()),
    "windows": (Role.RACK, (PRO,), ()),
    "all": (Role.READER, (SUB, PRO), ()),
    "site": (Role.READER, (SUB, PRO), ("pro",)),
    "elsewhere": (Role.READER, (SUB, PRO), ("stable",)),
}
ANYONE = "anonymous"


class Kept(NamedTuple):
    """One image file that is published, and what it is of."""

    what: str
    path: str
    sha256: str
    size: int


def products():
    """Ubuntu, one product as RHEL would be, and one as Windows."""
    rhel, windows = centos_products()
    attributes = windows.attributes | {"licence": "secret-of-the-vendor"}  # not known: proprietary
    return [
        *[each for each in sample_products() if each.attributes["os"] != "centos"],
        replace(rhel, attributes={**rhel.attributes, "licence": SUB}),
        replace(windows, attributes=attributes),
    ]


@pytest.fixture(scope="module")
def served(tmp_path_factory, signing_key):
    folder = tmp_path_factory.mktemp("licences")
    sample = SampleUpstream.create(folder / "upstream", key=signing_key, products=products())
    settings = Settings(
        data_dir=folder / "data",
        sync=SyncSettings(attempts=1, stall_timeout=2),
        store=StoreSettings(min_free=0),
    )
    with (
        serve_in_thread(sample.root, []) as url,
        Mirror.create(settings, name="Mirror under test", algorithm="ed25519") as mirror,
    ):
        source = BootSource(name="main", url=url, keyring=str(sample.keyring))
        mirror.sources.add(source, by="test")
        mirror.selections.add(Selection(0, ("arch=amd64",)), by="test")
        snapshot = sync(mirror)
        for channel, licences in CHANNELS.items():
            if channel != "stable":
                mirror.channels.create(channel, snapshot, by="test")
            mirror.channels.allow(channel, licences, by="test")
        with served_api(mirror) as api:
            for name, (role, licences, channels) in TOKENS.items():
                made = mirror.tokens.create(name, role, channels, licences=licences, by="test")
                api.tokens[name] = made.secret
            yield api


@pytest.fixture(scope="module")
def closed(served):
    """The same mirror, at an address where reading takes a token."""
    with served_api(served.mirror, reading="token") as api:
        api.tokens.update({name: served.tokens[name] for name in TOKENS})
        yield api


@pytest.fixture(scope="module")
def kept(served) -> list[Kept]:
    shown = served.mirror.snapshots.show("stable").items
    names = {f":{number}:": what for number, what in (("7.0", RHEL), ("8", WINDOWS))}
    found = [
        Kept(
            next((w for part, w in names.items() if "centos-bases" + part in i.product), FREE),
            *(i.path, i.sha256, i.size),
        )
        for i in shown
    ]
    assert {each.what for each in found} == ALL
    return found


def ask(api: Api, path: str, who: str, method: str = "GET", *, by: str = "bearer", **headers):
    """Send a request as somebody; by `bearer`, as the `password`, or in the `path`."""
    token = api.tokens.get(who, "")
    auth = None
    if who != ANYONE and by == "bearer":
        headers["Authorization"] = f"Bearer {token}"
    elif who != ANYONE and by == "password":
        auth = ("anyone", token)
    elif who != ANYONE:
        path = f"/t/{token}{path}"
    headers.setdefault("Accept-Encoding", "identity")
    return requests.request(method, api.url + path, headers=headers, auth=auth, timeout=WAIT)


def seen(who: str, channel: str) -> set[str]:
    """Return what somebody is to see on a channel that is open."""
    if who == ANYONE:
        return {FREE}
    _, licences, channels = TOKENS[who]
    if channels and channel not in channels:
        return {FREE}
    return {FREE, *(GIVES[each] for each in set(licences) & CHANNELS[channel])}


def seen_anywhere(who: str, *, blobs: bool = False) -> set[str]:
    """Return what somebody is to see of a snapshot, or of blobs, asked for by its own name."""
    if who == ANYONE or (blobs and TOKENS[who][2]):
        return {FREE}
    return set().union(*(seen(who, channel) for channel in CHANNELS))


EVERYBODY = [ANYONE, *TOKENS]


def listed(document: dict) -> set[str]:
    """Return what a products file, or an index, tells of."""
    names = document.get("products", {})
    if "index" in document:
        names = [name for entry in document["index"].values() for name in entry["products"]]
    found = {FREE} if any("boot:" in name or ":1:" in name for name in names) else set()
    found |= {RHEL} if any("centos-bases:7.0:" in name for name in names) else set()
    return found | ({WINDOWS} if any("centos-bases:8:" in name for name in names) else set())


@pytest.fixture(scope="module")
def verifier(served):
    key = served.mirror.key
    verifier = Verifier(key.public_binary(), name="the mirror")
    yield verifier
    verifier.close()


def read_stream(api, base, who, verifier, **how) -> dict[str, set[str]]:
    """Read a whole stream in all of its forms, all signed alike; return what each file tells of."""
    told = {}
    files = {}
    for name in ("index", "index-all"):
        plain = ask(api, f"{base}/streams/v1/{name}.json", who, **how)
        assert plain.status_code == 200
        files[f"streams/v1/{name}.json"] = plain.content
    paths = {
        entry["path"].removesuffix(".json")
        for text in files.values()
        for entry in json.loads(text)["index"].values()
    }
    for path in (*sorted(paths), "streams/v1/index", "streams/v1/index-all"):
        plain, signed, signature = (
            ask(api, f"{base}/{path}.{suffix}", who, **how).content
            for suffix in ("json", "sjson", "json.gpg")
        )
        files[f"{path}.json"] = plain
        verifier.detached(plain, signature)
        text = verifier.clearsigned(signed).plaintext
        told[path] = listed(json.loads(plain))
        assert listed(json.loads(text)) == told[path]
        for word in (b"secret-of-the-vendor", b"subscription"):
            hidden = not told[path] & {RHEL, WINDOWS}
            assert not (hidden and (word in plain or word in text)), (path, word)
    assert [each for each in lint_stream(files) if each.effect == "fails"] == []
    return told


@pytest.mark.parametrize("by", ["bearer", "path"])
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("who", EVERYBODY)
def test_every_index_of_a_channel(served, verifier, who, channel, by):
    if by == "path" and (who == ANYONE or (TOKENS[who][2] and channel not in TOKENS[who][2])):
        path = f"/images/{channel}/streams/v1/index.json"
        if who != ANYONE:
            assert ask(served, path, who, by=by).status_code == 404
        return
    told = read_stream(served, f"/images/{channel}", who, verifier, by=by)
    wanted = seen(who, channel)
    assert told["streams/v1/index"] == told["streams/v1/index-all"] == wanted
    assert set().union(*told.values()) == wanted
    assert any("centos" in path for path in told) == bool(wanted - {FREE})


@pytest.mark.parametrize("who", EVERYBODY)
def test_every_index_of_a_snapshot(served, verifier, who):
    base = f"/snapshots/{served.mirror.channels.current('stable')}"
    told = read_stream(served, base, who, verifier)
    assert told["streams/v1/index-all"] == seen_anywhere(who)
    assert set().union(*told.values()) == seen_anywhere(who)


def answers(api, path, who, item: Kept, **how) -> int:
    """Ask in every way for one file, and return how it is answered: every way alike."""
    get = ask(api, path, who, **how)
    head = ask(api, path, who, "HEAD", **how)
    part = ask(api, path, who, Range="bytes=1-3", **how)
    known = ask(api, path, who, **{"If-None-Match": f'"{item.sha256}"'}, **how)
    other = ask(api, path, who, **{"If-Match": '"something"'}, **how)
    beyond = ask(api, path, who, Range=f"bytes={item.size}-", **how)
    codes = [each.status_code for each in (get, head, part, known, other, beyond)]
    if get.status_code == 200:
        assert len(get.content) == item.size
        assert codes == [200, 200, 206, 304, 412, 416]
        free = item.what == FREE
        by_path = how.get("by") == "path" and who != ANYONE
        whole = "private" if not free or by_path else "public"
        assert all(each.headers["Cache-Control"].startswith(whole) for each in (get, head, known))
        if not free:
            assert "Authorization" in get.headers["Vary"]
        return 200
    assert set(codes) == {404}, codes
    nowhere = path[:-1] + ("0" if path[-1] != "0" else "1")
    for method, found in (("GET", get), ("HEAD", head)):
        unknown = ask(api, nowhere, who, method, **how)
        assert unknown.status_code == 404
        assert unknown.content == found.content
        same = set(unknown.headers.items()) ^ set(found.headers.items())
        assert {name for name, _ in same} <= {"Date"}
    return 404


def one_of_each(kept) -> list[Kept]:
    return list({each.what: each for each in kept}.values())


@pytest.mark.parametrize("by", ["bearer", "password", "path"])
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("who", EVERYBODY)
def test_every_image_of_a_channel(served, kept, who, channel, by):
    limited = who != ANYONE and TOKENS[who][2] and channel not in TOKENS[who][2]
    for item in one_of_each(kept):
        wanted = item.what in seen(who, channel) and not (limited and by == "path")
        code = answers(served, f"/images/{channel}/{item.path}", who, item, by=by)
        assert code == (200 if wanted else 404), item
    for item in kept:
        wanted = item.what in seen(who, channel) and not (limited and by == "path")
        code = ask(served, f"/images/{channel}/{item.path}", who, "HEAD", by=by).status_code
        assert code == (200 if wanted else 404), item


@pytest.mark.parametrize("who", EVERYBODY)
def test_every_image_of_a_snapshot(served, kept, who):
    snapshot = served.mirror.channels.current("stable")
    for item in one_of_each(kept):
        code = answers(served, f"/snapshots/{snapshot}/{item.path}", who, item)
        assert code == (200 if item.what in seen_anywhere(who) else 404), item


@pytest.mark.parametrize("by", ["bearer", "path"])
@pytest.mark.parametrize("who", EVERYBODY)
def test_every_blob(served, kept, who, by):
    limited = who != ANYONE and TOKENS[who][2]
    for item in one_of_each(kept):
        wanted = item.what in seen_anywhere(who, blobs=True) and not (limited and by == "path")
        code = answers(served, f"/blobs/sha256/{item.sha256}", who, item, by=by)
        assert code == (200 if wanted else 404), item


@pytest.mark.parametrize("who", EVERYBODY)
def test_blobs_that_tell_of_what_is_not_free(served, who):
    """The metadata of the views, the list of products and the evidence have digests, too."""
    store = served.mirror.store
    snapshot = store.snapshots.load(served.mirror.channels.current("stable"))
    telling = {
        snapshot.products.sha256: ALL,
        **{ref.sha256: ALL for ref in snapshot.sources["main"].files.values()},
    }
    for name, view in snapshot.views.items():
        needs = {GIVES[word] for word in name.split("+")}
        for ref in (*view.files.values(), *(r for v in view.variants.values() for r in v.values())):
            known = telling.get(ref.sha256)
            telling[ref.sha256] = needs if known is None else known & needs
    assert set(snapshot.views) == {SUB, PRO, f"{PRO}+{SUB}"}
    for sha256, needs in telling.items():
        code = ask(served, f"/blobs/sha256/{sha256}", who, "HEAD").status_code
        wanted = needs <= seen_anywhere(who, blobs=True) | {FREE}
        assert code == (200 if wanted else 404), needs
    for ref in snapshot.files.values():
        if not ref.licence:
            assert ask(served, f"/blobs/sha256/{ref.sha256}", who, "HEAD").status_code == 200


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("who", EVERYBODY)
def test_where_reading_takes_a_token_the_same(closed, kept, verifier, who, channel):
    if who == ANYONE:
        codes = {ask(closed, f"/images/{channel}/{i.path}", who).status_code for i in kept}
        assert codes == {401}
        return
    inside = not TOKENS[who][2] or channel in TOKENS[who][2]
    for item in one_of_each(kept):
        code = answers_closed(closed, f"/images/{channel}/{item.path}", who)
        assert code == (200 if inside and item.what in seen(who, channel) else 404), item
    if inside:
        told = read_stream(closed, f"/images/{channel}", who, verifier)
        assert told["streams/v1/index-all"] == seen(who, channel)


def answers_closed(api, path, who) -> int:
    codes = {ask(api, path, who, method).status_code for method in ("GET", "HEAD")}
    assert len(codes) == 1
    return codes.pop()


def test_other_methods_tell_nothing(served, kept):
    for item in one_of_each(kept):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            for who in (ANYONE, "all"):
                for path in (f"/images/both/{item.path}", f"/blobs/sha256/{item.sha256}"):
                    assert ask(served, path, who, method).status_code == 405


def test_a_token_that_is_no_good_is_told_so_and_hides_nothing_that_is_free(served, kept):
    """Where images vanished instead, a MAAS would delete them."""
    served.tokens["bad"] = served.tokens["all"][:-1] + "!"
    free, hidden = (next(i for i in kept if i.what == what) for what in (FREE, WINDOWS))
    assert ask(served, f"/images/both/{free.path}", "bad", "HEAD").status_code == 200
    for path in (hidden.path, "no/such/file", "streams/v1/index.json"):
        assert ask(served, f"/images/both/{path}", "bad").status_code == 401


@pytest.mark.parametrize(
    ("who", "channel"),
    [(ANYONE, "both"), ("plain", "both"), ("all", "both"), ("windows", "pro"), ("all", "sub")],
)
def test_clients_that_we_did_not_write(served, kept, tmp_path, who, channel):
    prefix = "" if who == ANYONE else f"/t/{served.tokens[who]}"
    url = f"{served.url}{prefix}/images/{channel}/"
    keyring = tmp_path / "mirror.gpg"
    keyring.write_bytes(served.mirror.key.public_binary())
    outcome = sstream_mirror(url, tmp_path / "out", keyring=keyring)
    assert outcome.status == 0, outcome.errors
    wanted = {i.path: (i.sha256, i.size) for i in kept if i.what in seen(who, channel)}
    assert mirrored_files(tmp_path / "out") == wanted
    assert {i["path"] for i in sstream_query(url, keyring=keyring)} == set(wanted)


def test_a_mirror_of_the_mirror_hides_the_same(served, kept, tmp_path):
    """It reads with a token, as the password; and passes on to its clients what is free."""
    password = tmp_path / "password"
    password.write_text(served.tokens["all"])
    keyring = tmp_path / "mirror.gpg"
    keyring.write_bytes(served.mirror.key.public_binary())
    settings = Settings(
        data_dir=tmp_path / "below",
        sync=SyncSettings(attempts=1, stall_timeout=2),
        store=StoreSettings(min_free=0),
    )
    with Mirror.create(settings, name="Below", algorithm="ed25519") as below:
        source = BootSource(
            name="above",
            url=f"{served.url}/images/both/",
            keyring=str(keyring),
            username="below",
            password_file=str(password),
        )
        below.sources.add(source, by="test")
        below.selections.add(Selection(0, ("arch~.",)), by="test")
        sync(below)
        shown = {i.path: (i.sha256, i.size) for i in below.snapshots.show("stable").items}
        assert shown == {i.path: (i.sha256, i.size) for i in kept}
        with served_api(below) as api:
            for item in one_of_each(kept):
                for path in (f"/images/stable/{item.path}", f"/blobs/sha256/{item.sha256}"):
                    code = ask(api, path, ANYONE, "HEAD").status_code
                    assert code == (200 if item.what == FREE else 404)


def downloads(api) -> list[tuple]:
    entries = api.get("/audit?action=download&limit=1000")["items"]
    assert {entry["action"] for entry in entries} <= {"download"}
    return [(e["actor"], e["subject"], e["after"]) for e in reversed(entries)]


def test_every_download_of_what_is_not_free_is_on_record(served, kept):
    item = next(i for i in kept if i.what == WINDOWS)
    free = next(i for i in kept if i.what == FREE)
    path = f"/images/pro/{item.path}"
    blob = f"/blobs/sha256/{item.sha256}"
    before = len(downloads(served))
    for each in (path, blob):
        ask(served, each, "windows")
        ask(served, each, "windows", by="path", Range="bytes=0-9,20-")
        # these send none of its bytes
        ask(served, each, "windows", "HEAD")
        ask(served, each, "windows", **{"If-None-Match": f'"{item.sha256}"'})
        ask(served, each, "windows", Range=f"bytes={item.size}-")
        ask(served, each, "plain")
        ask(served, each, ANYONE)
    ask(served, f"/images/pro/{free.path}", "windows")
    found = downloads(served)[before:]
    [token] = [t for t in served.mirror.tokens.list() if t.name == "windows"]
    common = {"sha256": item.sha256, "licence": PRO, "address": "127.0.0.1"}
    whole = {"bytes": item.size, "ranges": [], **common}
    ranges = ["0-9", f"20-{item.size - 1}"]
    parts = {"bytes": item.size - 10, "ranges": ranges, **common}
    assert found == [
        (f"token:{token.id} windows", subject, facts)
        for subject in (path, blob)
        for facts in (whole, parts)
    ]
    assert served.tokens["windows"] not in json.dumps(found)
    other = served.get("/audit?action=channel.licences")["items"]
    assert {entry["subject"] for entry in other} >= {"sub", "pro", "both"}
