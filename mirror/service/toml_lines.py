"""On which line of a TOML file a value is: `tomllib` does not say."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADER = re.compile(r"\s*(\[\[?)(.+?)\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def line_of(text: str, place: Sequence[str | int]) -> int:
    """Return the line (from 1) where a value is written, else where its table begins; 0 if neither.

    It looks at one line at a time: what stands in a string of several lines may mislead it.
    """
    lines = _lines(text)
    for length in range(len(place), 0, -1):
        found = lines.get(tuple(place[:length]))
        if found:
            return found
    below = [line for found, line in lines.items() if found[: len(place)] == tuple(place)]
    return min(below, default=0)


def _lines(text: str) -> dict[tuple[str | int, ...], int]:
    lines: dict[tuple[str | int, ...], int] = {}
    counts: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _indexed(_parts(header[2]), counts)
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_parts(key[1])), number)
    return lines


def _indexed(
    parts: Sequence[str], counts: dict[tuple[str | int, ...], int]
) -> tuple[str | int, ...]:
    """Return where a header leads: below an array, into its last element."""
    place: tuple[str | int, ...] = ()
    for part in parts[:-1]:
        place = (*place, part)
        if place in counts:
            place = (*place, counts[place])
    return (*place, *parts[-1:])


def _parts(dotted: str) -> list[str]:
    try:
        table: object = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return []
    parts: list[str] = []
    while isinstance(table, dict):
        [(part, table)] = table.items()
        parts.append(part)
    return parts
