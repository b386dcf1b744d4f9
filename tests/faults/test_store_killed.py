"""SIGKILL at any instant of adopting, saving and switching: no repair, nothing wrong, no orphan."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mirror.store import DataDir, Store, content_lock
from mirror.store.gc import collect

if TYPE_CHECKING:
    from pathlib import Path

    from mirror.signing.key import SigningKey

PROGRAM = """
import hashlib, itertools, os, sys
from pathlib import Path
from mirror.model import FileRef, Snapshot, utcnow
from mirror.signing.key import SigningKey
from mirror.store import Store, content_lock

root, key_home = map(Path, sys.argv[1:])
with content_lock(root, wait=True), Store.open(root, key=SigningKey.open(key_home)) as store:
    store.key.detach(b"warm up")
    print("ready", flush=True)
    for turn in itertools.count():
        data = b"%d %d\\n" % (os.getpid(), turn) * 3000
        sha256 = hashlib.sha256(data).hexdigest()
        partial = store.incoming.partial(sha256)
        partial.write_bytes(data)
        store.blobs.adopt(partial, sha256)
        files = {"image": FileRef(sha256, len(data)), "index": store.blobs.add_bytes(data[:99])}
        snapshot = Snapshot(created=utcnow(), updated=utcnow(), files=files)
        store.channels.switch("stable", store.snapshots.save(snapshot), f"turn {turn}")
"""


def run_until_killed(root: Path, key_home: Path, after: float) -> None:
    command = [sys.executable, "-c", PROGRAM, str(root), str(key_home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(after)
        child.kill()


def check(store: Store) -> None:
    """Nothing that is listed is wrong: every snapshot, every blob, the channel and its history."""
    for sha256 in store.blobs.hashes():
        assert hashlib.sha256(store.blobs.path(sha256).read_bytes()).hexdigest() == sha256
    for snapshot_id in store.snapshots.ids():
        for ref in store.snapshots.load(snapshot_id).files.values():
            assert store.blobs.size(ref.sha256) == ref.size
    history = store.channels.history("stable")
    assert all(store.snapshots.has(switch.snapshot) for switch in history)
    if history:
        assert history[-1].snapshot == store.channels.current("stable")
    else:
        assert store.channels.current("stable") is None


def check_no_orphan(store: Store) -> None:
    """After gc, with no grace, every file below the store is one that something names."""
    with content_lock(store.dir.root):
        collect(store, grace=timedelta(seconds=-1))
    known = {store.dir.channels / ".lock", store.channels.path("stable")}
    known.add(store.dir.channels / ".stable.history")
    for snapshot_id in store.snapshots.ids():
        known.add(store.dir.snapshots / f"{snapshot_id}.json.zst")
        known.add(store.dir.snapshots / f"{snapshot_id}.json.zst.asc")
        refs = store.snapshots.load(snapshot_id).files.values()
        known |= {store.blobs.path(ref.sha256) for ref in refs}
    for folder in (store.dir.blobs, store.dir.incoming, store.dir.snapshots, store.dir.channels):
        assert {file for file in folder.rglob("*") if file.is_file()} <= known


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_instant(tmp_path: Path, signing_key: SigningKey, seed: int) -> None:
    layout = DataDir(tmp_path / "data")
    layout.create()
    instant = random.Random(seed)
    with Store.open(layout.root, key=signing_key) as store:
        for _ in range(2):
            run_until_killed(layout.root, signing_key.home, instant.uniform(0.0, 0.15))
            check(store)
            check_no_orphan(store)
        check(store)


KILLED_INIT = """
import sys
from pathlib import Path
from mirror.store import DataDir
print("ready", flush=True)
for number in range(100_000):
    DataDir(Path(sys.argv[1]) / str(number)).create()
"""


def test_a_creation_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_INIT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(0.1)
        child.kill()
    for root in tmp_path.iterdir():
        layout = DataDir(root)
        layout.create()
        layout.check()
        assert layout.snapshots.is_dir()
