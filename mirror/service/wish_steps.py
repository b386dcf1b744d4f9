"""From what is to what is wished: the changes, and the verb that makes each. Changes nothing.

Sources and channels are matched by name, selections by what they say, so that numbers stay; pins by
their filters.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mirror.model import BootSource, Pin, Schedule, Selection
    from mirror.service.mirror import Mirror
    from mirror.service.wish_file import ChannelWish, PinWish


class FieldChange(msgspec.Struct, frozen=True):
    """One field of a thing, as JSON has it; null where there was, or will be, nothing."""

    field: str
    before: Any
    after: Any


class Change(msgspec.Struct, frozen=True):
    """One thing that is not as it should be.

    `action` is `add`, `change` or `remove`; `kind` is `source`, `selection`, `channel`, `pin`,
    `hold` or `schedule`; `name` says which. `fields` are those that differ, or, of what is added,
    those that are not at their defaults.
    """

    action: str
    kind: str
    name: str
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True)
class Step:
    """A change, and what makes it, given who does."""

    change: Change
    make: Callable[..., object]


def schedule_steps(mirror: Mirror, now: Schedule, wanted: Schedule) -> Iterator[Step]:
    """Yield the step to another schedule, if it is another."""
    if now != wanted:
        change = Change("change", "schedule", "", _differences(now, wanted))
        yield Step(change, partial(mirror.schedule.set, wanted))


def source_steps(
    mirror: Mirror, now: Iterable[BootSource], wanted: Iterable[BootSource]
) -> Iterator[Step]:
    """Yield what adds and changes sources; see `source_removals` for the rest."""
    before = {source.name: source for source in now}
    for source in wanted:
        name = source.name
        if name not in before:
            change = Change("add", "source", name, _set_fields(source, without="name"))
            yield Step(change, partial(mirror.sources.add, source))
        elif before[name] != source:
            fields = _differences(before[name], source)
            changes = {each.field: getattr(source, each.field) for each in fields}
            change = Change("change", "source", name, fields)
            yield Step(change, partial(mirror.sources.update, name, changes))


def source_removals(
    mirror: Mirror, now: Iterable[BootSource], wanted: Iterable[BootSource]
) -> Iterator[Step]:
    """Yield what removes sources: it comes after the selections that name them went."""
    names = {source.name for source in wanted}
    for source in now:
        if source.name not in names:
            change = Change("remove", "source", source.name)
            yield Step(change, partial(mirror.sources.remove, source.name))


def selection_steps(
    mirror: Mirror, now: Sequence[Selection], wanted: Sequence[Selection]
) -> Iterator[Step]:
    """Yield what changes, adds and removes selections."""
    pairs, extra, missing = match_selections(now, wanted)
    for before, after in pairs:
        if before != after:
            change = Change("change", "selection", str(before.id), _differences(before, after))
            yield Step(change, partial(mirror.selections.update, after))
    for selection in missing:
        change = Change("add", "selection", "", _set_fields(selection, without="id"))
        yield Step(change, partial(mirror.selections.add, selection))
    for selection in extra:
        fields = _set_fields(selection, without="id")
        gone = tuple(FieldChange(each.field, each.after, None) for each in fields)
        change = Change("remove", "selection", str(selection.id), gone)
        yield Step(change, partial(mirror.selections.remove, selection.id))


def match_selections(
    now: Sequence[Selection], wanted: Sequence[Selection]
) -> tuple[list[tuple[Selection, Selection]], list[Selection], list[Selection]]:
    """Pair what is with what is wished; return the pairs, what is too much, and what is missing.

    First the same, then those that take the same images, then those of the same os and release. The
    wished one of a pair has the number of the other.
    """
    left, missing = list(now), list(wanted)
    pairs: list[tuple[Selection, Selection]] = []
    for likeness in (_all_of, _conditions_of, _system_of):
        for selection in tuple(missing):
            like = likeness(selection)
            twin = next((each for each in left if like and likeness(each) == like), None)
            if twin is not None:
                left.remove(twin)
                missing.remove(selection)
                pairs.append((twin, msgspec.structs.replace(selection, id=twin.id)))
    return sorted(pairs, key=lambda pair: pair[0].id), left, missing


def channel_steps(
    mirror: Mirror, name: str, wish: ChannelWish, origin: str, pins: Sequence[Pin]
) -> Iterator[Step]:
    """Yield what makes a channel (of `origin`, '' for one that is there) and its pins right.

    A hold is lifted first and put on last: what is held can't be pinned.
    """
    channels = mirror.channels
    if origin:
        change = Change("add", "channel", name, (FieldChange("from", None, origin),))
        yield Step(change, partial(channels.create, name, origin))
    wanted = {frozenset(pin.filters): pin for pin in wish.pins}
    holds = [pin for pin in pins if not pin.version]
    for pin in pins:
        if (pin in holds and wish.held is None) or (
            pin.version and frozenset(pin.filters) not in wanted
        ):
            yield Step(_unpin(name, pin), partial(channels.unpin, name, pin.id))
    before = {frozenset(pin.filters): pin for pin in pins if pin.version}
    for filters, wished in wanted.items():
        found = before.get(filters)
        if found is None or found.version != wished.version:
            make = partial(channels.pin, name, wished.filters, wished.version)
            yield Step(_pin(name, wished, found), make)
    reason = holds[-1].reason if holds else None
    if wish.held is not None and wish.held != reason:
        fields = (FieldChange("reason", reason, wish.held),)
        change = Change("change" if holds else "add", "hold", name, fields)
        yield Step(change, partial(channels.hold, name, wish.held))


def channel_removals(
    mirror: Mirror, now: Iterable[str], wanted: Mapping[str, ChannelWish]
) -> Iterator[Step]:
    """Yield what removes channels."""
    for name in now:
        if name not in wanted:
            yield Step(Change("remove", "channel", name), partial(mirror.channels.remove, name))


def repeated(wishes: Iterable[Sequence[str]]) -> list[str]:
    """Name the sets of filters that are there more than once."""
    counts = Counter(frozenset(filters) for filters in wishes)
    return [" ".join(sorted(filters)) for filters, count in counts.items() if count > 1]


def _unpin(channel: str, pin: Pin) -> Change:
    if not pin.version:
        return Change("remove", "hold", channel, (FieldChange("reason", pin.reason, None),))
    fields = (FieldChange("version", pin.version, None),)
    return Change("remove", "pin", f"{channel}: {' '.join(pin.filters)}", fields)


def _pin(channel: str, pin: PinWish, before: Pin | None) -> Change:
    fields = (FieldChange("version", before.version if before else None, pin.version),)
    action = "change" if before else "add"
    return Change(action, "pin", f"{channel}: {' '.join(pin.filters)}", fields)


def _all_of(selection: Selection) -> Selection:
    return msgspec.structs.replace(selection, id=0)


def _conditions_of(selection: Selection) -> Selection:
    return msgspec.structs.replace(selection, id=0, keep=0, bootloaders=True)


def _system_of(selection: Selection) -> tuple[str, str, str] | None:
    """Return source, os and release, unless that says next to nothing."""
    if not selection.release:
        return None
    return (selection.source, selection.os, selection.release)


def _differences(before: msgspec.Struct, after: msgspec.Struct) -> tuple[FieldChange, ...]:
    fields = before.__struct_fields__
    return tuple(
        FieldChange(each, _json(getattr(before, each)), _json(getattr(after, each)))
        for each in fields
        if getattr(before, each) != getattr(after, each)
    )


def _set_fields(value: msgspec.Struct, without: str) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange(each.name, None, _json(getattr(value, each.name)))
        for each in msgspec.structs.fields(value)
        if each.name != without and getattr(value, each.name) != each.default
    )


def _json(value: object) -> object:
    """Return a value as the file has it: a duration as `7 d`, a tuple as a list."""
    from datetime import timedelta

    from mirror.service.wish_file import write_duration

    if isinstance(value, timedelta):
        return write_duration(value)
    return list(value) if isinstance(value, tuple) else value
