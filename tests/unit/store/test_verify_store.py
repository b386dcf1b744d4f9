from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mirror.errors import NotFound
from mirror.store.verify import Damage, verify_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirror.store import Store


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_whole_store_has_no_damage(store: Store, publish: Callable[..., str]) -> None:
    publish({"a": b"one", "b": b"two", "same": b"two"})
    report = verify_store(store)
    assert report.damaged == ()
    assert report.blobs == 4
    assert report.bytes == len(b"one" + b"two" + b"variant" + b"evidence")


def test_every_damage_is_told_with_where_it_is_needed(
    store: Store, publish: Callable[..., str]
) -> None:
    snapshot_id = publish(
        {"whole": b"whole", "flipped": b"flip", "short": b"short", "gone": b"gone"}
    )
    for data, damaged in ((b"flip", b"flop"), (b"short", b"shor"), (b"variant", b"VARIANT")):
        path = store.blobs.path(sha256(data))
        path.chmod(0o644)
        path.write_bytes(damaged)
    store.blobs.delete(sha256(b"gone"))
    store.blobs.delete(sha256(b"evidence"))

    def damage(problem: str, data: bytes, path: str) -> Damage:
        return Damage(problem, sha256(data), len(data), snapshot_id, path, "images.maas.io")

    assert set(verify_store(store).damaged) == {
        damage("corrupt", b"flip", "flipped"),
        damage("corrupt", b"short", "short"),
        damage("missing", b"gone", "gone"),
        damage("corrupt", b"variant", "streams/v1/index.json (zstd)"),
        damage("missing", b"evidence", "images.maas.io: streams/v1/index.sjson"),
    }


def test_a_link_in_the_place_of_a_blob_is_damage(store: Store, publish: Callable[..., str]) -> None:
    publish({"a": b"one"})
    path = store.blobs.path(sha256(b"one"))
    path.rename(store.dir.root / "elsewhere")
    path.symlink_to(store.dir.root / "elsewhere")
    (found,) = verify_store(store).damaged
    assert (found.problem, found.path) == ("corrupt", "a")


def test_only_the_snapshots_that_are_named(store: Store, publish: Callable[..., str]) -> None:
    one = publish({"a": b"one"})
    two = publish({"b": b"two"}, created=datetime(2026, 12, 1, tzinfo=UTC))
    store.blobs.delete(sha256(b"two"))
    assert verify_store(store, snapshots=[one]).damaged == ()
    assert [found.path for found in verify_store(store, snapshots=[two]).damaged] == ["b"]
    with pytest.raises(NotFound):
        verify_store(store, snapshots=["20261123T120000Z-00000000"])


def test_progress_comes_to_the_whole(store: Store, publish: Callable[..., str]) -> None:
    publish({"large": bytes(9 << 20), "gone": b"gone"})
    store.blobs.delete(sha256(b"gone"))
    calls: list[tuple[int, int]] = []
    report = verify_store(store, progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1] == (report.bytes, report.bytes)
    assert len(calls) >= 5


def test_the_rate_limits_reading(store: Store, publish: Callable[..., str]) -> None:
    publish({"a": bytes(100_000)})
    began = time.monotonic()
    verify_store(store, rate=500_000)
    assert time.monotonic() - began >= 0.2
