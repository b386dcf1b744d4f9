"""A channel's history, read back: what it published before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirror.model import Switch

ROLLED_BACK = "rolled back from "


def earlier(history: Sequence[Switch], exists: Callable[[str], bool]) -> str | None:
    """Return the snapshot whose products were published before the last change; None for none.

    A rollback is no step of its own: what came before it is what came before that to which it went
    back, so that a second rollback goes further back and not forth again. A snapshot that is gone
    is passed over.
    """
    at: int | None = len(history) - 1
    while at is not None and at >= 0:
        at = _before(history, at)
        if at is None:
            return None
        for candidate in (history[at].snapshot, history[at].origin):
            if candidate and exists(candidate):
                return candidate
    return None


def _before(history: Sequence[Switch], at: int) -> int | None:
    """Return the entry that came before this one."""
    while at >= 0 and history[at].reason.startswith(ROLLED_BACK):
        target = history[at].origin or history[at].snapshot
        first = [index for index in range(at) if target == history[index].snapshot]
        if not first:
            break
        at = first[-1]
    return at - 1 if at > 0 else None
