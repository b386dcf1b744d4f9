"""Snapshots at rest: zstd-compressed JSON with a detached signature by the mirror's key.

`<id>.json.zst` is what makes a snapshot exist, so its signature (`.asc`) is written before it and
removed after it. The id is the time of creation and the first digits of the sha256 of the file.
"""

from __future__ import annotations

import gc
import hashlib
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import zstandard

from mirror.errors import IntegrityError, NameInvalid, NotFound, SnapshotInvalid
from mirror.model import Snapshot
from mirror.store.durable import disk_errors, write_atomic
from mirror.store.restricted import needed_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mirror.signing.key import SigningKey
    from mirror.signing.verify import Verifier
    from mirror.store.restricted import Restricted

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_TIME = "%Y%m%dT%H%M%SZ"
_DATA = ".json.zst"
_SIGNATURE = ".json.zst.asc"
_MOST = 1 << 30
"""Bytes of JSON that a snapshot may have: ten million files."""


class Snapshots:
    """The snapshots of one data directory. `key` signs them, `verifier` has its public key.

    What is not free in them is marked in `restricted`.
    """

    def __init__(
        self, root: Path, verifier: Verifier, key: SigningKey, restricted: Restricted
    ) -> None:
        self.root = root
        self._verifier = verifier
        self._key = key
        self._restricted = restricted

    def ids(self) -> list[str]:
        """Return the id of every snapshot, oldest first."""
        with disk_errors(self.root):
            names = [entry.name.removesuffix(_DATA) for entry in self.root.glob(f"*{_DATA}")]
        return sorted(name for name in names if _ID.fullmatch(name))

    def newest_time(self) -> datetime | None:
        """Return the time of the newest snapshot, on whatever channel: what follows is later."""
        ids = self.ids()
        return created_at(ids[-1]) if ids else None

    def has(self, snapshot_id: str) -> bool:
        """Say whether there is such a snapshot. Raises NameInvalid."""
        return self._file(snapshot_id, _DATA).is_file()

    def save(self, snapshot: Snapshot) -> str:
        """Sign and store a snapshot, durably, and return its id; saving it again changes nothing.

        Its blobs that are not free are marked before, those that are free again after: whenever the
        process stops, none is open that should not be.

        Raises SigningFailed, NoSpace, DataDirNotWritable, StoreError.
        """
        data = zstandard.compress(msgspec.json.encode(snapshot), 3)
        digest = hashlib.sha256(data).hexdigest()
        snapshot_id = f"{snapshot.created:{_TIME}}-{digest[:8]}"
        needed = needed_for(snapshot)
        self._restricted.protect(needed)
        write_atomic(self._file(snapshot_id, _SIGNATURE), self._key.detach(data))
        write_atomic(self._file(snapshot_id, _DATA), data)
        self._restricted.release(needed)
        return snapshot_id

    def load(self, snapshot_id: str) -> Snapshot:
        """Return a snapshot whose signature is good. Raises NotFound, SnapshotInvalid."""
        data = self._read(snapshot_id, _DATA)
        if hashlib.sha256(data).hexdigest()[:8] != snapshot_id[-8:]:
            raise SnapshotInvalid(f"snapshot {snapshot_id}: its file is damaged")
        try:
            self._verifier.detached(data, self._read(snapshot_id, _SIGNATURE))
            return _decode(data)
        except IntegrityError as error:
            raise SnapshotInvalid(f"snapshot {snapshot_id}: {error}") from error
        except (zstandard.ZstdError, msgspec.MsgspecError) as error:
            raise SnapshotInvalid(f"snapshot {snapshot_id} can't be read: {error}") from error

    def remove(self, snapshot_id: str) -> None:
        """Remove a snapshot, whoever uses it (`Store.remove_snapshot` asks). Raises NotFound."""
        data = self._file(snapshot_id, _DATA)
        if not data.is_file():
            raise NotFound(f"there is no snapshot {snapshot_id}")
        with disk_errors(data):
            data.unlink(missing_ok=True)
            self._file(snapshot_id, _SIGNATURE).unlink(missing_ok=True)

    def orphans(self) -> Iterator[Path]:
        """Yield what a crash left behind: signatures with no snapshot."""
        for file in self.root.glob(f"*{_SIGNATURE}"):
            if not file.with_name(file.name.removesuffix(".asc")).exists():
                yield file

    def _file(self, snapshot_id: str, suffix: str) -> Path:
        if not _ID.fullmatch(snapshot_id):
            raise NameInvalid(
                f"{snapshot_id[:80]!r} is not the id of a snapshot",
                remedy="List them with `mirror snapshot list`.",
            )
        return self.root / f"{snapshot_id}{suffix}"

    def _read(self, snapshot_id: str, suffix: str) -> bytes:
        file = self._file(snapshot_id, suffix)
        with disk_errors(file):
            try:
                return file.read_bytes()
            except FileNotFoundError:
                if suffix == _DATA:
                    raise NotFound(f"there is no snapshot {snapshot_id}") from None
                raise SnapshotInvalid(f"snapshot {snapshot_id} has no signature") from None


def created_at(snapshot_id: str) -> datetime:
    """Return when a snapshot was made, as its id says; it is the time that it publishes, too."""
    return datetime.strptime(snapshot_id[:16], _TIME).replace(tzinfo=UTC)


def _decode(data: bytes) -> Snapshot:
    size = zstandard.frame_content_size(data)
    if not 0 <= size <= _MOST:
        raise SnapshotInvalid(f"its JSON has {size:,} bytes; {_MOST:,} at most")
    plain = zstandard.decompress(data)
    with _no_collection():
        return msgspec.json.decode(plain, type=Snapshot)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Stop the collector while a hundred thousand live values are made: it would only look on."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
