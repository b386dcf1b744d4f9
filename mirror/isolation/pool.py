"""The processes of a workshop: who has one, who is done with it, who must not get another.

Everything here blocks, and is for the workshop's threads.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Protocol, TypeVar

from mirror.errors import PluginCrashed, PluginLimitExceeded, PluginTrespassed
from mirror.isolation.messages import HOME, Ready, Start
from mirror.isolation.process import OnStep, Process, Terms, remove_tree
from mirror.plugin_manager.sections import section_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import msgspec

    from mirror.settings import PluginSettings

R = TypeVar("R")

_PATIENCE = 3
"""How many versions a plugin may take too long for, before it gets less time for the others."""
_KEPT = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "TZ",
)
"""Variables that a confined worker has."""
_FATAL = (PluginCrashed, PluginLimitExceeded, PluginTrespassed)


class Ask(Protocol):
    """Sends a message to the process, and returns its reply."""

    def __call__(self, message: msgspec.Struct, expected: type[R], *, on_step: OnStep = None) -> R:
        """Raise what `Process.ask` raises."""
        ...


class Turn:
    """One piece of work. `cancel` may be called from any thread, at any time."""

    def __init__(self) -> None:
        self.cancelled = False
        self._lock = threading.Lock()
        self._process: Process | None = None

    def cancel(self) -> None:
        """Kill the process that does the work, now or as soon as it starts."""
        with self._lock:
            self.cancelled = True
            if self._process is not None:
                self._process.kill()

    def holds(self, process: Process | None) -> None:
        """Say which process does the work; None: none does any more."""
        with self._lock:
            self._process = process
            if process is not None and self.cancelled:
                process.kill()


class Pool:
    """The processes, of which there are never more than `settings.processes`.

    There are as many threads, and each holds one at most: where a thread finds none that it can
    use, it ends one that nobody holds.
    """

    def __init__(
        self,
        settings: PluginSettings,
        scratch: Path,
        readable: tuple[Path, ...],
        private: tuple[Path, ...],
    ) -> None:
        self._settings = settings
        self._scratch = scratch
        self._readable = tuple(map(os.fspath, readable))
        self._private = tuple(map(os.fspath, private))
        self._lock = threading.Lock()
        self._idle: list[Process] = []
        self._numbers = count(1)
        self._overdue: dict[str, int] = {}

    def close(self) -> None:
        """End every process. None may be in use."""
        for process in self._idle:
            _discard(process)
        self._idle.clear()

    @contextmanager
    def process(self, turn: Turn, plugin: str, about: str) -> Iterator[tuple[Process, Ask]]:
        """Give a process of the plugin; `about` is what errors begin with.

        It stays for the next one to ask for it, unless the plugin failed badly. Raises what
        `Process.ask` does.
        """
        terms = self._terms(plugin, about)
        process = self._idle_one(plugin)
        is_ready = process is not None
        process = process or self._start(plugin, about)
        turn.holds(process)
        try:
            if not is_ready:
                process.ask(process.start, Ready, terms)
                is_ready = True
            yield process, partial(process.ask, terms=terms)
        except _FATAL:
            is_ready = False
            if time.monotonic() >= terms.deadline:
                self._overdue[plugin] = self._overdue.get(plugin, 0) + 1
            raise
        finally:
            turn.holds(None)
            self._leave(process, again=is_ready and not turn.cancelled)

    @contextmanager
    def free_process(
        self, turn: Turn, plugin: str, about: str, seconds: float
    ) -> Iterator[tuple[Process, Ask]]:
        """Give a process that may do what the mirror may, once. Raises what `Process.ask` does."""
        terms = Terms(about, time.monotonic() + seconds, f"{seconds:g} seconds")
        process = self._start(plugin, about, confined=False)
        turn.holds(process)
        try:
            process.ask(process.start, Ready, terms)
            yield process, partial(process.ask, terms=terms)
        finally:
            turn.holds(None)
            self._leave(process, again=False)

    def _terms(self, plugin: str, about: str) -> Terms:
        """Return what holds for a question: a plugin that keeps hanging must not stop the sync."""
        limit = self._settings.time_limit.total_seconds()
        allowed = f"{limit:g} seconds"
        overdue = self._overdue.get(plugin, 0)
        if overdue >= _PATIENCE:
            limit /= 10
            allowed = f"{limit:g} seconds, a tenth of the limit: {overdue} versions took too long"
        return Terms(about, time.monotonic() + limit, allowed)

    def _idle_one(self, plugin: str) -> Process | None:
        """Take a process of the plugin that nobody holds; end one of another if there is none."""
        with self._lock:
            mine = [each for each in self._idle if each.plugin == plugin]
            chosen = (mine or self._idle)[:1]
            self._idle = [each for each in self._idle if each not in chosen]
        if mine and mine[0].is_alive:
            return mine[0]
        for each in chosen:
            _discard(each)
        return None

    def _leave(self, process: Process, *, again: bool) -> None:
        if not again:
            _discard(process)
            return
        process.tidy()
        with self._lock:
            self._idle.append(process)

    def _start(self, plugin: str, about: str, *, confined: bool = True) -> Process:
        with self._lock:
            number = next(self._numbers)
        scratch = self._scratch / f"worker-{number}"
        start = Start(
            plugin=plugin,
            section=section_of(plugin, self._settings.sections),
            scratch=os.fspath(scratch),
            readable=self._readable,
            private=self._private,
            memory=int(self._settings.memory_limit),
            disk=int(self._settings.disk_limit),
            confined=confined,
        )
        try:
            (scratch / HOME).mkdir(parents=True)
            return Process(start, _environment(confined=confined))
        except OSError as error:
            raise PluginCrashed(f"{about}: its process can't be started: {error}") from error


def _discard(process: Process) -> None:
    process.end()
    remove_tree(process.scratch)


def _environment(*, confined: bool) -> dict[str, str]:
    """Return what a worker sees of the environment: no secret, and no one else's settings."""
    if not confined:
        return {name: value for name, value in os.environ.items() if not _is_ours(name)}
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def _is_ours(name: str) -> bool:
    return name.upper().startswith(("MIRROR_", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"))
