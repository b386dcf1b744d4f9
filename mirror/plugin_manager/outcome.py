"""What became of a plugin, as a record: each failure with what to do about it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.errors import PluginBroken
from mirror.plugin_manager.installed import Unreadable, origin
from mirror.plugin_manager.records import PluginRecord
from mirror.plugin_manager.sections import section_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from importlib.metadata import EntryPoint

WARNINGS = 20
"""So many warnings of one plugin are remembered."""


def record_of(entries: list[EntryPoint], status: str, **more: object) -> PluginRecord:
    """Return the record of a plugin, which has one entry point unless two packages bring it."""
    origins = [origin(each) for each in entries]
    return PluginRecord(
        entries[0].name,
        ", ".join(each.package for each in origins),
        ", ".join(each.version for each in origins),
        status,
        **more,  # type: ignore[arg-type]
    )


def failed(entries: list[EntryPoint], error: BaseException) -> PluginRecord:
    """Return the record of a plugin that did not load; all but `PluginBroken` is foreign."""
    name, package = entries[0].name, origin(entries[0]).package or entries[0].value
    said = f"{type(error).__name__}: {words(error)}{_place(error)}"
    remedy = (
        f"Reinstall or upgrade {package}, or block the plugin in mirror.toml: "
        f'[plugins] block = ["{name}"].'
    )
    if isinstance(error, PluginBroken):
        said = words(error)
        remedy = error.remedy if error.remedy != PluginBroken.remedy else remedy
    return record_of(entries, "failed", error=said, remedy=remedy)


def _place(error: BaseException) -> str:
    """Return where a plugin's code raised an error; '' where that was not in its code."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    file, ours = Path(frames[-1].filename), Path(__file__).parents[1]
    foreign = (ours, Path(importlib.__file__).parent)
    if any(file.is_relative_to(each) for each in foreign) or not file.is_file():
        return ""
    return f" ({file.parent.name}/{file.name}:{frames[-1].lineno})"


def damaged(each: Unreadable) -> PluginRecord:
    """Return the record of a package whose plugins nobody can name."""
    said = f"its package's entry points can't be read: {type(each.error).__name__}: {each.error}"
    remedy = f"Reinstall or remove the package {each.name}."
    return PluginRecord(each.name, each.name, "", "failed", error=words(said), remedy=remedy)


def missing(
    installed: Collection[str],
    named: Mapping[str, Collection[str]],
    sections: Collection[str],
) -> Iterator[PluginRecord]:
    """Report what the settings name and is not there: no error, for it may come with an upgrade."""
    places: dict[str, list[str]] = {}
    for key, names in named.items():
        for name in names:
            places.setdefault(name, []).append(f"[plugins] {key}")
    known = {section for name in installed for section in section_names(name)}
    for name in sections:
        if name not in known:
            places.setdefault(name, []).append(f"[plugins.{name}]")
    for name in sorted(places.keys() - set(installed)):
        where = " and ".join(places[name])
        said = f"it is not installed, and {where} of the settings names it"
        status = "blocked" if places[name] == ["[plugins] block"] else "missing"
        yield PluginRecord(name, "", "", status, warnings=(said,))


def words(foreign: object) -> str:
    """Return what an exception or warning of a plugin says, on one line."""
    try:
        text = " ".join(str(foreign).split())
    except Exception:  # noqa: BLE001  (a plugin's code: anything may come)
        return "(it can't say what)"
    return text if len(text) <= 1000 else f"{text[:1000]}..."


def once(said: list[str]) -> tuple[str, ...]:
    """Return the warnings that are worth to be remembered."""
    return tuple(dict.fromkeys(said))[:WARNINGS]
