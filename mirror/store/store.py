"""The parts of one data directory, opened together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.errors import SnapshotInUse
from mirror.signing.key import SigningKey
from mirror.signing.verify import Verifier
from mirror.store.blobs import LocalBlobs
from mirror.store.channels import Channels
from mirror.store.incoming import Incoming
from mirror.store.layout import DataDir
from mirror.store.snapshots import Snapshots

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path


class Store:
    """Blobs, snapshots and channels of one data directory.

    With `key`, snapshots can be saved; reading needs the public key only.
    """

    def __init__(self, data_dir: DataDir, verifier: Verifier, key: SigningKey | None) -> None:
        self.dir = data_dir
        self.blobs = LocalBlobs(data_dir.blobs)
        self.incoming = Incoming(data_dir.incoming)
        self.snapshots = Snapshots(data_dir.snapshots, verifier, key)
        self.channels = Channels(data_dir.channels, self.snapshots)

    @classmethod
    def open(cls, data_dir: Path, *, key: SigningKey | None = None) -> Store:
        """Open a data directory that `mirror init` made.

        Raises NotInitialised, DataDirNotOurs, SigningFailed when it has no key.
        """
        layout = DataDir(data_dir)
        layout.check()
        public = (key or SigningKey.open(layout.gnupg)).public_binary()
        return cls(layout, Verifier(public, name="the mirror's own key"), key)

    def remove_snapshot(
        self, snapshot_id: str, *, grace: timedelta, now: datetime | None = None
    ) -> None:
        """Remove a snapshot that no channel answers for any more.

        Raises SnapshotInUse, NotFound, NameInvalid. Its blobs go with the next gc.
        """
        with self.channels.lock():
            for name in self.channels.names():
                if snapshot_id in self.channels.live(name, grace, now):
                    raise SnapshotInUse(f"channel {name} answers for snapshot {snapshot_id}")
            self.snapshots.remove(snapshot_id)
