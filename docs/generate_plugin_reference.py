"""Write docs/plugin-reference.md from the hooks, mirror.api and mirror.formats: `make docs`."""

from __future__ import annotations

import inspect
import re
import sys
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
    for name, kind in values().items():
        yield f"### `{name}`\n"
        yield f"{_text(kind)}\n"
        yield from _fields(kind)
    yield "## mirror.formats\n"
    yield f"{_text(formats)}\n"
    for name, reader in readers().items():
        if inspect.isfunction(reader):
            yield from _function(name, reader)
        else:
            yield f"### `{name}`\n\n{_text(reader)}\n"
            yield from _fields(reader)


def _function(name: str, function: Callable[..., object]) -> Iterator[str]:
    given = ", ".join(each for each in inspect.signature(function).parameters if each != "self")
    yield f"### `{name}({given})`\n"
    yield f"Returns `{function.__annotations__.get('return', 'None')}`.\n"
    yield f"{_text(function)}\n"


def _fields(kind: object) -> Iterator[str]:
    """Yield the fields of a value, with their types; of an enumeration, its members."""
    if members := getattr(kind, "__members__", None):
        yield f"One of {', '.join(f'`{member}`' for member in members)}.\n"
        return
    fields = getattr(kind, "__struct_fields__", None) or getattr(kind, "__dataclass_fields__", ())
    types = getattr(kind, "__annotations__", {})
    rows = [f"- `{field}`: `{types[field]}`" for field in fields if field in types]
    if rows:
        yield "\n".join(rows) + "\n"


def _attribute_text(kind: type, name: str) -> str:
    """Return the text that follows an attribute in the class."""
    source = inspect.getsource(kind)
    found = re.search(rf'^ +{name}: [^\n]*\n +"""(.*?)"""', source, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _text(thing: object) -> str:
    return inspect.getdoc(thing) or ""


if __name__ == "__main__":
    sys.stdout.write(render())
