"""snapshots: what was published, and when; what differs between two of them."""

from __future__ import annotations

import asyncio
from typing import Annotated, TypeVar

import msgspec

from mirror.access.rights import Right
from mirror.errors import (
    Busy,
    ManifestUnreadable,
    NoManifest,
    NotFound,
    PluginError,
    ProductAmbiguous,
    SnapshotInUse,
    VersionNotHere,
)
from mirror.publish.diff import SnapshotDiff
from mirror.publish.packages import PackageDiff
from mirror.server.api.inputs import TEXT_FORM, Counted, Name, Paged, matching, unsaid
from mirror.server.api.pages import Page, page
from mirror.server.api.route import Call, Route
from mirror.service.snapshots import (
    PublishedItem,
    PublishedVersion,
    SnapshotContents,
    SnapshotSummary,
)
from mirror.store.locks import file_lock
from mirror.store.verify import VerifyReport

TAG = "snapshots"

Listed = TypeVar("Listed", PublishedItem, PublishedVersion)

_VERIFY_LOCK = "verify.lock"

_Asked = Annotated[str, matching(TEXT_FORM, min_length=1, max_length=500)]


class ById(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which snapshot, by its id."""

    snapshot: Annotated[str, matching("[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", max_length=64)]


class ByAnyName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which snapshot, by its id or as that of a channel."""

    snapshot: Name


class ListWanted(Paged, frozen=True, forbid_unknown_fields=True):
    """Which snapshots; with `unique`, how many bytes only each of them needs (it takes a while)."""

    unique: bool = False


class ContentsWanted(Counted, frozen=True, forbid_unknown_fields=True):
    """Which files, or versions: those of this product ('': of all)."""

    product: Annotated[str, matching(TEXT_FORM, max_length=500)] = ""


class SnapshotNotes(msgspec.Struct, frozen=True):
    """What a person should know about a product (`vanished upstream`), by its name."""

    notes: dict[str, list[str]]


class DiffWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to compare with: an older snapshot, or a channel's; with `packages`, these too."""

    old: Name
    packages: bool = False


class PackagesWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two versions of a product; `product` is its name, or filters that it alone passes."""

    product: _Asked
    old: _Asked
    new: _Asked


def list_(call: Call) -> Page[SnapshotSummary]:
    """Return the snapshots, the newest first."""
    found = call.mirror.snapshots.list(unique=call.query.unique)
    return page(reversed(found), lambda each: each.id, call.query)


def show(call: Call) -> SnapshotSummary:
    """Return one."""
    for each in call.mirror.snapshots.list():
        if each.id == call.where.snapshot:
            return each
    raise NotFound(f"there is no snapshot {call.where.snapshot!r} that can be read")


def contents(call: Call) -> Page[PublishedItem]:
    """Return its files. A cursor counts those before it."""
    return _part(_contents(call).items, call.query)


def versions(call: Call) -> Page[PublishedVersion]:
    """Return its versions, and what was found in them. A cursor counts those before it."""
    found = _part(_contents(call).versions, call.query)
    return Page(call.mirror.snapshots.judged(found.items), found.next)


def _part(everything: tuple[Listed, ...], query: ContentsWanted) -> Page[Listed]:
    if query.product:
        everything = tuple(each for each in everything if each.product == query.product)
    start = int(query.after or 0)
    end = start + query.limit
    return Page(everything[start:end], str(end) if end < len(everything) else "")


def notes(call: Call) -> SnapshotNotes:
    """Return what a person should know about its products."""
    return SnapshotNotes(_contents(call).notes)


def _contents(call: Call) -> SnapshotContents:
    """Return what it publishes. It never changes: the pages of one are read one after another."""
    snapshots = call.mirror.snapshots
    snapshot_id = snapshots.resolve(call.where.snapshot)
    return call.latest.get(snapshot_id, lambda: snapshots.contents(snapshot_id))


def diff(call: Call) -> SnapshotDiff:
    """Compare it with an older one."""
    query: DiffWanted = call.query
    snapshots = call.mirror.snapshots
    return asyncio.run(snapshots.diff(query.old, call.where.snapshot, packages=query.packages))


def packages(call: Call) -> PackageDiff:
    """Compare the packages of two versions."""
    query: PackagesWanted = call.query
    return asyncio.run(call.mirror.snapshots.packages(query.product, query.old, query.new))


def verify(call: Call) -> VerifyReport:
    """Read every file of it again. One at a time: the disk has other things to do as well."""
    with file_lock(call.mirror.dir.root / _VERIFY_LOCK, wait=False):
        return asyncio.run(call.mirror.snapshots.verify(call.where.snapshot, unsaid))


def remove(call: Call) -> None:
    """Remove it."""
    call.mirror.snapshots.remove(call.where.snapshot, by=call.by)


ROUTES = (
    Route(
        method="GET",
        path="/snapshots",
        right=Right.READ_STATE,
        handler=list_,
        summary="List the snapshots, the newest first.",
        tag=TAG,
        query=ListWanted,
        returns=Page[SnapshotSummary],
    ),
    Route(
        method="GET",
        path="/snapshots/{snapshot}",
        right=Right.READ_STATE,
        handler=show,
        summary="Show a snapshot.",
        tag=TAG,
        where=ById,
        returns=SnapshotSummary,
    ),
    Route(
        method="DELETE",
        path="/snapshots/{snapshot}",
        right=Right.OPERATE,
        handler=remove,
        summary="Remove a snapshot that no channel answers for; gc then frees its files.",
        tag=TAG,
        where=ById,
        status=204,
        current=show,
        errors=(SnapshotInUse,),
    ),
    Route(
        method="GET",
        path="/snapshots/{snapshot}/contents",
        right=Right.READ_STATE,
        handler=contents,
        summary="List the files of a snapshot (or a channel's).",
        tag=TAG,
        where=ByAnyName,
        query=ContentsWanted,
        returns=Page[PublishedItem],
    ),
    Route(
        method="GET",
        path="/snapshots/{snapshot}/versions",
        right=Right.READ_STATE,
        handler=versions,
        summary="List the versions of a snapshot (or a channel's), and what plugins found in each.",
        tag=TAG,
        where=ByAnyName,
        query=ContentsWanted,
        returns=Page[PublishedVersion],
    ),
    Route(
        method="GET",
        path="/snapshots/{snapshot}/notes",
        right=Right.READ_STATE,
        handler=notes,
        summary="Show what a person should know about the products of a snapshot.",
        tag=TAG,
        where=ByAnyName,
        returns=SnapshotNotes,
    ),
    Route(
        method="GET",
        path="/snapshots/{snapshot}/diff",
        right=Right.READ_STATE,
        handler=diff,
        summary="Show what a snapshot (or a channel's) has that an older one has not.",
        tag=TAG,
        where=ByAnyName,
        query=DiffWanted,
        returns=SnapshotDiff,
    ),
    Route(
        method="POST",
        path="/snapshots/{snapshot}:verify",
        right=Right.OPERATE,
        handler=verify,
        summary="Read every file of a snapshot (or a channel's) again; answers when it is done.",
        tag=TAG,
        where=ByAnyName,
        returns=VerifyReport,
        errors=(Busy,),
    ),
    Route(
        method="GET",
        path="/packages",
        right=Right.READ_STATE,
        handler=packages,
        summary="Show which packages changed between two versions of a product.",
        tag=TAG,
        query=PackagesWanted,
        returns=PackageDiff,
        errors=(
            *(NotFound, ProductAmbiguous, VersionNotHere, NoManifest, ManifestUnreadable),
            PluginError,
        ),
    ),
)
