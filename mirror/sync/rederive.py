"""Derive again what plugins made and the store has lost: there is no source to fetch it from."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import BlobMissing, DerivedLost, MirrorError, SnapshotInvalid
from mirror.model import Problem
from mirror.sync.published import versions_derived
from mirror.sync.validate import judges, look_at, subjects

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mirror.model import Item
    from mirror.plugin_manager import Plugins
    from mirror.settings import PluginSettings
    from mirror.store import Store
    from mirror.store.verify import Damage
    from mirror.sync.plan import Planned
    from mirror.sync.validate import Subject, Verdict

Lost = dict[str, tuple["Planned", "Item"]]
"""What a plugin derived, by sha256: the version that it belongs to, and the item."""


def find_derived(damaged: Iterable[Damage], store: Store) -> Lost:
    """Find which of the damaged blobs plugins made."""
    by_snapshot: dict[str, set[str]] = {}
    for each in damaged:
        by_snapshot.setdefault(each.snapshot, set()).add(each.sha256)
    found: Lost = {}
    for snapshot_id, sha256s in by_snapshot.items():
        with suppress(BlobMissing, SnapshotInvalid):  # the list is damaged: nothing says what it is
            snapshot = store.snapshots.load(snapshot_id)
            for planned, item in versions_derived(sha256s, snapshot, store.blobs):
                found[item.sha256] = planned, item
    return found


async def derive_again(
    lost: Lost,
    unusable: Collection[str],
    plugins: Plugins,
    store: Store,
    settings: PluginSettings,
) -> tuple[dict[str, Problem], list[Subject]]:
    """Let plugins derive again; only the same bytes are what was lost.

    Returns why, by the sha256 of what is still lost; and the versions that it is of, as far as a
    plugin answers for them. `unusable` are blobs that nothing can be derived from.
    """
    of: dict[str, Subject] = {}
    why: dict[str, str] = {}
    for sha256, (planned, _) in lost.items():
        try:
            of[sha256] = _subject(planned, plugins, unusable)
        except MirrorError as error:
            why[sha256] = error.what
    for sha256 in of:  # a reader is told that it is gone, and gets no wrong bytes
        await asyncio.to_thread(store.blobs.delete, sha256)
    verdicts = await _look_at({each.key: each for each in of.values()}, plugins, store, settings)
    for sha256, subject in of.items():
        if not store.blobs.has(sha256):
            why[sha256] = _why(subject, verdicts[subject.key], lost[sha256][1])
    problems = {sha256: _problem(*lost[sha256], said) for sha256, said in why.items()}
    return problems, [subject for sha256, subject in of.items() if sha256 in why]


async def _look_at(
    asked: Mapping[tuple[str, str, str], Subject],
    plugins: Plugins,
    store: Store,
    settings: PluginSettings,
) -> dict[tuple[str, str, str], Verdict]:
    found = await look_at(asked.values(), plugins, store, settings) if asked else []
    return {subject.key: verdict for subject, verdict in found}


def _subject(planned: Planned, plugins: Plugins, unusable: Collection[str]) -> Subject:
    """Return what the plugin is to look at. Raises a `MirrorError` that says why it can't."""
    [version] = planned.product.versions
    for item in version.items:
        if item.sha256 in unusable and not item.derived:
            raise DerivedLost(f"it is made from {item.name!r}, which is damaged, too")
    claimant = plugins.claimant(planned.product)
    if claimant is None:
        raise DerivedLost("no plugin claims the product any more")
    claimed = msgspec.structs.replace(planned, distribution=claimant)
    for subject in subjects([claimed], judges(plugins)):
        return subject
    raise DerivedLost(f"plugin {plugins.plugin_of(claimant.id)!r} failed to choose items of it")


def _why(subject: Subject, verdict: Verdict, item: Item) -> str:
    if verdict.error is not None:
        return verdict.error.what
    if any(made.name == item.name for made in verdict.derived):
        return f"plugin {subject.judge!r} makes other bytes now"
    return f"plugin {subject.judge!r} makes it no more"


def _problem(planned: Planned, item: Item, why: str) -> Problem:
    about = f"{planned.product.name!r} {planned.product.versions[0].name}"
    error = DerivedLost(f"{about}: derived item {item.name!r} is lost: {why}")
    return Problem(item.path, error.code, error.what, error.remedy)
