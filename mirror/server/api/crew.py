"""The few threads in which one plugin answers requests, and the time that it may take.

A thread can't be stopped. One whose plugin hangs is left behind, and is one less for that plugin
alone; it keeps no process from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from mirror.errors import PluginBusy, PluginTimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

THREADS = 4
"""Of each plugin, in each process of the server."""

LIMIT = 30.0
"""Seconds that an answer may take."""

PATIENCE = 2.0
"""Seconds that a request waits for a thread ..."""

MAX_WAITING = 64
"""... if there are not more than so many that do."""


class Crew:
    """The threads of one plugin. For one event loop."""

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin
        self._free = asyncio.Semaphore(THREADS)
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` does, or raise what it raises. Raises PluginBusy, PluginTimedOut."""
        await self._turn()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def run() -> None:
            outcome: tuple[Callable[[Any], None], Any]
            try:
                outcome = done.set_result, context.run(work)
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                outcome = done.set_exception, error
            with suppress(RuntimeError):  # the loop may be closed: nobody waits
                loop.call_soon_threadsafe(self._end, done, *outcome)

        try:
            threading.Thread(target=run, name=f"plugin {self._plugin}", daemon=True).start()
        except RuntimeError:
            self._free.release()
            raise PluginBusy(f"plugin {self._plugin!r}: no thread can be started") from None
        try:
            return await asyncio.wait_for(done, LIMIT)
        except TimeoutError:
            raise PluginTimedOut(
                f"plugin {self._plugin!r} did not answer within {LIMIT:g} s"
            ) from None

    async def _turn(self) -> None:
        busy = PluginBusy(f"plugin {self._plugin!r} has no thread left to answer with")
        if self._waiting >= MAX_WAITING:
            raise busy
        self._waiting += 1
        try:
            await asyncio.wait_for(self._free.acquire(), PATIENCE)
        except TimeoutError:
            raise busy from None
        finally:
            self._waiting -= 1

    def _end(self, done: asyncio.Future[T], settle: Callable[[Any], None], value: Any) -> None:
        self._free.release()
        if not done.done():
            settle(value)
