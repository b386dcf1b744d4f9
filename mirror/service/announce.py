"""Telling plugins what has happened, once it has: a sync ended, a channel was switched.

Each plugin that listens has a queue, and a thread while there is something in it; there it is told
in a process of its own (`mirror.isolation`). Nobody waits for that but `close`, and not for long: a
plugin that fails or hangs changes nothing and delays no other.

An event is told at most once. It is written down nowhere: what a process has not told when it is
killed, nobody is told.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.jobs import is_final
from mirror.catalog.tallies import LISTENER
from mirror.errors import ListenerFailed, MirrorError
from mirror.model import Problem  # noqa: TC001  (msgspec looks at it)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import SnapshotPublished, SyncFinished
    from mirror.model import Switch
    from mirror.service.mirror import Mirror

    Event = SyncFinished | SnapshotPublished

WAIT = 35.0
"""Seconds that `close` waits: an event may take 30, and its process must start and end."""

MAX_QUEUED = 100
"""Events that may wait for one plugin; more are dropped."""

_log = logging.getLogger(__name__)


class Announcer:
    """Tells the plugins of one mirror. Any thread may call; nothing here raises."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._lock = threading.Lock()
        self._queues: dict[str, deque[tuple[Event, int]]] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._running: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = {}
        self._closed = False
        self._over = False

    def job_ended(self, number: int) -> None:
        """Tell of a sync's job that has ended, and of what it published."""
        try:
            if self._listened():
                self._tell(_events_of(self._mirror, number), number)
        except MirrorError as error:
            _log.warning("plugins were not told of job %d: %s. %s", number, error, error.remedy)

    def switched(self, channel: str, snapshot: str, reason: str) -> None:
        """Tell that a channel was pointed at a snapshot, just now, because of a verb."""
        try:
            if self._listened():
                self._tell(_switch_to(self._mirror, channel, snapshot, reason))
        except MirrorError as error:
            _log.warning("plugins were not told of %s: %s. %s", channel, error, error.remedy)

    def close(self) -> None:
        """Let those that are being told finish; after `WAIT` seconds, cut them short."""
        deadline = time.monotonic() + WAIT
        try:
            for thread in list(self._threads.values()):
                thread.join(max(0.0, deadline - time.monotonic()))
        finally:
            self._cut()
            self._over = True

    # --- how --------------------------------------------------------------------------------------

    def _listened(self) -> bool:
        return any(self._mirror.plugins.listeners.values())

    def _tell(self, events: Iterator[Event], job: int = 0) -> None:
        from mirror.plugin_manager.records import EVENT_HOOKS

        for event in events:
            for plugin in self._mirror.plugins.listeners[EVENT_HOOKS[type(event)]]:
                self._queue(plugin, event, job)

    def _queue(self, plugin: str, event: Event, job: int) -> None:
        with self._lock:
            queue = self._queues.setdefault(plugin, deque())
            if self._closed or len(queue) >= MAX_QUEUED:
                _log.warning("plugin %r is not told of %r", plugin, event)
                return
            queue.append((event, job))
            if plugin not in self._threads:
                name = f"tell {plugin}"
                thread = threading.Thread(target=self._work, args=(plugin,), name=name, daemon=True)
                self._threads[plugin] = thread
                thread.start()

    def _work(self, plugin: str) -> None:
        """Tell one plugin what waits for it, in order, and end when nothing does."""
        while True:
            with self._lock:
                if not self._queues[plugin]:
                    del self._threads[plugin]
                    return
                event, job = self._queues[plugin].popleft()
            try:
                asyncio.run(self._notify(plugin, event))
            except MirrorError as error:
                self._complain(plugin, ListenerFailed(error.what), job)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - nothing may end us
                said = f"plugin {plugin!r} could not be told: {error or 'it took too long'}"
                self._complain(plugin, ListenerFailed(said), job)

    async def _notify(self, plugin: str, event: Event) -> None:
        from mirror.isolation.workshop import Workshop

        task = asyncio.current_task()
        with self._lock:
            if self._closed or task is None:
                raise ListenerFailed(f"plugin {plugin!r} was not told: the program ends")
            self._running[plugin] = asyncio.get_running_loop(), task
        settings, plugins = self._mirror.settings.plugins, self._mirror.plugins
        try:
            with tempfile.TemporaryDirectory(prefix="event-", dir=self._mirror.dir.incoming) as at:
                async with Workshop(settings, plugins, scratch=Path(at)) as workshop:
                    await workshop.notify(plugin, event)
        finally:
            with self._lock:
                del self._running[plugin]

    def _complain(self, plugin: str, error: ListenerFailed, job: int) -> None:
        """Say what a listener did wrong: in the log, in that of the job, and as a count."""
        _log.warning("%s. %s", error, error.remedy)
        if self._over:
            return
        try:
            catalog = self._mirror.catalog
            catalog.tallies.count_failures([(plugin, LISTENER)])
            if job:
                said = f"{error.what} [{error.code}]. {error.remedy}"
                catalog.jobs.add_line(job, "warning", said)
        except MirrorError as failure:
            _log.warning("this could not be recorded: %s", failure)

    def _cut(self) -> None:
        """Begin nothing any more, and end what runs."""
        with self._lock:
            self._closed = True
            late = list(self._threads.values())
            for loop, task in self._running.values():
                loop.call_soon_threadsafe(task.cancel)
        for thread in late:
            thread.join(5)


class _Asked(msgspec.Struct, frozen=True):
    """What is of interest here of a sync's options."""

    channel: str = "stable"
    dry_run: bool = False


class _Result(msgspec.Struct, frozen=True):
    """What is of interest here of a sync's result."""

    snapshot: str = ""
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    left_out: tuple[Problem, ...] = ()
    sources: tuple[Problem, ...] = ()


def _events_of(mirror: Mirror, number: int) -> Iterator[Event]:
    """Yield what a job published, and how it ended. A dry run is no sync."""
    from mirror.api import SyncFinished

    job = mirror.catalog.jobs.get(number)
    asked = msgspec.json.decode(job.options, type=_Asked)
    if asked.dry_run or not is_final(job.state):
        return
    switches = [e for e in mirror.store.channels.history(asked.channel) if e.job == number]
    for each in switches:
        yield _published(asked.channel, each, "sync")
    if job.kind != "sync":
        return
    result = msgspec.json.decode(job.result, type=_Result | None) or _Result()
    last = switches[-1].snapshot if switches else ""
    yield SyncFinished(
        job=number,
        channel=asked.channel,
        state=job.state.value,
        snapshot=result.snapshot or last,
        added=result.added,
        dropped=result.dropped,
        left_out=tuple(map(_words, (*result.left_out, *result.sources))),
        error=_words(job.error) if job.error else "",
    )


def _switch_to(mirror: Mirror, channel: str, snapshot: str, reason: str) -> Iterator[Event]:
    """Yield the latest switch of a channel to a snapshot."""
    for each in reversed(mirror.store.channels.history(channel)):
        if each.snapshot == snapshot:
            yield _published(channel, each, reason)
            return


def _published(channel: str, switch: Switch, reason: str) -> SnapshotPublished:
    from mirror.api import SnapshotPublished

    return SnapshotPublished(
        channel=channel,
        snapshot=switch.snapshot,
        previous=switch.previous,
        reason=reason,
        at=switch.at,
    )


def _words(problem: Problem) -> str:
    about = f"{problem.about}: " if problem.about else ""
    return f"{about}{problem.what} [{problem.code}]"
