"""Which plugins are installed, whatever state the packages beside them are in."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import NamedTuple

from mirror.api import ENTRY_POINT_GROUP

_UNSAFE = re.compile(r"[^a-z0-9]+", re.ASCII)


class Origin(NamedTuple):
    """The package that an entry point is of; '' for what its metadata does not say."""

    package: str
    version: str


class Unreadable(NamedTuple):
    """A package that seems to bring a plugin, and can't be read."""

    name: str
    error: Exception


def installed() -> tuple[list[EntryPoint], list[Unreadable]]:
    """Find the entry points of plugins, package by package: a damaged one hides no other."""
    entries: list[EntryPoint] = []
    unreadable: list[Unreadable] = []
    seen: set[str] = set()
    for each in distributions():
        try:
            text = each.read_text("entry_points.txt") or ""
        except UnicodeDecodeError:
            continue  # no tool wrote that, and nobody can say whose it is
        if ENTRY_POINT_GROUP not in text:
            continue
        package = _attribute(each, "name") or "unnamed"
        name = _UNSAFE.sub("-", package.lower()).strip("-")
        if name in seen:
            continue  # the same package further down the path: Python imports the first
        seen.add(name)
        try:
            entries += _entries(each)
        except Exception as error:  # noqa: BLE001  (a damaged file: anything may come)
            unreadable.append(Unreadable(name, error))
    return entries, unreadable


def origin(entry: EntryPoint) -> Origin:
    """Say which package an entry point is of."""
    if entry.dist is None:
        return Origin("", "")
    return Origin(_attribute(entry.dist, "name"), _attribute(entry.dist, "version"))


def _entries(distribution: Distribution) -> list[EntryPoint]:
    found = list(distribution.entry_points.select(group=ENTRY_POINT_GROUP))
    for each in found:
        _ = each.module  # raises for a value that is none
    return found


def _attribute(distribution: Distribution, name: str) -> str:
    try:
        return str(getattr(distribution, name) or "")
    except Exception:  # noqa: BLE001  (a damaged file: anything may come)
        return ""
