"""A plugin's own section of the settings: `[plugins.NAME]`, and MIRROR_PLUGINS__NAME__KEY."""

from __future__ import annotations

import difflib
import hashlib
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from mirror.errors import PluginBroken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Section = dict[str, Any]

_INDEX = re.compile(r"\[[^\]]*\]")


def section_names(plugin: str) -> tuple[str, ...]:
    """Return the names of a plugin's section; a variable's name has no dashes, no capitals."""
    return tuple(dict.fromkeys((plugin, plugin.replace("-", "_").lower())))


def section_of(plugin: str, sections: Mapping[str, Section]) -> Section:
    """Return what the settings say of a plugin."""
    return {k: v for name in section_names(plugin) for k, v in sections.get(name, {}).items()}


def mark_of(section: Section) -> str:
    """Return a mark that changes with the section; '' for none."""
    if not section:
        return ""
    return hashlib.sha256(msgspec.json.encode(section, order="deterministic")).hexdigest()[:12]


def check_type(kind: object) -> type[msgspec.Struct]:
    """Return the type of a section, which is what `mirror_settings` returned, if it is fit."""
    if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
        raise PluginBroken(f"mirror_settings returned {kind!r}, not a subclass of msgspec.Struct")
    if needed := [field.name for field in msgspec.structs.fields(kind) if field.required]:
        raise PluginBroken(f"its setting {needed[0]!r} has no default")
    kind()  # the defaults themselves must do
    return kind


def read_section(plugin: str, section: Section, kind: type[msgspec.Struct] | None) -> Any:  # noqa: ANN401
    """Return the section as a value of its type; None where the plugin has no settings.

    What a variable says is text: it is read as what the field is. Raises `PluginBroken` naming the
    key, and the nearest known key.
    """
    if kind is None:
        if section:
            raise _wrong(plugin, next(iter(section)), "the plugin has no settings")
        return None
    about = inspect.type_info(kind)
    for path, known in _unknown(section, about):
        key = path.rpartition(".")[2]
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
        raise _wrong(plugin, path, f"unknown key; {hint}")
    try:
        return msgspec.convert(_decoded(section, about), kind, strict=False)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        raise _wrong(plugin, path.strip("`."), said) from None


def _wrong(plugin: str, path: str, said: str) -> PluginBroken:
    where = f"[plugins.{plugin}]"
    key_of = _INDEX.sub("", path).split(".")
    variable = "__".join((section_names(plugin)[-1], *key_of)).upper()
    key = f" {path}" if path else ""
    return PluginBroken(
        f"settings {where}{key}: {said}",
        remedy=f"Mend {where} in mirror.toml, or the variable MIRROR_PLUGINS__{variable}.",
    )


def _unknown(value: object, kind: inspect.Type, at: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield each key that no field is there for, with those that there are."""
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in kind.fields}
        for key, inner in value.items():
            if key in fields:
                yield from _unknown(inner, fields[key], f"{at}{key}.")
            else:
                yield f"{at}{key}", list(fields)
    elif isinstance(kind, inspect.DictType) and isinstance(value, dict):
        for key, inner in value.items():
            yield from _unknown(inner, kind.value_type, f"{at}{key}.")
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType) and isinstance(value, list):
        for inner in value:
            yield from _unknown(inner, kind.item_type, at)


def _decoded(value: object, kind: inspect.Type) -> object:
    """Return the value, with what is text where no text can be read as JSON: a list, a table."""
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in kind.fields}
        return {key: _decoded(inner, fields[key]) for key, inner in value.items()}
    if isinstance(value, str) and value[:1] in {"[", "{"} and not _takes_text(kind):
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(value)
    return value


def _takes_text(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(_takes_text(each) for each in kind.types)
    return isinstance(kind, inspect.StrType | inspect.AnyType)
