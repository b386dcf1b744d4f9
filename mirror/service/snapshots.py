"""Snapshots: what was published, and when."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime  # noqa: TC003  (msgspec looks at it)
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import CatalogDamaged, CatalogMissing, MirrorError, NotFound
from mirror.model import Finding  # noqa: TC001  (msgspec looks at it)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.publish.archive import Archive
    from mirror.publish.diff import SnapshotDiff
    from mirror.publish.packages import PackageDiff
    from mirror.service.mirror import Mirror
    from mirror.store import Store
    from mirror.store.verify import VerifyReport
    from mirror.sync.events import Emit
    from mirror.sync.plan import Planned

_FACTS = "snapshot facts"
_NOTE_EVERY = 5.0
"""Seconds between two lines of progress."""


class SnapshotFacts(msgspec.Struct, frozen=True):
    """What never changes about a snapshot. `bytes` counts a shared file once."""

    updated: datetime
    parent: str = ""
    files: int = 0
    bytes: int = 0
    problem: str = ""


class SnapshotSummary(msgspec.Struct, frozen=True):
    """A line of the list of snapshots. `bytes` counts a shared file once.

    `channels` publish it; `answering` are those that still answer for its paths, in their grace
    period. `unique` is how many bytes only this snapshot needs (None: it was not asked for).
    """

    id: str
    files: int
    bytes: int
    channels: tuple[str, ...]
    updated: datetime
    parent: str = ""
    answering: tuple[str, ...] = ()
    pulled: datetime | None = None
    unique: int | None = None
    problem: str = ""
    """Why it can't be read, and so what it has is not known."""


class PublishedItem(msgspec.Struct, frozen=True):
    """One image file of a snapshot."""

    product: str
    version: str
    item: str
    path: str
    sha256: str
    size: int
    source: str


class PublishedVersion(msgspec.Struct, frozen=True):
    """One version of a snapshot, and the bytes of its items.

    `digest` is of what its items are; `findings` is what the plugin `judge` (`ubuntu=0.1.0`) found
    in them when it last looked ('': none has).
    """

    product: str
    version: str
    source: str
    bytes: int
    digest: str
    judge: str = ""
    findings: tuple[Finding, ...] = ()


class SnapshotContents(msgspec.Struct, frozen=True):
    """What a snapshot publishes."""

    id: str
    updated: datetime
    items: tuple[PublishedItem, ...]
    versions: tuple[PublishedVersion, ...]
    notes: dict[str, list[str]]


class Snapshots:
    """The snapshots of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def list(self, *, unique: bool = False) -> list[SnapshotSummary]:
        """Return every snapshot, oldest first.

        `unique` reads all of them to tell what only one needs: that takes a while.
        """
        from mirror.store.pulls import Pulls

        mirror = self._mirror
        channels = _by_snapshot({name: [at] for name, at in mirror.channels.pointers().items()})
        live = mirror.store.channels.live
        grace = mirror.settings.store.grace
        answering = _by_snapshot({name: live(name, grace) for name in mirror.channels.pointers()})
        pulled = Pulls(mirror.dir.pulls).times()
        alone = self._unique() if unique else {}
        facts = self.facts()
        return [
            SnapshotSummary(
                id=snapshot_id,
                files=known.files,
                bytes=known.bytes,
                channels=tuple(channels.get(snapshot_id, ())),
                updated=known.updated,
                parent=known.parent,
                answering=tuple(answering.get(snapshot_id, ())),
                pulled=pulled.get(snapshot_id),
                unique=alone.get(snapshot_id),
                problem=known.problem,
            )
            for snapshot_id in mirror.store.snapshots.ids()
            if (known := facts.get(snapshot_id))
        ]

    def show(self, name: str) -> SnapshotContents:
        """Return what a snapshot (an id, or a channel's current one) publishes, and the findings.

        Raises `NotFound`, `SnapshotInvalid`.
        """
        found = self.contents(self.resolve(name))
        return msgspec.structs.replace(found, versions=self.judged(found.versions))

    def contents(self, snapshot_id: str) -> SnapshotContents:
        """Return what a snapshot publishes, without findings: it never changes."""
        from mirror.sync.published import published_products

        store = self._mirror.store
        snapshot = store.snapshots.load(snapshot_id)
        planned = published_products(snapshot, store.blobs).values()
        return SnapshotContents(
            id=snapshot_id,
            updated=snapshot.updated,
            items=tuple(_items(planned)),
            versions=tuple(_versions(planned)),
            notes=snapshot.notes,
        )

    def judged(self, versions: Iterable[PublishedVersion]) -> tuple[PublishedVersion, ...]:
        """Return the versions with what plugins found in them.

        Without a catalogue, that is not known: what is published can be shown all the same.
        """
        from mirror.service.findings import judged

        try:
            return judged(versions, self._mirror.catalog)
        except (CatalogDamaged, CatalogMissing):
            return tuple(versions)

    def remove(self, snapshot_id: str, *, by: str) -> None:
        """Remove a snapshot that no channel answers for. Raises `SnapshotInUse`, `NotFound`."""
        mirror = self._mirror
        mirror.store.remove_snapshot(snapshot_id, grace=mirror.settings.store.grace)
        mirror.catalog.audit.record(by, "snapshot.remove", snapshot_id, snapshot_id, None)

    def resolve(self, name: str) -> str:
        """Return the id of a snapshot, given that or a channel. Raises `NotFound`."""
        store = self._mirror.store
        if name in store.channels.names():
            return self._mirror.channels.current(name)
        if name not in store.snapshots.ids():
            raise NotFound(f"there is no snapshot or channel {name!r}")
        return name

    def facts(self) -> dict[str, SnapshotFacts]:
        """Return the size and time of every snapshot.

        They are remembered: what was read before is not read again.
        """
        catalog, store = self._mirror.catalog, self._mirror.store
        known = catalog.document(_FACTS, dict[str, SnapshotFacts]) or {}
        facts = {each: known.get(each) or _facts(store, each) for each in store.snapshots.ids()}
        sound = {each: found for each, found in facts.items() if not found.problem}
        if sound != known:
            catalog.store_document(_FACTS, sound)
        return facts

    async def diff(self, old: str, new: str, *, packages: bool = False) -> SnapshotDiff:
        """Compare two snapshots (ids, or channels): which products, versions and files differ.

        With `packages` also which packages, between the newest versions of each product that
        changed. Raises `NotFound`, `SnapshotInvalid`.
        """
        from mirror.publish.archive import Archive

        archive = Archive(self._mirror.store)
        found = await asyncio.to_thread(self._diff, archive, old, new)
        if not packages:
            return found
        from mirror.service.packages import with_packages

        return await with_packages(self._mirror, archive, found)

    async def packages(self, product: str, old_version: str, new_version: str) -> PackageDiff:
        """Compare the packages of two versions of a product, from any snapshots that have them.

        `product` is its name, or filters that it alone passes (`release=noble arch=amd64`; a bare
        word is a release), or several with the same packages. The plugin that claims it lists them.
        Raises `NotFound`, `ProductAmbiguous`, `VersionNotHere`, `NoManifest`, `ManifestUnreadable`,
        `PluginError`.
        """
        from mirror.service.packages import compare

        return await compare(self._mirror, product, old_version, new_version)

    async def verify(self, name: str, emit: Emit) -> VerifyReport:
        """Read every file of one snapshot (an id, or a channel) again. Raises `NotFound`."""
        from mirror.store.verify import verify_store

        snapshot_id = self.resolve(name)
        progress = _Progress(emit, asyncio.get_running_loop())
        return await asyncio.to_thread(
            verify_store, self._mirror.store, snapshots=[snapshot_id], progress=progress
        )

    def _unique(self) -> dict[str, int]:
        from mirror.store.reach import unique_bytes

        sound = [each for each, facts in self.facts().items() if not facts.problem]
        return unique_bytes(self._mirror.store.snapshots, sound)

    def _diff(self, archive: Archive, old: str, new: str) -> SnapshotDiff:
        from mirror.publish.diff import diff_products
        from mirror.service.findings import of_diff

        old_id, new_id = self.resolve(old), self.resolve(new)
        before, after = archive.products(old_id), archive.products(new_id)
        found = diff_products((old_id, before), (new_id, after))
        try:
            return of_diff(found, before, after, self._mirror.catalog)
        except (CatalogDamaged, CatalogMissing):
            return found


def _by_snapshot(snapshots: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Turn channel -> snapshots into snapshot -> channels."""
    channels: dict[str, list[str]] = {}
    for name, ids in sorted(snapshots.items()):
        for snapshot_id in ids:
            channels.setdefault(snapshot_id, []).append(name)
    return channels


def _facts(store: Store, snapshot_id: str) -> SnapshotFacts:
    from mirror.store.snapshots import created_at

    try:
        snapshot = store.snapshots.load(snapshot_id)
    except MirrorError as error:
        return SnapshotFacts(created_at(snapshot_id), problem=error.what)
    blobs = {ref.sha256: ref.size for ref in snapshot.files.values()}
    return SnapshotFacts(
        updated=snapshot.updated,
        parent=snapshot.parent,
        files=len(snapshot.files),
        bytes=sum(blobs.values()),
    )


def _items(products: Iterable[Planned]) -> Iterable[PublishedItem]:
    for planned in products:
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


def _versions(products: Iterable[Planned]) -> Iterable[PublishedVersion]:
    from mirror.catalog.validations import content_digest

    for planned in products:
        for version in planned.product.versions:
            yield PublishedVersion(
                product=planned.product.name,
                version=version.name,
                source=planned.source,
                bytes=sum(item.size for item in version.items),
                digest=content_digest(version),
            )


class _Progress:
    """Says now and then how far the reading is; called from the reading thread."""

    def __init__(self, emit: Emit, loop: asyncio.AbstractEventLoop) -> None:
        self._emit = emit
        self._loop = loop
        self._due = time.monotonic() + _NOTE_EVERY

    def __call__(self, done: int, total: int) -> None:
        from mirror.sync.events import Note

        if time.monotonic() >= self._due or done == total:
            self._due = time.monotonic() + _NOTE_EVERY
            said = Note(f"read {done:,} of {total:,} bytes")
            self._loop.call_soon_threadsafe(self._emit, said)
