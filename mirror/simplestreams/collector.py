"""Python's garbage collector, out of the way while big trees are built."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector from walking a growing tree of values again and again, finding nothing.

    For code that makes no cycles. Also a decorator. With several threads inside, the collector may
    come back a little early, but it always comes back.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
