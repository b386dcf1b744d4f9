"""Blobs that are not for everyone, and channels that allow them."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from mirror.errors import NameInvalid, NotFound, StoreError
from mirror.model import FileRef, Snapshot, SourceState, View
from mirror.store.gc import collect
from mirror.store.restricted import needed_for

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUB, PRO = "subscription", "proprietary"
BOTH = f"{PRO}+{SUB}"


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def snapshot(store, files, *, hour=0, **more):
    """Make a snapshot of {path: (text, licence)}, its blobs in the store."""
    at = NOON + timedelta(hours=hour)
    refs = {
        path: FileRef(store.blobs.add_bytes(text.encode()).sha256, len(text), "", licence)
        for path, (text, licence) in files.items()
    }
    return Snapshot(created=at, updated=at, files=refs, **more)


def marks(store):
    return {sha256: store.restricted.needed(sha256) for sha256 in store.restricted.marked()}


def test_a_mark_stays_until_it_is_dropped(store):
    sha256 = digest("windows")
    assert store.restricted.needed(sha256) == ""
    store.restricted.mark(sha256, PRO)  # before there is such a blob
    store.restricted.mark(sha256, PRO)
    assert store.restricted.needed(sha256) == PRO
    store.restricted.mark(sha256, SUB)
    assert marks(store) == {sha256: SUB}
    store.restricted.drop(sha256)
    store.restricted.drop(sha256)
    assert marks(store) == {}


def test_a_mark_that_says_nothing_opens_nothing(store):
    sha256 = digest("windows")
    store.restricted.mark(sha256, PRO)
    file = store.restricted.root / sha256[:2] / sha256
    for damaged in (b"", b"\n", b"\xff\xfe"):
        file.write_bytes(damaged)
        assert store.restricted.needed(sha256) not in {"", PRO, SUB}


@pytest.mark.parametrize("name", ["", "../../channels/stable", "AB" * 32, "ab" * 31])
def test_a_mark_is_of_a_digest(store, name):
    with pytest.raises(StoreError, match="not a sha256"):
        store.restricted.mark(name, PRO)
    with pytest.raises(StoreError, match="not a sha256"):
        store.restricted.needed(name)


def test_a_free_blob_is_not_marked(store):
    with pytest.raises(ValueError, match="no mark"):
        store.restricted.mark(digest("x"), "")


def test_saving_a_snapshot_marks_what_it_has(store):
    store.snapshots.save(
        snapshot(store, {"u": ("ubuntu", ""), "w": ("windows", PRO), "r": ("rhel", SUB)})
    )
    assert marks(store) == {digest("windows"): PRO, digest("rhel"): SUB}


def test_where_everything_is_free_nothing_is_marked(store):
    store.snapshots.save(snapshot(store, {"u": ("ubuntu", "")}))
    assert not store.restricted.root.exists()


@contextmanager
def no_room_for_snapshots(store):
    aside = store.dir.snapshots.rename(store.dir.root / "aside")
    yield
    aside.rename(store.dir.snapshots)


def test_it_is_marked_before_the_snapshot_is_there(store):
    with no_room_for_snapshots(store), pytest.raises(StoreError):
        store.snapshots.save(snapshot(store, {"w": ("windows", PRO)}))
    assert store.snapshots.ids() == []
    assert marks(store) == {digest("windows"): PRO}


def test_what_becomes_free_stays_marked_until_the_snapshot_is_there(store):
    store.snapshots.save(snapshot(store, {"w": ("windows", PRO)}))
    with no_room_for_snapshots(store), pytest.raises(StoreError):
        store.snapshots.save(snapshot(store, {"w": ("windows", "")}, hour=1))
    assert marks(store) == {digest("windows"): PRO}
    store.snapshots.save(snapshot(store, {"w": ("windows", "")}, hour=1))
    assert marks(store) == {}


def test_the_newest_snapshot_decides(store):
    for hour, licence in enumerate(("", PRO, SUB, "", PRO)):
        store.snapshots.save(snapshot(store, {"w": ("windows", licence)}, hour=hour))
        assert marks(store) == ({digest("windows"): licence} if licence else {})


def test_a_blob_of_two_paths_is_as_free_as_the_freer(store):
    files = {"a": ("x", PRO), "b": ("x", ""), "c": ("y", PRO), "d": ("y", SUB)}
    store.snapshots.save(snapshot(store, files))
    assert marks(store) == {digest("y"): f"{PRO}|{SUB}"}


def test_what_tells_of_products_that_are_not_free(store):
    def ref(text):
        return store.blobs.add_bytes(text.encode())

    sources = {
        name: SourceState("http://x/", "now", "", {"index": ref(f"evidence of {name}")})
        for name in ("vendor", "ubuntu")
    }
    files = {
        "streams/v1/index.json": ref("index"),
        "u": FileRef(digest("ubuntu"), 6, "ubuntu"),
        "w": FileRef(digest("windows"), 7, "vendor", PRO),
        "r": FileRef(digest("rhel"), 4, "vendor", SUB),
    }
    zipped = {"streams/v1/index.json": {"gzip": ref("zipped index")}}
    views = {
        name: View(
            {
                "streams/v1/index.json": ref(f"index of {name}"),
                "streams/v1/c.json": ref(f"c{'+' in name}"),
            },
            {"streams/v1/index.json": {"gzip": ref(f"zipped index of {name}")}},
        )
        for name in (PRO, SUB, BOTH)
    }
    made = Snapshot(
        created=NOON,
        updated=NOON,
        sources=sources,
        files=files,
        variants=zipped,
        views=views,
        products=ref("all products"),
    )
    needed = {
        text: needed_for(made)[digest(text)]
        for text in (
            "index",
            "zipped index",
            "all products",
            "evidence of vendor",
            "cTrue",
            "cFalse",
        )
    }
    assert needed == {
        "index": "",
        "zipped index": "",
        "all products": BOTH,
        "evidence of vendor": BOTH,
        "cTrue": BOTH,
        "cFalse": f"{PRO}|{SUB}",
    }
    assert needed_for(made)[digest("evidence of ubuntu")] == ""
    for name in views:
        assert needed_for(made)[digest(f"index of {name}")] == name
        assert needed_for(made)[digest(f"zipped index of {name}")] == name


def test_gc_drops_a_mark_with_its_blob(store):
    kept, gone = (store.blobs.add_bytes(text).sha256 for text in (b"kept", b"gone"))
    store.snapshots.save(snapshot(store, {"k": ("kept", PRO)}))
    store.restricted.mark(gone, PRO)
    store.restricted.mark(digest("never came"), PRO)
    store.restricted.mark(digest("to come"), PRO)
    for file in store.restricted.root.rglob("*"):
        if file.name != digest("to come"):
            os.utime(file, (0, 0))
    os.utime(store.blobs.path(gone), (0, 0))
    (store.restricted.root / "ab").mkdir(exist_ok=True)
    stray = store.restricted.root / "ab" / f".{digest('x')}.1234.tmp"
    stray.touch()
    os.utime(stray, (0, 0))
    grace = timedelta(hours=1)
    before = marks(store)
    collect(store, grace=grace, dry_run=True)
    assert marks(store) == before
    collect(store, grace=grace)
    assert set(marks(store)) == {kept, digest("to come")}
    assert not stray.exists()


def test_gc_keeps_what_views_need(store):
    refs = [store.blobs.add_bytes(text) for text in (b"view", b"zipped")]
    view = View({"streams/v1/index.json": refs[0]}, {"streams/v1/index.json": {"gzip": refs[1]}})
    store.snapshots.save(snapshot(store, {"w": ("windows", PRO)}, views={PRO: view}))
    later = datetime.now(UTC) + timedelta(days=9)
    report = collect(store, grace=timedelta(hours=1), now=later)
    assert (report.blobs, report.kept) == (0, 3)


def test_marks_that_were_lost_are_found_in_the_snapshots(store):
    store.snapshots.save(snapshot(store, {"w": ("windows", PRO), "r": ("rhel", SUB)}))
    store.snapshots.save(snapshot(store, {"w": ("windows", PRO), "r": ("rhel", "")}, hour=1))
    assert store.restore_marks() == 0
    store.restricted.drop(digest("windows"))
    assert store.restore_marks() == 1
    assert marks(store) == {digest("windows"): PRO}


def test_what_a_channel_allows(store):
    with pytest.raises(NotFound):
        store.channels.change_licences("stable", allow=[PRO])
    assert store.channels.licences("stable") == frozenset()
    store.channels.switch("stable", store.snapshots.save(snapshot(store, {"u": ("u", "")})), "x")
    assert store.channels.change_licences("stable", allow=[PRO]) == (frozenset(), {PRO})
    assert store.channels.change_licences("stable", allow=[SUB]) == ({PRO}, {PRO, SUB})
    assert store.channels.licences("stable") == {PRO, SUB}
    assert store.channels.change_licences("stable", disallow=[PRO]) == ({PRO, SUB}, {SUB})
    assert store.channels.names() == ["stable"]
    file = store.dir.channels / ".stable.licences"
    file.write_bytes(b"free\nproprietary \xff everything\n")
    assert store.channels.licences("stable") == {PRO}
    for name in ("../x", ".stable", ""):
        with pytest.raises(NameInvalid):
            store.channels.licences(name)


def test_a_channel_of_the_same_name_inherits_nothing(store):
    made = store.snapshots.save(snapshot(store, {"u": ("u", "")}))
    store.channels.switch("stable", made, "x")
    store.channels.change_licences("stable", allow=[PRO])
    store.channels.remove("stable")
    assert sorted(each.name for each in store.dir.channels.iterdir()) == [".lock"]
    store.channels.switch("stable", made, "x")
    assert store.channels.licences("stable") == frozenset()
