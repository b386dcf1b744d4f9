from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mirror.errors import SnapshotInvalid
from mirror.store.gc import Dropped, GcReport, collect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mirror.store import Store

NOW = datetime(2027, 1, 1, tzinfo=UTC)
GRACE = timedelta(days=7)
OLD = NOW - timedelta(days=8)
YOUNG = NOW - timedelta(days=6)


def counts(report: GcReport) -> dict[str, int]:
    names = ("blobs", "bytes", "strays", "kept", "young")
    return {name: getattr(report, name) for name in names}


def age(path: Path, when: datetime) -> None:
    os.utime(path, (when.timestamp(), when.timestamp()))


def age_all(store: Store, when: datetime) -> None:
    for file in store.dir.root.rglob("*"):
        age(file, when)


def test_what_a_snapshot_reaches_stays(store: Store, publish: Callable[..., str]) -> None:
    snapshot_id = publish({"a/b": b"file"}, evidence=b"index", variant=b"zstd")
    age_all(store, OLD)
    report = collect(store, grace=GRACE, now=NOW)
    assert counts(report) == {"blobs": 0, "bytes": 0, "strays": 0, "kept": 3, "young": 0}
    assert report.kept_bytes == len(b"file" + b"index" + b"zstd")
    data = {store.blobs.path(sha256).read_bytes() for sha256 in store.blobs.hashes()}
    assert data == {b"file", b"index", b"zstd"}
    assert store.snapshots.load(snapshot_id).files["a/b"].size == 4


def test_the_rest_goes_when_it_is_old(store: Store, publish: Callable[..., str]) -> None:
    publish({"a/b": b"file"})
    old, young = store.blobs.add_bytes(b"old one"), store.blobs.add_bytes(b"young")
    held = store.blobs.add_bytes(b"held")
    age_all(store, OLD)
    age(store.blobs.path(young.sha256), YOUNG)
    report = collect(store, grace=GRACE, keep=[held.sha256], now=NOW)
    assert counts(report) == {"blobs": 1, "bytes": 7, "strays": 0, "kept": 4, "young": 1}
    assert report.young_bytes == len(b"young")
    assert report.dropped == (Dropped("blob", old.sha256, 7, "no snapshot names it"),)
    assert not store.blobs.has(old.sha256)
    assert store.blobs.has(young.sha256)
    assert store.blobs.has(held.sha256)


def test_a_blob_that_was_wanted_again_is_young(store: Store) -> None:
    ref = store.blobs.add_bytes(b"old")
    age(store.blobs.path(ref.sha256), OLD)
    store.blobs.add_bytes(b"old")
    assert collect(store, grace=GRACE).young == 1
    assert store.blobs.has(ref.sha256)


def test_a_removed_snapshot_lets_its_blobs_go(store: Store, publish: Callable[..., str]) -> None:
    one = publish({"a": b"only in one", "b": b"in both"})
    publish({"b": b"in both"}, created=datetime(2026, 12, 1, tzinfo=UTC))
    store.snapshots.remove(one)
    age_all(store, OLD)
    assert collect(store, grace=GRACE, now=NOW).bytes == len(b"only in one")


def strays_of(store: Store) -> list[Path]:
    blob = store.blobs.add_bytes(b"x")
    folder = store.blobs.path(blob.sha256).parent
    return [
        store.incoming.partial("ab" * 32),
        store.dir.root / ".format.abcd1234.tmp",
        store.dir.channels / ".stable.abcd1234.tmp",
        store.dir.snapshots / ".20261123T120000Z-00000000.json.zst.abcd1234.tmp",
        store.dir.snapshots / "20261123T120000Z-00000000.json.zst.asc",
        folder / f".{blob.sha256}.abcd1234.tmp",
    ]


def test_what_a_crash_left_behind_goes_when_it_is_old(
    store: Store, publish: Callable[..., str]
) -> None:
    store.channels.switch("stable", publish({}), "sync")
    before = {file for file in store.dir.root.rglob("*") if file.is_file()}
    strays = strays_of(store)
    for file in strays:
        file.write_bytes(b"x")
        age(file, YOUNG)
    assert collect(store, grace=GRACE, now=NOW).strays == 0
    for file in strays:
        age(file, OLD)
    assert collect(store, grace=GRACE, now=NOW, dry_run=True).strays == len(strays)
    assert all(file.exists() for file in strays)
    age_all(store, OLD)
    assert collect(store, grace=GRACE, now=NOW).strays == len(strays)
    assert {file for file in store.dir.root.rglob("*") if file.is_file()} == before


def test_a_dry_run_deletes_nothing(store: Store) -> None:
    ref = store.blobs.add_bytes(b"old")
    age_all(store, OLD)
    report = collect(store, grace=GRACE, now=NOW, dry_run=True)
    assert (report.blobs, report.bytes) == (1, 3)
    assert store.blobs.has(ref.sha256)


def test_a_damaged_snapshot_stops_it_before_anything_goes(
    store: Store, publish: Callable[..., str]
) -> None:
    snapshot_id = publish({"a/b": b"file"})
    garbage = store.blobs.add_bytes(b"garbage")
    age_all(store, OLD)
    (store.dir.snapshots / f"{snapshot_id}.json.zst").write_bytes(b"damaged")
    with pytest.raises(SnapshotInvalid, match="nothing was dropped") as caught:
        collect(store, grace=GRACE, now=NOW)
    assert snapshot_id in caught.value.remedy
    assert store.blobs.has(garbage.sha256)
    store.snapshots.remove(snapshot_id)
    assert collect(store, grace=GRACE, now=NOW).blobs == 4


def test_snapshots_that_go_are_removed_with_what_only_they_named(
    store: Store, publish: Callable[..., str]
) -> None:
    one = publish({"a": b"only in one", "b": b"in both"})
    two = publish({"b": b"in both"}, created=datetime(2026, 12, 1, tzinfo=UTC))
    age_all(store, OLD)
    planned = collect(store, grace=GRACE, now=NOW, dry_run=True, gone=[one])
    assert store.snapshots.ids() == [one, two]
    assert planned.removed == (one,)
    [blob] = planned.dropped
    assert (blob.bytes, blob.why) == (len(b"only in one"), f"only snapshot {one} named it")
    assert collect(store, grace=GRACE, now=NOW, gone=[one]) == planned
    assert store.snapshots.ids() == [two]
    assert not store.blobs.has(blob.name)


def test_a_snapshot_that_a_channel_was_pointed_at_meanwhile_stays(
    store: Store, publish: Callable[..., str]
) -> None:
    one = publish({"a": b"only in one"})
    store.channels.switch("stable", one, "just now")
    age_all(store, OLD)
    report = collect(store, grace=GRACE, now=NOW, gone=[one])
    assert (report.removed, report.blobs) == ((), 0)
    assert store.snapshots.load(one).files["a"].size == len(b"only in one")


def test_a_damaged_snapshot_that_goes_stops_nothing(
    store: Store, publish: Callable[..., str]
) -> None:
    one = publish({"a": b"file"})
    (store.dir.snapshots / f"{one}.json.zst").write_bytes(b"damaged")
    age_all(store, OLD)
    assert collect(store, grace=GRACE, now=NOW, gone=[one]).removed == (one,)
    assert list(store.blobs.hashes()) == []
