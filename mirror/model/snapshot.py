"""Snapshots, and the channels that point at them."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (msgspec reads it)

import msgspec


class FileRef(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The blob behind a published path, and the boot source it came from ('' for our own files).

    `licence` is what one needs to have it (see `mirror.access.licences`; '': nothing, it is free).
    """

    sha256: str
    size: int
    source: str = ""
    licence: str = ""


class SourceState(msgspec.Struct, frozen=True):
    """What a snapshot took from one boot source: which stream, as of when.

    `updated` is the stream's own time (ISO 8601); `files` are the signed metadata files as they
    were received, by their path at the source: the evidence for every digest in the snapshot.
    """

    url: str
    updated: str
    fingerprint: str
    files: dict[str, FileRef]


class View(msgspec.Struct, frozen=True):
    """The metadata files that the holder of some licences sees, where everyone's list less.

    `variants` are as a snapshot's.
    """

    files: dict[str, FileRef]
    variants: dict[str, dict[str, FileRef]] = {}


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Every published path and the blob behind it, at one time.

    `variants` holds compressed forms of metadata files: path -> content coding -> blob. `products`
    is the blob that lists the products for the next sync; clients read the stream.
    `notes` says what a person should know about a product (`vanished upstream`), by product name.
    `files` has the metadata that everyone sees: it lists free products only. `views` has what is
    different for who may have others, by their licences (`proprietary+subscription`), one for each
    combination of those that there are.
    """

    format: str = "snapshot:1"
    created: datetime
    updated: datetime
    """The `updated` of every published metadata file: strictly increasing, whole seconds."""
    parent: str = ""
    sources: dict[str, SourceState] = {}
    files: dict[str, FileRef]
    variants: dict[str, dict[str, FileRef]] = {}
    views: dict[str, View] = {}
    products: FileRef | None = None
    notes: dict[str, list[str]] = {}


class Pin(msgspec.Struct, frozen=True):
    """A channel is kept from following its sources.

    With `version`: of each product that passes every one of `filters` (simplestreams filters on the
    product), only that version is published. Without: the whole channel is held where it is.
    """

    id: int
    channel: str
    version: str = ""
    filters: tuple[str, ...] = ()
    reason: str = ""
    at: datetime | None = None


class Switch(msgspec.Struct, frozen=True):
    """One entry of a channel's history: it was pointed at `snapshot` at `at`, because `reason`.

    `by` is who asked for it; `job` is the sync that did it (0: none). `origin` is set where the
    products of an older snapshot were published anew, as `snapshot`: it is that older one.
    """

    at: datetime
    snapshot: str
    previous: str
    reason: str
    by: str = ""
    origin: str = ""
    job: int = 0
