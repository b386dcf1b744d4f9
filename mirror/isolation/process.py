"""The mirror's side of one worker: start it, ask it, watch it, end it with all that it started.

Everything here blocks, and is for a thread.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from mirror.errors import (
    ImageNotBuildable,
    ManifestUnreadable,
    MirrorError,
    PluginCrashed,
    PluginError,
    PluginLimitExceeded,
    PluginTrespassed,
)
from mirror.isolation import messages
from mirror.isolation.messages import HOME, Failed, Reply, Step
from mirror.plugin_manager.words import clean

if TYPE_CHECKING:
    from mirror.isolation.messages import Start

R = TypeVar("R")

OnStep = Callable[[Step], None] | None

_KEPT = 4096
"""Bytes of what a worker writes on standard error that are kept: the last ones."""
_TICK = 0.2
"""Seconds between two looks at what a worker uses."""
_LARGEST_READ = 1 << 16
_LONGEST_STEP = 200
"""Bytes of a message that says how far a build is."""

_reply: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


class Terms(msgspec.Struct, frozen=True):
    """What holds for one question.

    `about` is what errors begin with; at `deadline`, of the monotonic clock, the time that is
    `allowed` has passed.
    """

    about: str
    deadline: float
    allowed: str


class Process:
    """A worker process, and what it may take."""

    def __init__(self, start: Start, environment: dict[str, str]) -> None:
        self.plugin = start.plugin
        self.scratch = Path(start.scratch)
        self.start = start
        self._said = b""
        self._folders = 0
        command = [sys.executable, "-P", "-B", "-m", "mirror.isolation.worker", str(os.getpid())]
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env=environment,
        )
        pipes = (self._child.stdin, self._child.stdout, self._child.stderr)
        self._pipes = [pipe for pipe in pipes if pipe is not None]
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)

    def new_folder(self) -> Path:
        """Make an empty directory in the worker's scratch directory."""
        self._folders += 1
        folder = self.scratch / str(self._folders)
        folder.mkdir()
        return folder

    def tidy(self) -> None:
        """Empty the scratch directory."""
        for entry in self.scratch.iterdir():
            if entry.name == HOME:
                for each in entry.iterdir():
                    remove_tree(each)
            else:
                remove_tree(entry)

    @property
    def is_alive(self) -> bool:
        """Say whether it has not ended."""
        return self._child.poll() is None

    def kill(self) -> None:
        """Kill it and all that it started, at once. Any thread may."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill it, and wait for that."""
        self.kill()
        self._child.wait()
        for pipe in self._pipes:
            with suppress(OSError):
                pipe.close()

    def ask(
        self, message: msgspec.Struct, expected: type[R], terms: Terms, on_step: OnStep = None
    ) -> R:
        """Send a message, and return the reply, which must be of the kind that is expected.

        `on_step` is called, in this thread, with each `Step` that comes before it.

        Raises `PluginError` and its kinds, and `ManifestUnreadable`: after any but `PluginError`
        itself and `ManifestUnreadable`, this process is of no use any more.
        """
        try:
            body = self._exchange(messages.frame(message), terms, on_step)
        except BrokenPipeError:
            raise self._crashed(terms.about) from None
        return _understood(body, expected, terms.about)

    # --- talking ----------------------------------------------------------------------------------

    def _exchange(self, request: bytes, terms: Terms, on_step: OnStep) -> bytes:
        """Write the request, read the reply, and meanwhile look at what the worker takes."""
        about, deadline = terms.about, terms.deadline
        requests, replies, errors = (pipe.fileno() for pipe in self._pipes)
        to_send, reply = memoryview(request), bytearray()
        look = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(requests, selectors.EVENT_WRITE)
            selector.register(replies, selectors.EVENT_READ)
            selector.register(errors, selectors.EVENT_READ)
            while not _is_whole(reply):
                now = time.monotonic()
                if now >= deadline:
                    raise PluginLimitExceeded(f"{about}: it took more than {terms.allowed}")
                if now >= look:
                    self._check_use(about)
                    # a large directory is looked at less often
                    look = time.monotonic() + max(_TICK, 5 * (time.monotonic() - now))
                for key, _ in selector.select(max(0, min(deadline, look) - now)):
                    if key.fd == requests:
                        to_send = to_send[os.write(requests, to_send) :]
                        if not to_send:
                            selector.unregister(requests)
                        continue
                    data = os.read(key.fd, _LARGEST_READ)
                    if key.fd == replies and not data:
                        raise self._crashed(about)
                    if not data:
                        selector.unregister(errors)
                    elif key.fd == errors:
                        self._said = (self._said + data)[-_KEPT:]
                    else:
                        reply += data
                        _take_steps(reply, on_step)
                        _check_length(reply, about)
        self._check_use(about)
        return bytes(reply[messages.HEAD.size :])

    def _crashed(self, about: str) -> MirrorError:
        self.kill()
        status = self._child.wait()
        with suppress(OSError):
            self._said = (self._said + os.read(self._pipes[2].fileno(), _LARGEST_READ))[-_KEPT:]
        how = f"with status {status}"
        if status < 0:
            with suppress(ValueError):
                how = f"by {signal.Signals(-status).name}"
        lines = self._said.decode(errors="replace").strip().splitlines()
        last = f": {clean(lines[-1], 300)}" if lines else ""
        return PluginCrashed(f"{about}: its process ended {how}{last}")

    # --- watching ---------------------------------------------------------------------------------

    def _check_use(self, about: str) -> None:
        start = self.start
        if not start.confined:
            return
        if size_of(self.scratch) > start.disk:
            raise PluginLimitExceeded(f"{about}: it wrote more than {size_text(start.disk)}")
        if memory_of(self._child.pid) > start.memory:
            raise PluginLimitExceeded(f"{about}: it took more than {size_text(start.memory)}")


def size_text(size: int) -> str:
    """Write a size in bytes as the settings do: `20 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size % 1024 or unit == "TiB":
            return f"{size:,} {unit}"
        size //= 1024
    raise AssertionError


def size_of(folder: Path) -> int:
    """Return how much of the disk the files below a directory take, in bytes."""
    total = 0
    pending = [os.fspath(folder)]
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as entries:  # it changes under our eyes
            for entry in entries:
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
    return total


def remove_tree(folder: Path) -> None:
    """Remove a file, or a directory of which a plugin may have changed the modes."""
    if folder.is_dir() and not folder.is_symlink():
        folder.chmod(0o700)
        for where, folders, _ in os.walk(folder):
            for name in folders:
                each = Path(where, name)
                with suppress(OSError):
                    if not each.is_symlink():
                        each.chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
    else:
        folder.unlink(missing_ok=True)


def memory_of(process: int) -> int:
    """Return how much memory of their own a process and its descendants have, in bytes."""
    here = Path(f"/proc/{process}")
    own = ("RssAnon:", "RssShmem:")
    total = 0
    with suppress(OSError):  # it may end while we look
        lines = (here / "status").read_text(encoding="ascii", errors="replace").splitlines()
        total = sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(own))
        for thread in (here / "task").iterdir():
            children = (thread / "children").read_text(encoding="ascii").split()
            total += sum(memory_of(int(child)) for child in children)
    return total


def _is_whole(reply: bytearray) -> bool:
    size = messages.HEAD.size
    return len(reply) >= size and len(reply) >= size + messages.HEAD.unpack_from(reply)[0]


def _take_steps(reply: bytearray, on_step: OnStep) -> None:
    """Take whole messages that are no more than a `Step` off the front, and pass them on."""
    while on_step is not None and _is_whole(reply):
        head = messages.HEAD.size
        [length] = messages.HEAD.unpack_from(reply)
        if length > _LONGEST_STEP:
            return
        try:
            step = _reply.decode(reply[head : head + length])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return  # who reads the reply says so, and about what
        if not isinstance(step, Step):
            return
        del reply[: head + length]
        on_step(step)


def _check_length(reply: bytearray, about: str) -> None:
    if len(reply) < messages.HEAD.size:
        return
    [length] = messages.HEAD.unpack_from(reply)
    if length > messages.MAX_REPLY:
        raise PluginLimitExceeded(f"{about}: it has {length:,} bytes to say")
    if len(reply) > messages.HEAD.size + length:
        raise PluginCrashed(f"{about}: its process said more than it was asked")


def _understood(body: bytes, expected: type[R], about: str) -> R:
    try:
        reply = _reply.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PluginCrashed(f"{about}: its process said what is no reply: {error}") from None
    if isinstance(reply, Failed):
        remedy = clean(reply.remedy, 1000)
        raise _KINDS[reply.kind](f"{about}: {clean(reply.what, 1000)}", remedy=remedy)
    if not isinstance(reply, expected):
        raise PluginCrashed(f"{about}: its process gave an answer to something else")
    return reply


_KINDS: dict[str, type[MirrorError]] = {
    "raised": PluginError,
    "unreadable": ManifestUnreadable,
    "refused": ImageNotBuildable,
    "limit": PluginLimitExceeded,
    "trespass": PluginTrespassed,
}
