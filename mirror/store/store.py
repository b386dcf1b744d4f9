"""The parts of one data directory, opened together."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from mirror.errors import NotFound, SnapshotInUse, SnapshotInvalid
from mirror.signing.key import SigningKey
from mirror.signing.verify import Verifier
from mirror.store.blobs import LocalBlobs
from mirror.store.channels import Channels
from mirror.store.incoming import Incoming
from mirror.store.layout import DataDir
from mirror.store.restricted import Restricted, needed_for
from mirror.store.snapshots import Snapshots

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path
    from types import TracebackType


class Store:
    """Blobs, snapshots and channels of one data directory, and the mirror's own key.

    Cheap to open; gpg runs when a snapshot is first saved or loaded. `close` it, or use it in
    `with`: that removes the temporary files of gpg, as does the end of the process.
    """

    def __init__(self, data_dir: DataDir, key: SigningKey) -> None:
        verifier = Verifier(key.public_binary(), name="the mirror's own key")
        self.dir = data_dir
        self.key = key
        self._verifier = verifier
        self.blobs = LocalBlobs(data_dir.blobs)
        self.incoming = Incoming(data_dir.incoming)
        self.restricted = Restricted(data_dir.restricted)
        self.snapshots = Snapshots(data_dir.snapshots, verifier, key, self.restricted)
        self.channels = Channels(data_dir.channels, self.snapshots)

    @classmethod
    def open(cls, data_dir: Path, *, key: SigningKey | None = None) -> Store:
        """Open a data directory that `mirror init` made, with its own key unless one is given.

        Raises NotInitialised, DataDirNotOurs, and SigningFailed when it has no key.
        """
        layout = DataDir(data_dir)
        layout.check()
        return cls(layout, key or SigningKey.open(layout.gnupg))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary files of gpg and end its agent. The store may be used again."""
        self._verifier.close()
        self.key.close()

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

    def restore_marks(self) -> int:
        """Mark anew what the snapshots say is not free; return how many blobs had no mark.

        A snapshot that can't be read tells nothing. Raises the errors of the disk.
        """
        needed: dict[str, str] = {}
        for snapshot_id in self.snapshots.ids():  # oldest first: the newest decides
            with suppress(SnapshotInvalid, NotFound):
                needed.update(needed_for(self.snapshots.load(snapshot_id)))
        return self.restricted.protect(needed)
