"""Write docs/plugin-reference.md from the hooks, mirror.api and mirror.formats: `make docs`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mirror import api, formats, hookspecs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HEAD = f"""\
# The reference for plugins

[Write a plugin](plugins.md) says how to begin. This page is made from the code by `make docs`.

A plugin is a module in the entry-point group `{api.ENTRY_POINT_GROUP}`, with
`requires_api = {api.API_VERSION}`. A new minor version of the API only adds; a new major one gets a
new group, and plugins of the old one are listed as not loaded.
"""

_VALUES = """\
A field that has a default is shown with it, `= ...`; what begins with a dot is read only.
`Attributes` is `dict[str, Any]`: further keys as the boot source wrote them, so any JSON value may
be there, or none. `.os`, `.release` and `.arch` of a `Product` are always strings, '' where it has
none; of all else, ask before you use it: `str(product.attributes.get("version", ""))`."""


def hooks() -> dict[str, Callable[..., object]]:
    """Return every hook, in the order of the module."""
    return {
        name: value
        for name, value in vars(hookspecs).items()
        if name.startswith("mirror_") and inspect.isfunction(value)
    }


def methods() -> dict[str, Callable[..., object]]:
    """Return every public method of `Distribution`, in the order of the class."""
    return {
        name: value
        for name, value in vars(api.Distribution).items()
        if not name.startswith("_") and inspect.isfunction(value)
    }


def values() -> dict[str, type]:
    """Return the classes that plugins see, besides `Distribution`, by name."""
    return {
        name: getattr(api, name)
        for name in sorted(api.__all__)
        if inspect.isclass(getattr(api, name)) and name != "Distribution"
    }


def readers() -> dict[str, object]:
    """Return what `mirror.formats` offers, by name."""
    return {name: getattr(formats, name) for name in sorted(formats.__all__)}


def render() -> str:
    """Return the page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _HEAD
    yield f"{_text(api)}\n"
    yield "## Hooks\n"
    yield f"{_text(hookspecs)}\n"
    for name, hook in hooks().items():
        yield from _function(name, hook)
    yield "## Distribution\n"
    yield f"{_text(api.Distribution)}\n"
    for name in ("id", "stream"):
        yield f"### `{name}`\n\n{_attribute_text(api.Distribution, name)}\n"
    for name, method in methods().items():
        yield from _function(name, method)
    yield "## Values\n"
    yield f"{_VALUES}\n"
    for name, kind in values().items():
        yield f"### `{name}`\n"
        yield f"{_text(kind)}\n"
        yield from _fields(kind)
    yield "## mirror.formats\n"
    yield f"{_text(formats)}\n"
    for name, reader in readers().items():
        if inspect.isfunction(reader):
            yield from _function(name, reader)
        elif isinstance(reader, int):
            yield f"### `{name}`\n\n`{reader}`. {_text_below(formats.head, name)}\n"
        elif not callable(reader):
            told = _text_below(formats.image_type, name)
            yield f"### `{name}`\n\n{_listed(reader)}. {told}\n"
        else:
            yield f"### `{name}`\n\n{_text(reader)}\n"
            yield from _fields(reader)


def _function(name: str, function: Callable[..., object]) -> Iterator[str]:
    given = ", ".join(each for each in inspect.signature(function).parameters if each != "self")
    yield f"### `{name}({given})`\n"
    yield f"Returns `{function.__annotations__.get('return', 'None')}`.\n"
    yield f"{_text(function)}\n"


def _fields(kind: object) -> Iterator[str]:
    """Yield what a value is made of, and what it can say; of an enumeration, its members."""
    if members := getattr(kind, "__members__", None):
        yield f"One of {', '.join(f'`{member}`' for member in members)}.\n"
        return
    named = _arguments(kind)
    rows = [_field(kind, each) for each in named]
    if rows and all(each.kind is each.KEYWORD_ONLY for each in named):
        yield "Made by keyword only.\n"
    for name, value in vars(kind).items():
        if isinstance(value, property):
            rows.append(f"- `.{name}`: `{value.fget.__annotations__['return']}`. {_text(value)}")
    if rows:
        yield "\n".join(rows) + "\n"


def _arguments(kind: object) -> list[inspect.Parameter]:
    """Return what a value is made of; nothing for an exception that is made of any words."""
    try:
        return list(inspect.signature(kind).parameters.values())
    except ValueError:
        return []


def _field(kind: object, field: inspect.Parameter) -> str:
    """Return a line on one field: its type, its default, what is said of it."""
    named = getattr(field.annotation, "__name__", field.annotation)
    kind_of = getattr(kind, "__annotations__", {}).get(field.name, named)
    default = "{}" if "factory" in repr(field.default) else repr(field.default)
    usual = "" if field.default is field.empty else f" = `{default}`"
    said = _attribute_text(kind, field.name)
    return f"- `{field.name}`: `{kind_of}`{usual}{'. ' if said else ''}{said}"


def _attribute_text(kind: type, name: str) -> str:
    """Return the text that follows an attribute in the class."""
    source = inspect.getsource(kind)
    found = re.search(rf'^ +{name}: [^\n]*\n +"""(.*?)"""', source, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _listed(names: Iterable[str]) -> str:
    """Return names, or a mapping of names to names, in a row."""
    if isinstance(names, Mapping):
        return ", ".join(f"`{name}`: `{value}`" for name, value in names.items())
    return ", ".join(f"`{name}`" for name in names)


def _text_below(module: object, name: str) -> str:
    """Return the text that follows a constant in a module."""
    source = inspect.getsource(module)
    value = r"(?:[^\n]*|\{\n.*?^\})"
    found = re.search(rf'^{name} = {value}\n"""(.*?)"""', source, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _text(thing: object) -> str:
    return inspect.getdoc(thing) or ""


if __name__ == "__main__":
    sys.stdout.write(render())
