from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mirror.model import FileRef, Snapshot, SourceState
from mirror.store import DataDir, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mirror.signing.key import SigningKey

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path, signing_key: SigningKey) -> Iterator[Store]:
    layout = DataDir(tmp_path / "data")
    layout.create()
    with Store.open(layout.root, key=signing_key) as store:
        yield store


@pytest.fixture
def arrive(store: Store) -> Callable[[bytes], str]:
    """Let a file with these bytes come in, as a download does: its digest, and a partial file."""

    def arrive(data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        store.incoming.partial(sha256).write_bytes(data)
        return sha256

    return arrive


@pytest.fixture
def publish(store: Store) -> Callable[..., str]:
    """Save a snapshot of these files and return its id."""

    def publish(files: dict[str, bytes], *, created: datetime = NOON, **more: bytes) -> str:
        def ref(data: bytes) -> FileRef:
            return FileRef(*_pair(store.blobs.add_bytes(data)), source="images.maas.io")

        evidence = {"streams/v1/index.sjson": ref(more.get("evidence", b"evidence"))}
        return store.snapshots.save(
            Snapshot(
                created=created,
                updated=created,
                files={path: ref(data) for path, data in files.items()},
                variants={"streams/v1/index.json": {"zstd": ref(more.get("variant", b"variant"))}},
                sources={"images.maas.io": SourceState("http://x", "2026", "F" * 40, evidence)},
            )
        )

    return publish


def _pair(ref: FileRef) -> tuple[str, int]:
    return ref.sha256, ref.size
