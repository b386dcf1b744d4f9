"""What a mirror should be, as a file of TOML: read strictly, written in a stable order.

    [schedule]                     when `mirror serve` syncs
    [[selections]]                 what to take; they have no names
    [sources.NAME]                 where images come from
    [channels.NAME]                which channels there are
    [[channels.NAME.pins]]         and what they are kept at

A section that is absent says nothing about its subject; one that is there says all of it, so that
`selections = []` means none. A field that is absent has its default. Durations are `7 d`, `90 min`.
"""

from __future__ import annotations

import difflib
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from mirror.errors import WishesInvalid
from mirror.model import BootSource, Schedule, Selection
from mirror.service.toml_lines import line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FILES = ("keyring", "ca_file", "password_file", "proxy_password_file")
_DURATIONS = ("max_staleness", "interval", "jitter")
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))

T = TypeVar("T", bound=msgspec.Struct)

Place = tuple[str | int, ...]
"""Where in the file a value is: `("sources", "maas-stable", "url")`."""


class PinWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the products that pass the filters, the channel publishes this version only."""

    filters: tuple[str, ...]
    version: str


class ChannelWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel that there should be.

    `origin` (`from` in the file) is the channel or snapshot that it is made from where there is
    none of the name; once it is there, it says nothing. `held` is why it is held (None: it is not).
    """

    origin: str = msgspec.field(default="", name="from")
    held: str | None = None
    pins: tuple[PinWish, ...] = ()


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says of each subject; None where it says nothing."""

    sources: tuple[BootSource, ...] | None = None
    selections: tuple[Selection, ...] | None = None
    channels: dict[str, ChannelWish] | None = None
    schedule: Schedule | None = None


def read_wishes(text: str, *, name: str = "the file", base: Path | None = None) -> Wishes:
    """Read the file. Paths in it are relative to `base` (None: the working directory).

    Raises `WishesInvalid`, which says the table, the line and, for a key that is not known, which
    one may be meant.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WishesInvalid(f"{name} is not TOML: {error}") from None
    return _Reader(text, name, (base or Path.cwd()).absolute()).wishes(tables)


def write_wishes(wishes: Wishes) -> str:
    """Write the file: sources and channels by name, what is at its default left out.

    The schedule is written whole: one who wants another interval finds it there.
    """
    import tomli_w

    tables: dict[str, Any] = {}
    if wishes.selections is not None:
        tables["selections"] = [_written(each, without="id") for each in wishes.selections]
    if wishes.schedule is not None:
        tables["schedule"] = _written(wishes.schedule, whole=True)
    if wishes.sources is not None:
        by_name = sorted(wishes.sources, key=lambda source: source.name)
        tables["sources"] = {each.name: _written(each, without="name") for each in by_name}
    if wishes.channels is not None:
        named = sorted(wishes.channels.items())
        tables["channels"] = {channel: _written(wish) for channel, wish in named}
    text = tomli_w.dumps(tables, multiline_strings=True)
    # several lines read better, but a string with CR LF would come back without the CR
    return text if tomllib.loads(text) == tables else tomli_w.dumps(tables)


class _Reader:
    """Reads one file; what is wrong is said with its place."""

    def __init__(self, text: str, name: str, base: Path) -> None:
        self._text = text
        self._name = name
        self._base = base

    def wishes(self, tables: dict[str, Any]) -> Wishes:
        self._check_keys(tables, Wishes.__struct_fields__, ())
        return Wishes(
            sources=self._sources(tables["sources"]) if "sources" in tables else None,
            selections=(self._selections(tables["selections"]) if "selections" in tables else None),
            channels=self._channels(tables["channels"]) if "channels" in tables else None,
            schedule=(
                self._value(tables["schedule"], Schedule, ("schedule",))
                if "schedule" in tables
                else None
            ),
        )

    def _sources(self, tables: object) -> tuple[BootSource, ...]:
        named = self._tables(tables, ("sources",))
        return tuple(
            self._value(table, BootSource, ("sources", name), name=name)
            for name, table in named.items()
        )

    def _selections(self, tables: object) -> tuple[Selection, ...]:
        if not isinstance(tables, list):
            raise self._wrong(("selections",), "write each selection as a [[selections]] table")
        return tuple(
            self._value(table, Selection, ("selections", number), id=0)
            for number, table in enumerate(tables)
        )

    def _channels(self, tables: object) -> dict[str, ChannelWish]:
        return {
            name: self._channel(table, ("channels", name))
            for name, table in self._tables(tables, ("channels",)).items()
        }

    def _channel(self, table: object, place: Place) -> ChannelWish:
        if isinstance(table, dict) and isinstance(table.get("pins"), list):
            for number, pin in enumerate(table["pins"]):
                self._value(pin, PinWish, (*place, "pins", number))
        return self._value(table, ChannelWish, place)

    def _tables(self, value: object, place: Place) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(place, f"write each as a table: [{place[0]}.NAME]")
        return value

    def _value(self, table: object, kind: type[T], place: Place, **given: object) -> T:
        if not isinstance(table, dict):
            raise self._wrong(place, "it must be a table")
        known = [key for key in kind.__struct_encode_fields__ if key not in given]
        self._check_keys(table, known, place)
        values = {key: self._read(key, value, (*place, key)) for key, value in table.items()}
        try:
            return msgspec.convert({**values, **given}, kind)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$.")
            deeper = (where.rstrip("`").partition("[")[0],) if where else ()
            raise self._wrong((*place, *deeper), what[0].lower() + what[1:]) from None

    def _read(self, key: str, value: object, place: Place) -> object:
        if key in _DURATIONS:
            return self._duration(value, place)
        if key in _FILES and isinstance(value, str) and value:
            return str(self._base / Path(value).expanduser())
        return value

    def _duration(self, value: object, place: Place) -> timedelta:
        from mirror.settings import read_duration

        try:
            if isinstance(value, str):
                return read_duration(value)
        except (ValueError, OverflowError):
            pass
        raise self._wrong(place, f"{value!r} is not a duration, such as '90 s', '5 min' or '7 d'")

    def _check_keys(self, table: Mapping[str, Any], known: Iterable[str], place: Place) -> None:
        known = list(known)
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise self._wrong((*place, key), f"there is no such key; {hint}")

    def _wrong(self, place: Place, what: str) -> WishesInvalid:
        line = line_of(self._text, place)
        at = f"{self._name}, line {line}" if line else self._name
        return WishesInvalid(f"{at}: {_dotted(place)}: {what}")


def _dotted(place: Place) -> str:
    """Write a place as a person reads it: `selections[2].arches` is of the second selection."""
    shown = ""
    for part in place:
        shown += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return shown.removeprefix(".")


def _written(value: msgspec.Struct, without: str = "", *, whole: bool = False) -> dict[str, Any]:
    """Return the table for a value: all fields, or those that are not at their defaults."""
    fields = (each for each in msgspec.structs.fields(value) if each.name != without)
    return {
        each.encode_name: _plain(getattr(value, each.name))
        for each in fields
        if whole or getattr(value, each.name) != each.default
    }


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return write_duration(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return _written(value) if isinstance(value, msgspec.Struct) else value


def write_duration(span: timedelta) -> str:
    """Write a duration as the settings and this file read it: `7 d`, `90 min`, `1.5 s`."""
    for unit, seconds in _UNITS:
        count, rest = divmod(span, timedelta(seconds=seconds))
        if count and not rest:
            return f"{count} {unit}"
    exact = f"{span // timedelta(seconds=1)}.{span.microseconds:06}".rstrip("0").rstrip(".")
    return f"{exact} s"
