"""The composition root: it opens settings, store, catalogue, key and plugins, and has the verbs.

The command line and the server call these and render what comes back; nothing below knows them.
What needs the network is imported by the verbs that use it: a listing starts without it.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from mirror.catalog import Catalog
from mirror.errors import NameInvalid, NotFound, SettingsInvalid
from mirror.model import BootSource, Selection, Snapshot, Switch
from mirror.plugin_manager import Plugins, load_plugins
from mirror.signing.key import RSA3072, SigningKey
from mirror.signing.verify import Verifier, load_keyring
from mirror.simplestreams.filters import parse_filter
from mirror.store import DataDir, Store, content_lock
from mirror.store.gc import GcReport, collect
from mirror.sync.published import published_products

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta
    from types import TracebackType

    from mirror.settings import Settings
    from mirror.sync.events import Emit
    from mirror.sync.repair import RepairReport
    from mirror.sync.result import SyncResult
    from mirror.sync.run import SyncOptions

_ROLLED_BACK = "rolled back from"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SnapshotSummary(msgspec.Struct, frozen=True):
    """A line of the list of snapshots. `bytes` counts a shared blob once."""

    id: str
    files: int
    bytes: int
    channels: tuple[str, ...]


class PublishedItem(msgspec.Struct, frozen=True):
    """One image file of a snapshot."""

    product: str
    version: str
    item: str
    path: str
    sha256: str
    size: int
    source: str


class SnapshotContents(msgspec.Struct, frozen=True):
    """What a snapshot publishes."""

    id: str
    updated: datetime
    items: tuple[PublishedItem, ...]
    notes: dict[str, list[str]]


class Mirror:
    """One opened data directory. Close it, or use it as a context manager."""

    def __init__(self, settings: Settings, plugins: Plugins, key: SigningKey) -> None:
        self.settings = settings
        self.plugins = plugins
        self.key = key
        self.store = Store.open(settings.data_dir, key=key)
        self.catalog = Catalog(self.store.dir.catalog)

    @classmethod
    def create(cls, settings: Settings, *, name: str, algorithm: str = RSA3072) -> Mirror:
        """Make the data directory and its key where they are missing, and open it.

        Raises `DataDirNotOurs`, `DataDirNotWritable`, `SigningFailed`.
        """
        layout = DataDir(settings.data_dir)
        layout.create()
        if not SigningKey.exists(layout.gnupg):
            SigningKey.create(layout.gnupg, name, algorithm=algorithm).close()
        return cls.open(settings)

    @classmethod
    def open(cls, settings: Settings) -> Mirror:
        """Open a data directory that `create` made. Raises `NotInitialised`, `DataDirNotOurs`."""
        layout = DataDir(settings.data_dir)
        layout.check()
        chosen = settings.plugins
        plugins = load_plugins(allow=chosen.allow, block=chosen.block, strict=chosen.strict)
        return cls(settings, plugins, SigningKey.open(layout.gnupg))

    def __enter__(self) -> Self:
        """Return the mirror itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what is open."""
        self.close()

    def close(self) -> None:
        """Close the catalogue and stop the key's agent."""
        with ExitStack() as stack:
            stack.callback(self.catalog.close)
            stack.callback(self.store.close)

    # --- sources and selections -------------------------------------------------------------------

    def source(self, name: str) -> BootSource:
        """Return a boot source by name, or raise `NotFound`."""
        for source in self.catalog.sources():
            if source.name == name:
                return source
        raise NotFound(f"there is no boot source {name!r}")

    def add_source(self, source: BootSource) -> None:
        """Add a boot source after looking at all of it that can be looked at without the network.

        Raises `NameInvalid`, `SettingsInvalid`, `KeyringMissing`, `KeyringInvalid`,
        `AlreadyExists`.
        """
        from mirror.sync.http import clean_url

        if not _NAME.fullmatch(source.name):
            raise NameInvalid(f"{source.name!r} can't be the name of a boot source")
        clean_url(source.url)
        if source.trust not in {"signed", "none"}:
            raise SettingsInvalid(f"--trust is {source.trust!r}; it may be 'signed' or 'none'")
        if source.trust == "signed":
            if not source.keyring:
                raise SettingsInvalid(
                    f"boot source {source.name!r} has no keyring to check its signatures with",
                    remedy="Give one with --keyring FILE; only for an unsigned source: "
                    "--trust none.",
                )
            keyring = load_keyring(Path(source.keyring))
            with Verifier(keyring, source.fingerprints, name=source.name) as verifier:
                verifier.check()
        self.catalog.add_source(source)

    def add_selection(self, filters: Iterable[str], *, source: str, keep: int) -> Selection:
        """Add a selection. Raises `FilterInvalid`, `NotFound`."""
        filters = tuple(filters)
        for text in filters:
            parse_filter(text)
        if source:
            self.source(source)
        return self.catalog.add_selection(Selection(0, filters, source=source, keep=keep))

    # --- sync, verify, gc -------------------------------------------------------------------------

    async def sync(self, options: SyncOptions, emit: Emit) -> SyncResult:
        """Bring the channel up to date with the boot sources; see `sync.run`."""
        from mirror.sync.run import Tools, run_sync

        tools = Tools(
            store=self.store,
            catalog=self.catalog,
            plugins=self.plugins,
            key=self.key,
            settings=self.settings,
        )
        return await run_sync(tools, options, emit)

    async def verify(self, *, repair: bool, emit: Emit) -> RepairReport:
        """Read every blob that a snapshot names; with `repair`, fetch the bad ones again."""
        from mirror.sync.repair import repair_store

        return await repair_store(
            self.store, self.catalog.sources(), self.settings, repair=repair, emit=emit
        )

    def gc(self, *, grace: timedelta | None = None, dry_run: bool = False) -> GcReport:
        """Delete what no snapshot needs. Raises `Busy` while a sync runs."""
        chosen = self.settings.store.grace if grace is None else grace
        with nullcontext() if dry_run else content_lock(self.settings.data_dir):
            return collect(self.store, grace=chosen, dry_run=dry_run)

    # --- snapshots and channels -------------------------------------------------------------------

    def snapshots(self) -> list[SnapshotSummary]:
        """Return every snapshot, oldest first."""
        pointers = self.channels()
        return [self._summary(each, pointers) for each in self.store.snapshots.ids()]

    def _summary(self, snapshot_id: str, pointers: dict[str, str]) -> SnapshotSummary:
        snapshot = self.store.snapshots.load(snapshot_id)
        blobs = {ref.sha256: ref.size for ref in snapshot.files.values()}
        channels = tuple(sorted(name for name, at in pointers.items() if at == snapshot_id))
        return SnapshotSummary(snapshot_id, len(snapshot.files), sum(blobs.values()), channels)

    def show_snapshot(self, name: str) -> SnapshotContents:
        """Return what a snapshot (an id, or a channel's current one) publishes."""
        snapshot_id = self._resolve(name)
        snapshot = self.store.snapshots.load(snapshot_id)
        return SnapshotContents(
            id=snapshot_id,
            updated=snapshot.updated,
            items=tuple(_items(snapshot, self.store)),
            notes=snapshot.notes,
        )

    def remove_snapshot(self, snapshot_id: str) -> None:
        """Remove a snapshot that no channel answers for. Raises `SnapshotInUse`, `NotFound`."""
        self.store.remove_snapshot(snapshot_id, grace=self.settings.store.grace)

    def channels(self) -> dict[str, str]:
        """Return the snapshot of each channel."""
        found = {name: self.store.channels.current(name) for name in self.store.channels.names()}
        return {name: at for name, at in found.items() if at}

    def history(self, channel: str) -> list[Switch]:
        """Return where a channel pointed, oldest first. Raises `NotFound`."""
        self._current(channel)
        return self.store.channels.history(channel)

    def promote(self, channel: str, snapshot: str) -> str:
        """Point a channel at a snapshot (or at another channel's); return its id."""
        snapshot_id = self._resolve(snapshot)
        self.store.channels.switch(channel, snapshot_id, f"promoted {snapshot}")
        return snapshot_id

    def rollback(self, channel: str) -> str:
        """Point a channel back at what it published before; return its id."""
        current = self._current(channel)
        for switch in reversed(self.store.channels.history(channel)):
            if switch.snapshot != current or switch.reason.startswith(_ROLLED_BACK):
                continue  # a second rollback goes further back, not to where the first came from
            if self._exists(switch.previous):
                self.store.channels.switch(channel, switch.previous, f"{_ROLLED_BACK} {current}")
                return switch.previous
        raise NotFound(
            f"channel {channel!r} has no earlier snapshot to go back to",
            remedy="See `mirror channel show` for its history, `mirror snapshot list` for what "
            "is here, and point it with `mirror channel promote`.",
        )

    def _exists(self, snapshot_id: str) -> bool:
        return bool(snapshot_id) and self.store.snapshots.has(snapshot_id)

    def _current(self, channel: str) -> str:
        current = self.store.channels.current(channel)
        if current is None:
            raise NotFound(f"there is no channel {channel!r}")
        return current

    def _resolve(self, name: str) -> str:
        if name in self.store.channels.names():
            return self._current(name)
        if name not in self.store.snapshots.ids():
            raise NotFound(f"there is no snapshot or channel {name!r}")
        return name


def _items(snapshot: Snapshot, store: Store) -> Iterable[PublishedItem]:
    for planned in published_products(snapshot, store.blobs).values():
        for version in planned.product.versions:
            for item in version.items:
                yield PublishedItem(
                    product=planned.product.name,
                    version=version.name,
                    item=item.name,
                    path=item.path,
                    sha256=item.sha256,
                    size=item.size,
                    source=planned.source,
                )
