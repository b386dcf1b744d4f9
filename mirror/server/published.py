"""What is published now: the tree of every channel, as one immutable value, and how it is made.

A channel also answers for the image files of the snapshots that it pointed at within the grace
period, so that a client that read yesterday's index can still fetch what that names.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import MirrorError, NotFound
from mirror.model import FileRef
from mirror.server.tree import METADATA, Document, Tree, build_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from mirror.store.store import Store

_log = logging.getLogger(__name__)

LeftOver = dict[str, FileRef]
"""Image files of a superseded snapshot that the current one does not have, by path."""


class Channel(msgspec.Struct, frozen=True):
    """A channel's current tree, and the files left over from each snapshot in its grace period.

    `licences` are those that it allows: who has one of them may have such images from here.
    """

    tree: Tree
    older: Mapping[str, LeftOver]
    licences: frozenset[str] = frozenset()

    def file(self, path: str) -> FileRef | None:
        """Return the image file at `path`, the current snapshot's first."""
        found = self.tree.files.get(path)
        if found is not None:
            return found
        for files in self.older.values():
            if path in files:
                return files[path]
        return None


class Published(msgspec.Struct, frozen=True):
    """Every channel that can be served, and what is wrong with those that can't be brought up.

    `problems` are sentences by channel name; such a channel keeps its last good tree. `documents`
    are the metadata files that are the same for all who ask, by the whole path of their URL: a
    short cut.
    """

    channels: Mapping[str, Channel] = {}
    problems: Mapping[str, str] = {}
    documents: Mapping[str, Document] = {}

    def tree(self, snapshot_id: str) -> Tree | None:
        """Return the tree of a snapshot that some channel points at."""
        trees = (channel.tree for channel in self.channels.values())
        return next((tree for tree in trees if tree.snapshot == snapshot_id), None)


def publish(channels: Mapping[str, Channel], problems: Mapping[str, str]) -> Published:
    """Return these channels as one value."""
    documents = {
        f"/images/{name}/{path}": document
        for name, channel in channels.items()
        if not channel.tree.views
        for path, document in channel.tree.documents.items()
    }
    return Published(channels, problems, documents)


def load_tree(store: Store, snapshot_id: str) -> Tree:
    """Load a snapshot, its signature checked, and its metadata. Blocks; raises MirrorError."""

    def read(ref: FileRef) -> bytes:
        return store.blobs.path(ref.sha256).read_bytes()

    snapshot = store.snapshots.load(snapshot_id)
    if snapshot.views and not store.restricted.root.exists():
        store.restore_marks()  # the directory came out of a backup without them
    return build_tree(snapshot_id, snapshot, read)


def refresh(store: Store, before: Published, grace: timedelta, now: datetime) -> Published:
    """Return what is published now, loading only what is not in `before`. Blocks."""
    channels: dict[str, Channel] = {}
    problems: dict[str, str] = {}
    for name in store.channels.names():
        known = before.channels.get(name)
        licences = licences_of(store, name)
        try:
            live = store.channels.live(name, grace, now)
            if live:
                channel = _channel(store, Published(channels), known, live)
                channels[name] = msgspec.structs.replace(channel, licences=licences)
        except (MirrorError, OSError) as error:
            problems[name] = f"channel {name} can't be brought up to date: {error}"
            if known is not None:
                channels[name] = msgspec.structs.replace(known, licences=licences)
    return publish(channels, problems)


def licences_of(store: Store, name: str) -> frozenset[str]:
    """Return which licences a channel allows; none where that can't be read."""
    try:
        return store.channels.licences(name)
    except MirrorError as error:
        _log.error("channel %s allows no licence now: %s", name, error)
        return frozenset()


def _channel(store: Store, others: Published, known: Channel | None, live: list[str]) -> Channel:
    current, *superseded = live
    if known is not None and known.tree.snapshot == current:
        tree = known.tree
    else:
        tree = others.tree(current) or load_tree(store, current)
    older = {
        snapshot_id: _left_over(files, tree)
        for snapshot_id in superseded
        if (files := _files_of(store, known, snapshot_id)) is not None
    }
    return Channel(tree, older)


def _files_of(
    store: Store, known: Channel | None, snapshot_id: str
) -> Mapping[str, FileRef] | None:
    """Return the image files of a superseded snapshot, from memory where they are.

    What was left over of it when another snapshot was current is enough: that one is superseded
    later, so it stays longer, and has the others.
    """
    if known is not None:
        if known.tree.snapshot == snapshot_id:
            return known.tree.files
        if snapshot_id in known.older:
            return known.older[snapshot_id]
    try:
        return store.snapshots.load(snapshot_id).files
    except NotFound:
        return None
    except MirrorError as error:
        _log.warning("an old snapshot is not served any more: %s", error)
        return None


def _left_over(files: Mapping[str, FileRef], tree: Tree) -> LeftOver:
    return {
        path: ref
        for path, ref in files.items()
        if path not in tree.files and not path.startswith(METADATA)
    }
