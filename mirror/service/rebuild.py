"""When the catalogue is lost: what the snapshots and channels still tell, in a new one.

Brought back: the boot sources that what is published came from; what was seen of each, so that no
older stream is believed; selections that keep what is published; custom images, but for who put
them in, and what was found; the hold of a channel that was rolled back.
Nothing syncs by itself afterwards: the schedule is off until someone has looked.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog import Catalog, SourceMemory
from mirror.errors import CatalogMissing, CatalogWhole, KeyNotKnown, MirrorError, NotFound
from mirror.images.names import CUSTOM_SOURCE
from mirror.images.records import CustomImage, store_image
from mirror.model import BootSource, Pin, Selection, utcnow
from mirror.publish.history import ROLLED_BACK
from mirror.service.catalog_file import inspect, replacing, set_aside
from mirror.service.evidence import newest_states, read_evidence
from mirror.service.rebuild_images import images_of
from mirror.service.source_rules import checked
from mirror.store import content_lock
from mirror.sync.published import each_published
from mirror.sync.selecting import kernel_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mirror.model import Product
    from mirror.service.evidence import Evidence
    from mirror.service.mirror import Mirror
    from mirror.service.source_rules import Known
    from mirror.sync.plan import Planned

LOST = (
    "of the boot sources: priorities, proxies, CA files, credentials, limits, other addresses",
    "boot sources and selections that nothing published came from",
    "pins of versions",
    "the schedule: it is off",
    "tokens: make new ones",
    "jobs and the audit log",
)
"""What no snapshot tells."""


class RebuildReport(msgspec.Struct, frozen=True):
    """What came back, and what did not.

    `aside` is the name that the old file has now ('': there was none). `keyless` names the sources
    whose keys are not on this machine: they are disabled. `gone` names those that were read once
    and that nothing published is from. `notes` says what else a person should know.
    """

    sources: tuple[BootSource, ...]
    selections: tuple[Selection, ...]
    holds: tuple[Pin, ...]
    images: tuple[CustomImage, ...] = ()
    keyless: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = LOST
    aside: str = ""


def rebuild(mirror: Mirror, *, dry_run: bool = False, by: str) -> RebuildReport:
    """Make a new catalogue of what the snapshots and channels tell, and say what they don't.

    The old file is moved aside. With `dry_run` nothing is changed. Raises `CatalogWhole` where
    there is nothing to rebuild, `NotFound` where there are no snapshots, `Busy` while a sync runs,
    and `StoreError`s.
    """
    with content_lock(mirror.settings.data_dir):
        _refuse_whole(mirror)
        report, memories = _find(mirror)
        if dry_run:
            return report
        with replacing(mirror.dir.catalog) as temporary:
            _write(temporary, report, memories)
            aside = set_aside(mirror.dir)
        report = msgspec.structs.replace(report, aside=aside)
        mirror.schedule.set(msgspec.structs.replace(mirror.schedule.get(), enabled=False), by=by)
        mirror.catalog.audit.record(by, "catalog.rebuild", mirror.dir.catalog.name, None, report)
        mirror.store.restore_marks()  # what was lost beside the catalogue may be more
    return report


def _refuse_whole(mirror: Mirror) -> None:
    try:
        state = inspect(mirror.dir)
    except CatalogMissing:
        return
    if not state.problem and not state.is_new:
        raise CatalogWhole(f"{state.file} is whole: {state.rows['sources']} boot sources are in it")


def _find(mirror: Mirror) -> tuple[RebuildReport, dict[str, SourceMemory]]:
    store = mirror.store
    ids = store.snapshots.ids()
    if not ids:
        raise NotFound(
            "there are no snapshots to rebuild the catalogue from",
            remedy="Restore catalog.sqlite from a backup, or begin anew with `mirror source add`.",
        )
    states, unread = newest_states(store, ids)
    published = _published(mirror, [each for each in ids if each not in unread])
    origins = {each.source for each in published} & states.keys()
    evidence = read_evidence(store, {name: states[name] for name in sorted(origins)})
    known = list(_known(mirror))
    sources = [_source(name, found, known) for name, found in evidence.items()]
    holds = list(_holds(mirror))
    usual = mirror.settings.images.keep
    images = images_of(published, store, ids, usual=usual, now=utcnow())
    report = RebuildReport(
        sources=tuple(sources),
        selections=tuple(selections_of(published)),
        holds=tuple(holds),
        images=tuple(images),
        keyless=tuple(each.name for each in sources if not each.enabled),
        gone=tuple(sorted(states.keys() - origins)),
        notes=(
            *(f"snapshot {each} can't be read: {why}" for each, why in unread.items()),
            *(f"{name}: {why}" for name, found in evidence.items() for why in found.unread),
            *_pinned_once(mirror),
        ),
    )
    memories = {
        name: SourceMemory(seen=msgspec.Raw(msgspec.json.encode(found.seen)))
        for name, found in evidence.items()
    }
    return report, memories


def _published(mirror: Mirror, ids: Sequence[str]) -> list[Planned]:
    """Return what the channel of the syncs publishes; where there is none, the newest snapshot."""
    store = mirror.store
    current = store.channels.current(mirror.settings.sync.channel)
    chosen = current if current in ids else ids[-1] if ids else ""
    return list(each_published(store.snapshots.load(chosen), store.blobs)) if chosen else []


def _known(mirror: Mirror) -> Iterator[Known]:
    """Yield the keyrings that can be had without a catalogue: those that plugins name."""
    from mirror.signing.keyring import load_keyring

    for default in mirror.sources.defaults():
        with suppress(MirrorError):
            yield default.keyring, load_keyring(Path(default.keyring))


def _source(name: str, found: Evidence, known: Iterable[Known]) -> BootSource:
    """Return a source that trusts the key alone that signed last; disabled if it is not here."""
    if not found.fingerprint:
        return BootSource(name, found.url, trust="none")
    source = BootSource(name, found.url, fingerprints=(found.fingerprint,))
    try:
        return checked(source, known)
    except KeyNotKnown:
        return msgspec.structs.replace(source, enabled=False)


def selections_of(published: Iterable[Planned]) -> list[Selection]:
    """Return selections that take just the products that are published, from where they came.

    Bootloaders have no release: they come along, if there are any. Custom images need no selection.
    """
    products = [each for each in published if each.source != CUSTOM_SOURCE]
    bootloaders = [each for each in products if not each.product.release]
    systems: dict[tuple[str, str, str, str], list[Product]] = {}
    for each in products:
        product = each.product
        if product.release:
            system = (each.source, product.os, product.release, product.arch)
            systems.setdefault(system, []).append(product)
    merged: dict[Selection, tuple[str, ...]] = {}
    for (source, os_name, release, arch), alike in sorted(systems.items()):
        selection = Selection(
            id=0,
            source=source,
            os=os_name,
            release=release,
            keep=_most_versions([*alike, *(b.product for b in bootloaders if b.source == source)]),
            subarches=_values(kernel_of(product.attributes) for product in alike),
            labels=_values(str(product.attributes.get("label", "")) for product in alike),
            bootloaders=bool(bootloaders),
        )
        merged[selection] = (*merged.get(selection, ()), arch)
    return [
        msgspec.structs.replace(selection, arches=arches if all(arches) else ())
        for selection, arches in merged.items()
    ]


def _most_versions(products: Iterable[Product]) -> int:
    return max((len(product.versions) for product in products), default=1) or 1


def _values(values: Iterable[str]) -> tuple[str, ...]:
    """Return each value once; none at all if one of them is empty: that means any."""
    found = tuple(sorted(set(values)))
    return found if all(found) else ()


def _holds(mirror: Mirror) -> Iterator[Pin]:
    """Yield a hold for each channel whose last switch was a rollback: that is what it left."""
    channels = mirror.store.channels
    for name in channels.names():
        history = channels.history(name)
        if history and history[-1].reason.startswith(ROLLED_BACK):
            last = history[-1]
            yield Pin(id=0, channel=name, reason=last.reason, at=last.at)


def _pinned_once(mirror: Mirror) -> Iterator[str]:
    """Yield what the histories say of pins; whether they were removed since, they don't."""
    channels = mirror.store.channels
    for name in channels.names():
        for switch in channels.history(name):
            if switch.reason.startswith("pinned "):
                yield f"channel {name} was {switch.reason} at {switch.at:%Y-%m-%d %H:%M} UTC"


def _write(file: Path, report: RebuildReport, memories: Mapping[str, SourceMemory]) -> None:
    catalog = Catalog(file)
    try:
        for source in report.sources:
            catalog.add_source(source)
        for selection in report.selections:
            catalog.add_selection(selection)
        for hold in report.holds:
            catalog.add_pin(hold)
        for image in report.images:
            store_image(catalog, image)
        catalog.remember(memories)
    finally:
        catalog.close()
    owner = file.parent.stat()
    if os.geteuid() == 0:  # whoever runs this: the file is the one's whom the directory belongs to
        os.chown(file, owner.st_uid, owner.st_gid)
