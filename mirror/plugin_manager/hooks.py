"""The hooks of one plugin: in a manager of their own, so that a failure has nothing to undo."""

from __future__ import annotations

import difflib
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from mirror.errors import PluginBroken

if TYPE_CHECKING:
    from types import ModuleType

T = TypeVar("T")

MANY = 1000
"""More than that comes of no hook: one that returns for ever must not be listened to for ever."""

_AUTHOR = "Report it to the plugin's author; block the plugin until it is mended."


def register(plugin: object, name: str, specs: ModuleType) -> pluggy.PluginManager:
    """Register a plugin. Raises `PluginBroken` for a hook that there is not, or a wrapper."""
    manager = pluggy.PluginManager("mirror")
    manager.add_hookspecs(specs)
    manager.register(plugin, name=name)
    for caller in manager.get_hookcallers(plugin) or ():
        if not caller.has_spec() and not all(i.optionalhook for i in caller.get_hookimpls()):
            near = difflib.get_close_matches(caller.name, _known(manager, specs), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise PluginBroken(f"it implements unknown hook {caller.name!r}{hint}", remedy=_AUTHOR)
        if any(each.wrapper or each.hookwrapper for each in caller.get_hookimpls()):
            said = f"its {caller.name} is a wrapper: a plugin's hooks see nothing of the others'"
            raise PluginBroken(said, remedy=_AUTHOR)
    return manager


def implemented(manager: pluggy.PluginManager, plugin: object) -> tuple[str, ...]:
    """Name the hooks that a registered plugin implements."""
    callers = manager.get_hookcallers(plugin) or ()
    return tuple(sorted(caller.name for caller in callers if caller.has_spec()))


def oversights(manager: pluggy.PluginManager, plugin: object, specs: ModuleType) -> list[str]:
    """Say what a registered plugin's author seems to have forgotten."""
    hooks = implemented(manager, plugin)
    found = [
        f"{name} is not marked with @hookimpl: it is not called"
        for name in _known(manager, specs)
        if name not in hooks and callable(getattr(plugin, name, None))
    ]
    return found if found or hooks else ["it implements no hook"]


def call(manager: pluggy.PluginManager, hook: str, **arguments: object) -> list[Any]:
    """Call a hook, if it is implemented; return what each implementation did."""
    caller = getattr(manager.hook, hook, None)
    implementations = caller.get_hookimpls() if caller is not None else []
    if caller is None or not implementations:
        return []
    results: list[Any] = caller(**arguments)
    if len(results) < len(implementations):  # pluggy drops None
        raise PluginBroken(f"{hook} returned None", remedy=_AUTHOR)
    return results


def call_for(
    manager: pluggy.PluginManager, hook: str, kind: type[T], **arguments: object
) -> list[T]:
    """Call a hook that returns values of a kind; return all of them. Raises `PluginBroken`."""
    found: list[T] = []
    for result in call(manager, hook, **arguments):
        if isinstance(result, str | bytes) or not hasattr(result, "__iter__"):
            said = f"{hook} returned {_shown(result)}, not a list of {kind.__name__}"
            raise PluginBroken(said, remedy=_AUTHOR)
        for each in islice(result, MANY + 1):
            if not isinstance(each, kind):
                said = f"{hook} returned {_shown(each)}, not a {kind.__name__}"
                raise PluginBroken(said, remedy=_AUTHOR)
            found.append(each)
    if len(found) > MANY:
        raise PluginBroken(f"{hook} returned more than {MANY} values", remedy=_AUTHOR)
    return found


def _known(manager: pluggy.PluginManager, specs: ModuleType) -> list[str]:
    return [name for name in dir(specs) if manager.parse_hookspec_opts(specs, name) is not None]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
