"""Load plugins, one at a time, by name, so that each failure is of one plugin only."""

from __future__ import annotations

import contextlib
import re
import sys
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from mirror import hookspecs
from mirror.api import API_VERSION, PluginContext
from mirror.errors import PluginBroken
from mirror.plugin_manager import hooks
from mirror.plugin_manager.brought import Brought, Taken, bring
from mirror.plugin_manager.installed import installed, origin
from mirror.plugin_manager.outcome import damaged, failed, missing, once, record_of, words
from mirror.plugin_manager.records import PluginRecord, Plugins
from mirror.plugin_manager.routes import title
from mirror.plugin_manager.sections import (
    Section,
    check_type,
    mark_of,
    read_section,
    section_names,
    section_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from importlib.metadata import EntryPoint
    from types import ModuleType

    import pluggy

    from mirror.settings import PluginSettings

_NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*", re.ASCII)


@dataclass(frozen=True)
class _Loaded:
    """One plugin: its record and, if it was loaded, what it brought."""

    record: PluginRecord
    brought: Brought = field(default_factory=Brought)
    context: PluginContext | None = None
    mark: str = ""
    relay: pluggy.HookRelay | None = None


@dataclass(frozen=True)
class _Surroundings:
    """What all plugins are loaded with."""

    sections: Mapping[str, Section]
    reserved: Collection[str]
    specs: ModuleType
    taken: Taken = field(default_factory=Taken)


def load_configured(chosen: PluginSettings) -> Plugins:
    """Load plugins as the settings say. Raises `PluginBroken` where they are strict."""
    return load_plugins(
        allow=chosen.allow,
        block=chosen.block,
        prefer=chosen.prefer,
        strict=chosen.strict,
        sections=chosen.sections,
        reserved=type(chosen).model_fields.keys(),
    )


def load_plugins(
    *,
    allow: Collection[str] = (),
    block: Collection[str] = (),
    prefer: Collection[str] = (),
    strict: bool = False,
    sections: Mapping[str, Section] | None = None,
    reserved: Collection[str] = (),
    found: Iterable[EntryPoint] | None = None,
    specs: ModuleType = hookspecs,
) -> Plugins:
    """Load the plugins of the entry-point group (or those `found`), one at a time, by name.

    `sections` are the settings of each, by its name; `reserved` are names that none may have, for
    they are keys of `[plugins]`. With `strict`, `PluginBroken` names those that failed.
    """
    surroundings = _Surroundings(sections or {}, reserved, specs)
    loaded: list[_Loaded] = []
    everything, unreadable = installed() if found is None else (found, [])
    by_name = _by_name(everything)
    for name, entries in by_name.items():
        if name in block or (allow and name not in allow):
            loaded.append(_Loaded(record_of(entries, "blocked")))
            continue
        each = _load(entries, surroundings)
        surroundings.taken.add(name, each.brought)
        loaded.append(each)
    named = {"allow": allow, "block": block, "prefer": prefer}
    there = {*by_name, *(each.name for each in unreadable)}
    plugins = Plugins(
        distributions=tuple(d for each in loaded for d in each.brought.distributions),
        records=(
            *(each.record for each in loaded),
            *map(damaged, unreadable),
            *missing(there, named, surroundings.sections),
        ),
        commands={e.record.name: e.brought.commands for e in loaded if e.brought.commands},
        routes={e.record.name: e.brought.routes for e in loaded if e.brought.routes},
        marks={e.record.name: e.mark for e in loaded if e.mark},
        contexts={each.record.name: each.context for each in loaded if each.context},
        relays={each.record.name: each.relay for each in loaded if each.relay},
        prefer=tuple(prefer),
    )
    if strict:
        plugins.demand_all()
    return plugins


def _by_name(everything: Iterable[EntryPoint]) -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(everything, key=lambda each: (each.name, origin(each).package)):
        found.setdefault(entry.name, []).append(entry)
    return found


def _load(entries: list[EntryPoint], surroundings: _Surroundings) -> _Loaded:
    """Load one plugin; whatever goes wrong is in its record."""
    said: list[str] = []
    try:
        with _listening(said):
            loaded = _loaded(entries, surroundings, said)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  (foreign code: anything may come)
        record = failed(entries, error)
        return _Loaded(msgspec.structs.replace(record, warnings=once(said)))
    record = msgspec.structs.replace(loaded.record, warnings=once(said))
    return replace(loaded, record=record)


def _loaded(entries: list[EntryPoint], around: _Surroundings, said: list[str]) -> _Loaded:
    entry = entries[0]
    _check_name(entries, around.reserved)
    plugin = entry.load()
    api = _api_of(plugin)
    manager = hooks.register(plugin, entry.name, around.specs)
    said += hooks.oversights(manager, plugin, around.specs)
    kinds = hooks.call(manager, "mirror_settings")
    kind = check_type(kinds[0]) if kinds else None
    section = section_of(entry.name, around.sections)
    settings = read_section(entry.name, section, kind)
    context = PluginContext(entry.name, settings)
    brought = bring(manager, context, around.taken)
    record = record_of(
        entries,
        "loaded",
        distributions=tuple(each.id for each in brought.distributions),
        api=f"{api[0]}.{api[1]}",
        hooks=hooks.implemented(manager, plugin),
        commands=tuple(each.name for each in brought.commands),
        routes=tuple(title(each) for each in brought.routes),
    )
    return _Loaded(record, brought, context, mark_of(section), manager.hook)


@contextlib.contextmanager
def _listening(said: list[str]) -> Iterator[None]:
    """Collect what Python warns of; what a plugin prints is not the command's output.

    Both are the whole process's for that moment: other threads' warnings come here, too.
    """
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(sys.stderr),
    ):
        warnings.simplefilter("always")
        try:
            yield
        finally:
            said += [f"{each.category.__name__}: {words(each.message)}" for each in caught]


def _check_name(entries: list[EntryPoint], reserved: Collection[str]) -> None:
    name = entries[0].name
    if len(entries) > 1:
        who = " and ".join(f"{origin(each).package or '?'} ({each.value})" for each in entries)
        remedy = "Uninstall one of the two packages."
        raise PluginBroken(f"two packages bring a plugin of this name: {who}", remedy=remedy)
    if not _NAME.fullmatch(name):
        raise PluginBroken("its name is not lower-case letters and digits, with dashes between")
    if clash := set(section_names(name)) & set(reserved):
        what = f"its name is a key of [plugins], {clash.pop()!r}: it could have no settings"
        raise PluginBroken(what, remedy="Block it until its author has renamed the entry point.")


def _api_of(plugin: object) -> tuple[int, int]:
    wanted = getattr(plugin, "requires_api", (API_VERSION[0], 0))
    match wanted:
        case (int(major), int(minor)):
            pass
        case _:
            raise PluginBroken(f"its requires_api is {wanted!r}, not a pair such as (1, 0)")
    if major != API_VERSION[0] or minor > API_VERSION[1]:
        raise PluginBroken(
            f"it needs plugin API {major}.{minor}; this is {API_VERSION[0]}.{API_VERSION[1]}",
            remedy="Install versions of the plugin and of the mirror that fit each other.",
        )
    return major, minor
