from __future__ import annotations

import hashlib
import re
import shutil
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
import zstandard

from mirror.errors import NameInvalid, NotFound, SnapshotInUse, SnapshotInvalid
from mirror.model import FileRef, Snapshot
from mirror.signing.verify import Verifier
from mirror.store import DataDir, Store
from mirror.store.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mirror.signing.key import SigningKey

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
FILES = {"noble/amd64/20260101/squashfs": b"a file system"}


def test_a_snapshot_comes_back_as_it_was(store: Store) -> None:
    snapshot = Snapshot(
        created=NOON,
        updated=NOON + timedelta(seconds=1),
        parent="20261122T120000Z-00000000",
        files={"a/b": FileRef("ab" * 32, 7, "src")},
        variants={"streams/v1/index.json": {"gzip": FileRef("cd" * 32, 9)}},
        notes={"com.ubuntu:noble": ["vanished upstream"]},
    )
    snapshot_id = store.snapshots.save(snapshot)
    assert store.snapshots.load(snapshot_id) == snapshot
    assert store.snapshots.ids() == [snapshot_id]
    assert store.snapshots.has(snapshot_id)


def test_the_id_is_the_time_and_the_digest_of_the_file(
    store: Store, publish: Callable[..., str]
) -> None:
    snapshot_id = publish(FILES)
    data = (store.dir.snapshots / f"{snapshot_id}.json.zst").read_bytes()
    assert snapshot_id == f"20261123T120000Z-{hashlib.sha256(data).hexdigest()[:8]}"


def test_saving_again_changes_nothing(store: Store, publish: Callable[..., str]) -> None:
    assert publish(FILES) == publish(FILES)
    assert len(store.snapshots.ids()) == 1


def test_ids_are_in_the_order_of_time(store: Store, publish: Callable[..., str]) -> None:
    days = [publish(FILES, created=NOON + timedelta(days=day)) for day in (2, 0, 1)]
    assert store.snapshots.ids() == [days[1], days[2], days[0]]


def test_the_public_key_is_enough_to_read(
    store: Store, publish: Callable[..., str], signing_key: SigningKey
) -> None:
    snapshot_id = publish(FILES)
    shutil.copytree(signing_key.home, store.dir.gnupg)
    shutil.rmtree(store.dir.gnupg / "private-keys-v1.d")
    with Store.open(store.dir.root) as reader:
        assert list(reader.snapshots.load(snapshot_id).files) == list(FILES)


def test_a_snapshot_of_another_mirror_is_refused(
    store: Store, publish: Callable[..., str], other_signing_key: SigningKey
) -> None:
    snapshot_id = publish(FILES)
    with Verifier(other_signing_key.public_binary(), name="other") as verifier:
        stranger = Snapshots(store.dir.snapshots, verifier, other_signing_key, store.restricted)
        with pytest.raises(SnapshotInvalid, match="not in the source's keyring"):
            stranger.load(snapshot_id)


def _flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def test_a_damaged_snapshot_is_refused(store: Store, publish: Callable[..., str]) -> None:
    snapshot_id = publish(FILES)
    file = store.dir.snapshots / f"{snapshot_id}.json.zst"
    for at in (0, 20, -1):
        _flip(file, at)
        with pytest.raises(SnapshotInvalid, match=f"{snapshot_id}: its file is damaged"):
            store.snapshots.load(snapshot_id)
        _flip(file, at)
    file.write_bytes(b"")
    with pytest.raises(SnapshotInvalid):
        store.snapshots.load(snapshot_id)


def test_a_snapshot_under_another_id_is_refused(store: Store, publish: Callable[..., str]) -> None:
    one, two = publish(FILES), publish({}, created=NOON + timedelta(days=1))
    for suffix in (".json.zst", ".json.zst.asc"):
        shutil.copyfile(store.dir.snapshots / (one + suffix), store.dir.snapshots / (two + suffix))
    with pytest.raises(SnapshotInvalid):
        store.snapshots.load(two)


def test_a_snapshot_with_no_signature_is_refused(store: Store, publish: Callable[..., str]) -> None:
    snapshot_id = publish(FILES)
    (store.dir.snapshots / f"{snapshot_id}.json.zst.asc").unlink()
    with pytest.raises(SnapshotInvalid, match="no signature"):
        store.snapshots.load(snapshot_id)


@pytest.mark.parametrize(
    "data",
    [b"not zstd", zstandard.compress(b"{}"), zstandard.compress(b'{"format": 1'), b""],
)
def test_what_we_signed_but_can_not_read(
    store: Store, signing_key: SigningKey, data: bytes
) -> None:
    snapshot_id = f"20261123T120000Z-{hashlib.sha256(data).hexdigest()[:8]}"
    (store.dir.snapshots / f"{snapshot_id}.json.zst").write_bytes(data)
    (store.dir.snapshots / f"{snapshot_id}.json.zst.asc").write_bytes(signing_key.detach(data))
    with pytest.raises(SnapshotInvalid):
        store.snapshots.load(snapshot_id)


def test_a_snapshot_that_is_not_there(store: Store) -> None:
    missing = "20261123T120000Z-00000000"
    assert not store.snapshots.has(missing)
    for use in (store.snapshots.load, store.snapshots.remove):
        with pytest.raises(NotFound, match=missing):
            use(missing)


@pytest.mark.parametrize("text", ["", "stable", "../x", "20261123T120000Z-0000000G", "a\n"])
def test_what_is_no_id_makes_no_path(store: Store, text: str) -> None:
    for use in (store.snapshots.load, store.snapshots.remove, store.snapshots.has):
        with pytest.raises(NameInvalid):
            use(text)


def test_other_files_beside_the_snapshots_are_ignored(
    store: Store, publish: Callable[..., str]
) -> None:
    snapshot_id = publish(FILES)
    for name in ("notes.json.zst", f".{snapshot_id}.json.zst.abc.tmp", "20261123T120000Z-1.asc"):
        (store.dir.snapshots / name).write_bytes(b"")
    assert store.snapshots.ids() == [snapshot_id]


def test_removing_a_snapshot_leaves_nothing(store: Store, publish: Callable[..., str]) -> None:
    store.snapshots.remove(publish(FILES))
    assert list(store.dir.snapshots.iterdir()) == []


def test_a_snapshot_that_a_channel_answers_for_stays(
    store: Store, publish: Callable[..., str]
) -> None:
    one, two, three = (publish(FILES, created=NOON + timedelta(days=day)) for day in range(3))
    for day, snapshot_id in enumerate((one, two, three)):
        store.channels.switch("stable", snapshot_id, "sync", at=NOON + timedelta(days=day))
    now = NOON + timedelta(days=3)
    for used in (two, three):
        with pytest.raises(SnapshotInUse, match="channel stable"):
            store.remove_snapshot(used, grace=timedelta(days=1, hours=1), now=now)
    store.remove_snapshot(one, grace=timedelta(days=1, hours=1), now=now)
    assert store.snapshots.ids() == [two, three]


def test_eighty_thousand_files_are_quick(store: Store) -> None:
    files = {
        f"noble/amd64/20260101.{number}/ga-24.04/generic/boot-initrd": FileRef(
            hashlib.sha256(b"%d" % number).hexdigest(), number, "images.maas.io"
        )
        for number in range(80_000)
    }
    snapshot = Snapshot(created=NOON, updated=NOON, files=files)
    began = time.process_time()
    loaded = store.snapshots.load(store.snapshots.save(snapshot))
    assert time.process_time() - began < 1.5
    assert loaded == snapshot


def test_the_file_is_plain_zstd_and_json(store: Store, publish: Callable[..., str]) -> None:
    file = store.dir.snapshots / f"{publish(FILES)}.json.zst"
    tree = msgspec.json.decode(zstandard.decompress(file.read_bytes()))
    assert tree["format"] == "snapshot:1"
    sha256, size, source, licence = tree["files"]["noble/amd64/20260101/squashfs"]
    assert re.fullmatch("[0-9a-f]{64}", sha256)
    assert (size, source, licence) == (len(b"a file system"), "images.maas.io", "")


def test_a_long_path_of_the_data_directory(tmp_path: Path, signing_key: SigningKey) -> None:
    layout = DataDir(tmp_path / ("long" * 40))
    layout.create()
    shutil.copytree(signing_key.home, layout.gnupg)
    with Store.open(layout.root) as store:
        snapshot_id = store.snapshots.save(Snapshot(created=NOON, updated=NOON, files={}))
        assert store.snapshots.load(snapshot_id).files == {}
