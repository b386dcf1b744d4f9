"""Channels: what is published now, and under which name."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (msgspec looks at it)
from typing import TYPE_CHECKING

import msgspec

from mirror.access.licences import GRANTABLE, checked_licences
from mirror.errors import (
    AlreadyExists,
    BodyInvalid,
    ChannelHeld,
    ChannelNeeded,
    NotFound,
    PinAmbiguous,
    VersionNotHere,
)
from mirror.model import Pin, utcnow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mirror.model import Switch
    from mirror.publish.archive import Archive
    from mirror.service.mirror import Mirror
    from mirror.service.snapshots import SnapshotFacts

_SHOWN = 10
"""Names in an error: a person reads no more."""


class ChannelState(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel publishes, and what keeps it from following its sources.

    `updated` is the time of its stream. `files` and `bytes` count what its snapshot reaches, a
    shared file once. `since`, `reason` and `by` are of the last switch. `held` is why it is held
    (None: it is not). `pulled` is when somebody last pulled what it publishes now, to the hour.
    """

    name: str
    snapshot: str
    updated: datetime
    files: int
    bytes: int
    previous: str = ""
    since: datetime | None = None
    reason: str = ""
    by: str = ""
    held: str | None = None
    pins: tuple[Pin, ...] = ()
    pulled: datetime | None = None
    licences: tuple[str, ...] = ()
    """Which licences it allows: images of others are not to be had from it, whoever asks."""
    problem: str = ""
    """Why its snapshot can't be read."""


class Channels:
    """The channels of one mirror.

    The verbs that publish raise `Busy` where a snapshot must be written while a sync or gc runs,
    and `ChannelMoved` where someone else switched the channel just then.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    # --- to read ----------------------------------------------------------------------------------

    def list(self) -> list[ChannelState]:
        """Return the state of every channel, by name."""
        facts, pulled = self._known()
        return [self._state(name, facts, pulled) for name in self.pointers()]

    def state(self, channel: str) -> ChannelState:
        """Return what a channel publishes. Raises `NotFound`."""
        return self._state(channel, *self._known())

    def pointers(self) -> dict[str, str]:
        """Return the snapshot of each channel, by name."""
        channels = self._mirror.store.channels
        found = {name: channels.current(name) for name in channels.names()}
        return {name: at for name, at in found.items() if at}

    def current(self, channel: str) -> str:
        """Return the snapshot of a channel, or raise `NotFound`."""
        current = self._mirror.store.channels.current(channel)
        if current is None:
            raise NotFound(f"there is no channel {channel!r}")
        return current

    def history(self, channel: str) -> Sequence[Switch]:
        """Return where a channel pointed, oldest first. Raises `NotFound`."""
        self.current(channel)
        return self._mirror.store.channels.history(channel)

    def pins(self, channel: str) -> Sequence[Pin]:
        """Return the pins of a channel, in the order in which they were made."""
        return self._mirror.catalog.pins(channel)

    # --- to make and unmake -----------------------------------------------------------------------

    def create(self, channel: str, snapshot: str, *, by: str) -> str:
        """Make a channel that publishes a snapshot (or what another channel has); return its id.

        Raises `AlreadyExists`, `NameInvalid`, `NotFound`.
        """
        store = self._mirror.store
        if store.channels.current(channel) is not None:
            raise AlreadyExists(f"there is a channel {channel!r} already")
        snapshot_id = self._mirror.snapshots.resolve(snapshot)
        store.channels.switch(channel, snapshot_id, f"made from {snapshot}", by=by, expected="")
        self._record(by, "create", channel, None, snapshot_id)
        self._tell(channel, "", snapshot_id, "create")
        return snapshot_id

    def remove(self, channel: str, *, by: str) -> None:
        """Remove a channel with its history and its pins; its snapshots stay until they expire.

        Raises `NotFound`, and `ChannelNeeded` for the channel that syncs publish to.
        """
        before = self.current(channel)
        if channel == self._mirror.settings.sync.channel:
            raise ChannelNeeded(f"syncs publish to channel {channel!r}")
        for pin in self.pins(channel):
            self._mirror.catalog.remove_pin(pin.id)
        self._mirror.store.channels.remove(channel)
        self._record(by, "remove", channel, before, None)

    # --- whom it is for ---------------------------------------------------------------------------

    def allow(self, channel: str, licences: Iterable[str], *, by: str) -> tuple[str, ...]:
        """Let a channel give images of these licences to those who have them, at once.

        Returns all that it allows then. Raises `NotFound`, `NameInvalid`.
        """
        return self._license(channel, by, allow=checked_licences(licences))

    def disallow(self, channel: str, licences: Iterable[str], *, by: str) -> tuple[str, ...]:
        """Let a channel give no images of these licences to anyone, at once.

        Returns what it allows still. Raises `NotFound`, `NameInvalid`.
        """
        return self._license(channel, by, disallow=checked_licences(licences))

    def set_licences(self, channel: str, licences: Iterable[str], *, by: str) -> tuple[str, ...]:
        """Let a channel allow just these. Raises `NotFound`, `NameInvalid`."""
        wanted = checked_licences(licences)
        rest = set(GRANTABLE).difference(wanted)
        return self._license(channel, by, allow=wanted, disallow=rest)

    # --- to publish -------------------------------------------------------------------------------

    def promote(self, channel: str, snapshot: str, *, by: str) -> str:
        """Let a channel publish a snapshot, or what another channel has; return what it is at then.

        Its pins hold: of the products that they are about, it publishes the pinned version. A
        channel that there is not is made. Raises `ChannelHeld`, `NotFound`, and see the class.
        """
        self._refuse_held(channel)
        origin = self._mirror.snapshots.resolve(snapshot)
        before = self._mirror.store.channels.current(channel)
        reason = f"promoted from {snapshot}"
        after = self._publish(channel, origin, self.pins(channel), reason, by)
        self._record(by, "promote", channel, before, after)
        self._tell(channel, before, after, "promote")
        return after

    def rollback(self, channel: str, *, by: str, to: str = "") -> str:
        """Let a channel publish again what it published before, and hold it there; return its id.

        `to` is a snapshot (or another channel); without it, it is what was published before the
        last change, and again what was before that. Version pins do not count: it is what it was.
        Raises `NotFound` when there is nothing to go back to, and see the class.
        """
        from mirror.publish.history import ROLLED_BACK

        current = self.current(channel)
        origin = self._mirror.snapshots.resolve(to) if to else self._earlier(channel)
        reason = f"{ROLLED_BACK}{current}"
        # held first: a sync must not undo it should this process end in between
        hold = self._add_hold(channel, reason)
        try:
            after = self._publish(channel, origin, (), reason, by)
        except BaseException:
            self._mirror.catalog.remove_pin(hold.id)
            raise
        self._drop_pins(pin for pin in self._holds(channel) if pin.id != hold.id)
        self._record(by, "rollback", channel, current, after)
        self._tell(channel, current, after, "rollback")
        return after

    def hold(self, channel: str, reason: str, *, by: str) -> Pin:
        """Keep a channel where it is: nothing is published on it until `unpin`. At once.

        A sync that runs already publishes nothing then, either. Raises `NotFound`.
        """
        self.current(channel)
        before = self._holds(channel)
        pin = self._add_hold(channel, reason)
        self._drop_pins(before)
        self._record(by, "hold", channel, before or None, pin)
        return pin

    def pin(self, channel: str, filters: Sequence[str], version: str, *, by: str) -> Pin:
        """Let a channel publish only this version of every product that passes the filters.

        It is published at once, and kept by every sync and promotion; a pin with the same filters
        is replaced. The version is looked for in the channel's snapshot, then in the others, newest
        first. Raises `VersionNotHere` when one of the products has it nowhere, `NotFound` when no
        product passes, `ChannelHeld`, `FilterInvalid`, `BodyInvalid`, and see the class.
        """
        from mirror.publish.archive import Archive

        if not (filters and version):
            raise BodyInvalid("a pin needs at least one filter, and a version")
        self._refuse_held(channel)
        current = self.current(channel)
        archive = Archive(self._mirror.store)
        self._refuse_version(archive, channel, filters, version)
        catalog = self._mirror.catalog
        same = [pin for pin in self.pins(channel) if set(pin.filters) == set(filters)]
        pin = catalog.add_pin(
            Pin(id=0, channel=channel, version=version, filters=tuple(filters), at=utcnow())
        )
        others = [each for each in self.pins(channel) if each not in same]
        try:
            reason = f"pinned {' '.join(filters)} to {version}"
            after = self._publish(channel, current, others, reason, by)
        except BaseException:
            catalog.remove_pin(pin.id)
            raise
        self._drop_pins(same)
        self._record(by, "pin", channel, same or None, pin)
        self._tell(channel, current, after, "pin")
        return pin

    def unpin(self, channel: str, pin_id: int | None = None, *, by: str) -> tuple[Pin, ...]:
        """Remove a pin, and return what was removed; the next sync or promotion follows again.

        Without a number it is the hold, if the channel is held; otherwise its only pin. Raises
        `NotFound`, `PinAmbiguous`.
        """
        self.current(channel)
        pins = self.pins(channel)
        chosen = [pin for pin in pins if pin.id == pin_id] if pin_id else self._holds(channel)
        if not pin_id and not chosen:
            if len(pins) > 1:
                listed = ", ".join(f"{p.id} ({' '.join(p.filters)}: {p.version})" for p in pins)
                raise PinAmbiguous(f"channel {channel!r} has several pins: {listed}")
            chosen = pins
        if not chosen:
            what = f"has no pin {pin_id}" if pin_id else "has no pins"
            raise NotFound(f"channel {channel!r} {what}")
        self._drop_pins(chosen)
        self._record(by, "unpin", channel, chosen, None)
        return tuple(chosen)

    # --- how --------------------------------------------------------------------------------------

    def _license(
        self,
        channel: str,
        by: str,
        *,
        allow: Iterable[str] = (),
        disallow: Iterable[str] = (),
    ) -> tuple[str, ...]:
        channels = self._mirror.store.channels
        before, after = channels.change_licences(channel, allow=allow, disallow=disallow)
        if after != before:
            self._record(by, "licences", channel, sorted(before), sorted(after))
        return tuple(sorted(after))

    def _known(self) -> tuple[dict[str, SnapshotFacts], dict[str, datetime]]:
        from mirror.store.pulls import Pulls

        return self._mirror.snapshots.facts(), Pulls(self._mirror.dir.pulls).times()

    def _state(
        self, channel: str, facts: dict[str, SnapshotFacts], pulled: dict[str, datetime]
    ) -> ChannelState:
        snapshot_id = self.current(channel)
        known = facts[snapshot_id]
        history = self._mirror.store.channels.history(channel)
        last = history[-1] if history else None
        pins = self.pins(channel)
        return ChannelState(
            name=channel,
            snapshot=snapshot_id,
            updated=known.updated,
            files=known.files,
            bytes=known.bytes,
            previous=last.previous if last else "",
            since=last.at if last else None,
            reason=last.reason if last else "",
            by=last.by if last else "",
            held=next((pin.reason for pin in pins if not pin.version), None),
            pins=tuple(pins),
            pulled=pulled.get(snapshot_id),
            licences=tuple(sorted(self._mirror.store.channels.licences(channel))),
            problem=known.problem,
        )

    def _publish(self, channel: str, origin: str, pins: Iterable[Pin], reason: str, by: str) -> str:
        from mirror.publish.archive import Archive
        from mirror.publish.pins import apply_pins
        from mirror.publish.publication import Wanted, publish

        store = self._mirror.store
        archive = Archive(store)
        current = store.channels.current(channel)
        before = archive.products(current) if current else {}
        products = archive.products(origin).values()
        pinned = apply_pins(products, pins, find=archive.find, before=before)
        wanted = Wanted(channel=channel, origin=origin, pinned=pinned, reason=reason, by=by)
        return publish(store, archive, wanted)

    def _earlier(self, channel: str) -> str:
        """Return what to go back to. Raises `NotFound`."""
        from mirror.publish.history import earlier

        store = self._mirror.store
        found = earlier(store.channels.history(channel), store.snapshots.has)
        if found is None:
            raise NotFound(
                f"channel {channel!r} has no earlier snapshot to go back to",
                remedy="See `mirror channel show` for its history, `mirror snapshot list` for what "
                "is here, and name one: `mirror channel rollback CHANNEL --to SNAPSHOT`.",
            )
        return found

    def _refuse_held(self, channel: str) -> None:
        for hold in self._holds(channel):
            raise ChannelHeld(f"channel {channel!r} is held: {hold.reason}")

    def _refuse_version(
        self, archive: Archive, channel: str, filters: Sequence[str], version: str
    ) -> None:
        """Raise unless every product that passes has the version somewhere."""
        from mirror.publish.pins import only
        from mirror.simplestreams.filters import parse_filter
        from mirror.sync.selecting import passes

        parsed = [parse_filter(text) for text in filters]
        products = archive.products(self.current(channel)).values()
        matching = [each for each in products if passes(parsed, each.product)]
        if not matching:
            raise NotFound(
                f"no product of channel {channel!r} passes {' '.join(filters)}; "
                f"its releases: {_some({each.product.release for each in products} - {''})}",
                remedy="`mirror snapshot show CHANNEL` lists its products; filters match their "
                "keys, such as release, arch and subarch.",
            )
        for each in matching:
            if not (only(each, version) or archive.find(each.product.name, version)):
                versions = archive.versions(each.product.name)
                raise VersionNotHere(
                    f"{each.product.name!r} is not here as {version}; there are: {_some(versions)}",
                    remedy="Choose one of those, or narrow the filters to the products that have "
                    "it (arch=amd64, subarch=ga-24.04).",
                )

    def _holds(self, channel: str) -> Sequence[Pin]:
        return [pin for pin in self.pins(channel) if not pin.version]

    def _add_hold(self, channel: str, reason: str) -> Pin:
        hold = Pin(id=0, channel=channel, reason=reason, at=utcnow())
        return self._mirror.catalog.add_pin(hold)

    def _drop_pins(self, pins: Iterable[Pin]) -> None:
        for pin in pins:
            self._mirror.catalog.remove_pin(pin.id)

    def _tell(self, channel: str, before: str | None, after: str, verb: str) -> None:
        """Let plugins hear of it, in the background; a channel that stayed is no news."""
        if after != before:
            self._mirror.announcer.switched(channel, after, verb)

    def _record(self, by: str, verb: str, channel: str, before: object, after: object) -> None:
        self._mirror.catalog.audit.record(by, f"channel.{verb}", channel, before, after)


def _some(names: Iterable[str]) -> str:
    """Name the last few, which are the newest where they are versions."""
    listed = sorted(names)
    more = f"{len(listed) - _SHOWN} more, " if len(listed) > _SHOWN else ""
    return more + ", ".join(listed[-_SHOWN:]) if listed else "none"
