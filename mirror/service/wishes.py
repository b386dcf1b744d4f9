"""Declarative use: a file says what the mirror should be, and this brings it there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import (
    ApplyIncomplete,
    ChannelHeld,
    ChannelNeeded,
    MirrorError,
    NotFound,
    PreconditionFailed,
    WishesInvalid,
)
from mirror.service import wish_steps
from mirror.service.wish_file import ChannelWish, PinWish, Wishes, read_wishes, write_wishes
from mirror.service.wish_steps import Change, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mirror.model import BootSource, Pin, Selection
    from mirror.publish.archive import Archive
    from mirror.service.mirror import Mirror


class ApplyPlan(msgspec.Struct, frozen=True):
    """What a file would change, in the order in which it is done.

    `waiting` says what can't be done before the first sync has published something.
    """

    changes: tuple[Change, ...]
    waiting: tuple[str, ...] = ()


class Wishing:
    """What the operator wishes of one mirror, as a file."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def export(self) -> str:
        """Return the file that says what is now: to apply it changes nothing."""
        return write_wishes(self.current())

    def current(self) -> Wishes:
        """Return what is now, as a file would say it."""
        mirror = self._mirror
        return Wishes(
            sources=tuple(mirror.sources.list()),
            selections=tuple(mirror.selections.list()),
            channels={name: _as_wish(mirror.channels.pins(name)) for name in self._channels()},
            schedule=mirror.schedule.get(),
        )

    def read(self, text: str, *, name: str = "the file", base: Path | None = None) -> Wishes:
        """Read a file; paths in it are relative to `base`. Raises `WishesInvalid`."""
        return read_wishes(text, name=name, base=base)

    def plan(self, wishes: Wishes) -> ApplyPlan:
        """Return what would be changed, after looking at every value as the verbs do.

        Raises `WishesInvalid` and what the verbs would raise.
        """
        steps, waiting = self._steps(wishes)
        return ApplyPlan(tuple(step.change for step in steps), tuple(waiting))

    def apply(self, wishes: Wishes, *, expected: ApplyPlan | None = None, by: str) -> ApplyPlan:
        """Make the changes, each by its verb and with its entry in the audit log; return them.

        Nothing is changed if a value is wrong, or if the plan is not the `expected` one. Raises
        what `plan` does, `PreconditionFailed`, and `ApplyIncomplete`, which says what was done.
        """
        steps, waiting = self._steps(wishes)
        planned = ApplyPlan(tuple(step.change for step in steps), tuple(waiting))
        if expected is not None and planned != expected:
            raise PreconditionFailed(
                "the mirror was changed since the changes were shown",
                remedy="Apply the file again, and look at what it would change now.",
            )
        for number, step in enumerate(steps):
            try:
                step.make(by=by)
            except MirrorError as error:
                raise _incomplete(planned.changes, number, error) from error
        return planned

    # --- how --------------------------------------------------------------------------------------

    def _steps(self, wishes: Wishes) -> tuple[list[Step], list[str]]:
        mirror, waiting = self._mirror, list[str]()
        before, after, steps = list[Step](), list[Step](), list[Step]()
        now = mirror.sources.list()
        sources = now
        if wishes.schedule is not None:
            from mirror.jobs.windows import check_schedule

            check_schedule(wishes.schedule)
            before += wish_steps.schedule_steps(mirror, mirror.schedule.get(), wishes.schedule)
        if wishes.sources is not None:
            sources = [self._source(each, now) for each in wishes.sources]
            before += wish_steps.source_steps(mirror, now, sources)
            after += wish_steps.source_removals(mirror, now, sources)
        selections = mirror.selections.list()
        wanted = selections if wishes.selections is None else _tidied(wishes.selections)
        _check_selections(wanted, {source.name for source in sources}, selections)
        steps += wish_steps.selection_steps(mirror, selections, wanted)
        if wishes.channels is not None:
            steps += self._channel_steps(wishes.channels, waiting)
        return [*before, *steps, *after], waiting

    def _source(self, wish: BootSource, now: Sequence[BootSource]) -> BootSource:
        """Return a wished source as it would be stored. Raises what `sources.add` does."""
        stored = next((each for each in now if each.name == wish.name), None)
        given = wish.keyring or wish.keyring_data
        if stored is not None and not given and wish.fingerprints == stored.fingerprints:
            # it names its keys by fingerprint alone: those that were found then
            wish = msgspec.structs.replace(
                wish, keyring=stored.keyring, keyring_data=stored.keyring_data
            )
        return wish if wish == stored else self._mirror.sources.checked(wish)

    def _channels(self) -> list[str]:
        return list(self._mirror.channels.pointers())

    def _channel_steps(self, wishes: dict[str, ChannelWish], waiting: list[str]) -> Iterator[Step]:
        from mirror.publish.archive import Archive

        mirror = self._mirror
        main = mirror.settings.sync.channel
        here = self._channels()
        if main in here and main not in wishes:
            raise ChannelNeeded(
                f"[channels] does not have {main!r}, which syncs publish to",
                remedy=f"Add a table [channels.{main}], or leave the whole section out.",
            )
        archive = Archive(mirror.store)
        shows = {name: name for name in here}  # what there will be -> a channel that shows it now
        for name, wish in wishes.items():
            mirror.store.channels.path(name)  # raises NameInvalid
            _check_pins(name, wish)
            origin = "" if name in here else wish.origin or main
            if origin and origin not in shows and origin not in mirror.store.snapshots.ids():
                if wish.origin and here:
                    raise NotFound(f"channels.{name}: there is no channel or snapshot {origin!r}")
                if name != main or wish != ChannelWish():
                    waiting.append(f"channel {name}: nothing is published yet that it could show")
                continue
            shows.setdefault(name, shows.get(origin, ""))
            pins = mirror.channels.pins(name) if name in here else []
            self._check_versions(archive, shows[name], wish, pins)
            yield from wish_steps.channel_steps(mirror, name, wish, origin, pins)
        yield from wish_steps.channel_removals(mirror, here, wishes)

    def _check_versions(
        self, archive: Archive, channel: str, wish: ChannelWish, pins: Sequence[Pin]
    ) -> None:
        """Raise what pinning would: `ChannelHeld`, `NotFound`, `VersionNotHere`."""
        pinned = {(frozenset(pin.filters), pin.version) for pin in pins}
        new = [pin for pin in wish.pins if (frozenset(pin.filters), pin.version) not in pinned]
        if new and wish.held is not None and any(not pin.version for pin in pins):
            raise ChannelHeld(
                f"channel {channel!r} is held, and is to stay so: it can't get another pin",
                remedy="Take `held` out of the file, apply it, and put it back.",
            )
        for pin in new if channel else ():  # of a bare snapshot, only the verb can tell
            self._mirror.channels._refuse_version(  # noqa: SLF001
                archive, channel, pin.filters, pin.version
            )


def _as_wish(pins: Sequence[Pin]) -> ChannelWish:
    holds = [pin.reason for pin in pins if not pin.version]
    return ChannelWish(
        held=holds[-1] if holds else None,
        pins=tuple(PinWish(pin.filters, pin.version) for pin in pins if pin.version),
    )


def _tidied(selections: Sequence[Selection]) -> Sequence[Selection]:
    """Return the wished selections as they would be stored."""
    from mirror.service.selections import tidied

    tidy: list[Selection] = []
    for number, selection in enumerate(selections, 1):
        try:
            tidy.append(tidied(selection))
        except MirrorError as error:
            error.what = f"selections[{number}]: {error.what}"
            raise
    return tidy


def _check_selections(
    wanted: Sequence[Selection], sources: set[str], now: Sequence[Selection]
) -> None:
    """Raise for a source that there would not be, and for what would be there twice."""
    here = Counter(msgspec.structs.replace(each, id=0) for each in now)
    for number, selection in enumerate(wanted, 1):
        which = f"selection {selection.id}" if selection.id else f"selections[{number}]"
        if selection.source and selection.source not in sources:
            raise WishesInvalid(f"{which}: there would be no boot source {selection.source!r}")
        if not selection.id and wanted.count(selection) > max(1, here[selection]):
            raise WishesInvalid(f"{which}: there are several of this")


def _check_pins(name: str, wish: ChannelWish) -> None:
    from mirror.simplestreams.filters import parse_filter

    for number, pin in enumerate(wish.pins, 1):
        if not (pin.filters and pin.version):
            raise WishesInvalid(
                f"channels.{name}.pins[{number}]: a pin needs at least one filter, and a version"
            )
        for text in pin.filters:
            parse_filter(text)
    for filters in wish_steps.repeated([pin.filters for pin in wish.pins]):
        raise WishesInvalid(f"channels.{name}.pins: there are several of {filters}")


def _incomplete(changes: Sequence[Change], number: int, error: MirrorError) -> ApplyIncomplete:
    failed = changes[number]
    made = ", ".join(_named(each) for each in changes[:number]) or "nothing"
    return ApplyIncomplete(
        f"{_named(failed)} failed: {error.what} [{error.code}]; "
        f"{number} of {len(changes)} changes were made before it: {made}",
        remedy=f"{error.remedy} Then apply the file again: what was done is not done twice.",
    )


def _named(change: Change) -> str:
    return " ".join(word for word in (change.action, change.kind, change.name) if word)
