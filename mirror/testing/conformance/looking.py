"""Notice what code looks at beside its arguments: files, the network, the clock."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mirror.simplestreams.collector import collector_paused

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_OUTSIDE = frozenset({"posix", "_io", "_socket", "_ssl", "_posixsubprocess", "_sqlite3", "time"})
"""The modules, written in C, that everything outside is reached through."""
_HARMLESS = frozenset({"fspath"})
_CLOCK = frozenset({"today", "now", "utcnow"})


def outside_calls(work: Callable[[], object]) -> set[str]:
    """Do some work, and return the names of what it called to look outside: `posix.stat`.

    The work is done twice, and watched the second time: what is imported or read once, and kept,
    is no matter. Nor is what others have the garbage collector call: it is paused.
    """
    work()
    called: set[str] = set()

    def watch(_frame: FrameType, event: str, function: object) -> None:
        if event == "c_call" and (name := _name(function)):
            called.add(name)

    before = sys.getprofile()
    with collector_paused():
        sys.setprofile(watch)
        try:
            work()
        finally:
            sys.setprofile(before)
    return called


def _name(function: object) -> str:
    """Return the name of a built-in function that looks outside; '' for any other."""
    name = str(getattr(function, "__name__", ""))
    module = getattr(function, "__module__", None)
    if module in _OUTSIDE and name not in _HARMLESS:
        return f"{module}.{name}"
    owner = getattr(function, "__self__", None)
    if name in _CLOCK and isinstance(owner, type) and owner.__module__ == "datetime":
        return f"{owner.__name__}.{name}"
    return ""
