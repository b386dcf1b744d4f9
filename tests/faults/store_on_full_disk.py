"""Use a store whose disk is full. Arguments: data directory, the key's home, how it is full.

`tmpfs` mounts a small one over the data directory first; `rlimit` lets no file grow. Prints nothing
when all went as it should.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.errors import NoSpace
from mirror.model import Snapshot
from mirror.signing.key import SigningKey
from mirror.store import DataDir, Store, content_lock
from mirror.store.gc import collect
from mirror.store.space import free_bytes
from mirror.store.verify import verify_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def snapshot_with(store: Store, data: bytes, day: int) -> str:
    time = NOON + timedelta(days=day)
    files = {"a": store.blobs.add_bytes(data)}
    return store.snapshots.save(Snapshot(created=time, updated=time, files=files))


def must(condition: bool, what: str) -> None:
    if not condition:
        raise SystemExit(f"it should be that {what}")


def must_say_no_space(action: Callable[[], object]) -> None:
    try:
        action()
    except NoSpace:
        return
    raise SystemExit("it should have said NoSpace")


@contextmanager
def no_room(root: Path, how: str) -> Iterator[None]:
    """Let nothing more be written; a tmpfs stays full afterwards, a limit ends."""
    if how == "rlimit":
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        yield
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        return
    with suppress(OSError), (root / "blobs" / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    must(free_bytes(root) == 0, "the disk is full")
    yield


def state(store: Store) -> object:
    channels = {name: store.channels.history(name) for name in store.channels.names()}
    return channels, store.snapshots.ids(), sorted(store.blobs.hashes())


def main(root: Path, key_home: Path, how: str) -> None:
    if how == "tmpfs":
        root.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", root], check=True)
    DataDir(root).create()
    with Store.open(root, key=SigningKey.open(key_home)) as store:
        one, two = snapshot_with(store, b"one", 1), snapshot_with(store, b"two", 2)
        garbage = store.blobs.add_bytes(os.urandom(100_000))
        store.channels.switch("stable", one, "before")
        before = state(store)
        with no_room(root, how):
            must_say_no_space(lambda: store.blobs.add_bytes(os.urandom(50_000)))
            must_say_no_space(lambda: store.channels.switch("stable", two, "while full"))
            if how == "tmpfs":
                # under the limit it would be gpg that fails
                must_say_no_space(lambda: snapshot_with(store, b"one", 3))
        must(state(store) == before, "a failed write changes nothing")
        must(not list(root.rglob("*.tmp")), "a failed write leaves no temp file")
        with content_lock(root):
            collected = collect(store, grace=timedelta(seconds=-1))
        must(collected.bytes == garbage.size, f"gc frees the garbage, not {collected}")
        store.channels.switch("stable", two, "room again")
        must(store.channels.current("stable") == two, "the channel moves when there is room")
        must(not verify_store(store).damaged, "nothing is damaged")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
