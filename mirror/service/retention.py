"""What is known of each snapshot when it is decided whether it may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.model import utcnow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.model import Pin
    from mirror.publish.archive import Archive
    from mirror.publish.retention import Fate
    from mirror.service.mirror import Mirror


def fates(mirror: Mirror) -> tuple[Fate, ...]:
    """Decide on every snapshot by the settings of [retention], oldest first. Changes nothing."""
    from mirror.publish.retention import Facts, Policy, decide
    from mirror.store.pulls import Pulls

    chosen = mirror.settings.retention
    policy = Policy(chosen.keep, chosen.age, chosen.unpulled)
    facts = Facts(needed=_needed(mirror), pulled=Pulls(mirror.dir.pulls).times())
    return decide(mirror.store.snapshots.ids(), facts, policy, utcnow())


def _needed(mirror: Mirror) -> dict[str, str]:
    """Say of each snapshot that must stay why; the strongest reason counts."""
    channels, grace = mirror.store.channels, mirror.settings.store.grace
    keep = mirror.settings.retention.keep
    why: dict[str, str] = {}
    pointers = mirror.channels.pointers()
    for name, current in pointers.items():
        why.setdefault(current, f"channel {name} publishes it")
    for name in pointers:
        for snapshot_id in channels.live(name, grace):
            why.setdefault(snapshot_id, f"channel {name} still answers for its paths")
    for snapshot_id, pin in _sources_of_pins(mirror, pointers):
        why.setdefault(
            snapshot_id, f"channel {pin.channel} is pinned to a version of it ({pin.version})"
        )
    for name in pointers:
        switches = reversed(channels.history(name))
        last = list(dict.fromkeys(each.snapshot for each in switches))[:keep]
        for snapshot_id in last:
            why.setdefault(snapshot_id, f"among the last {keep} of channel {name}")
    return why


def _sources_of_pins(mirror: Mirror, pointers: Mapping[str, str]) -> Iterable[tuple[str, Pin]]:
    """Yield the newest snapshot with each pinned version that its channel does not publish now.

    It publishes it while the pin is followed; after a rollback it may not.
    """
    from mirror.publish.archive import Archive

    pins = [pin for pin in mirror.catalog.pins() if pin.version and pin.channel in pointers]
    archive = Archive(mirror.store) if pins else None
    for pin in pins:
        if archive is not None and not _has(archive, pointers[pin.channel], pin):
            for snapshot_id in reversed(mirror.store.snapshots.ids()):
                if _has(archive, snapshot_id, pin):
                    yield snapshot_id, pin
                    break


def _has(archive: Archive, snapshot_id: str, pin: Pin) -> bool:
    """Say whether a snapshot has the pinned version of every product that the pin is about."""
    from mirror.errors import MirrorError
    from mirror.publish.pins import only
    from mirror.simplestreams.filters import parse_filter
    from mirror.sync.selecting import passes

    filters = [parse_filter(text) for text in pin.filters]
    try:
        products = archive.products(snapshot_id).values()
    except MirrorError:
        return False
    about = [each for each in products if passes(filters, each.product)]
    return bool(about) and all(only(each, pin.version) for each in about)
