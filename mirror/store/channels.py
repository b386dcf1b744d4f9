"""Channels: a file with the id of a snapshot, replaced atomically, and its history beside it.

Also beside it (`.NAME.licences`) are the licences that it allows, a word a line; with none of such
a file it allows none.

A switch is written to the history (`.NAME.history`, a line of JSON each) before the pointer is
replaced; an entry that the pointer never followed, because of a crash between the two, is left out
when the history is read.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from mirror.access.licences import GRANTABLE
from mirror.errors import ChannelMoved, NameInvalid, NotFound
from mirror.model import Switch, utcnow
from mirror.store.durable import append_line, disk_errors, sync_dir, write_atomic
from mirror.store.locks import file_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, timedelta
    from pathlib import Path

    from mirror.store.snapshots import Snapshots

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Channels:
    """The channels of one data directory, which point at snapshots of `snapshots`."""

    def __init__(self, root: Path, snapshots: Snapshots) -> None:
        self.root = root
        self._snapshots = snapshots

    def names(self) -> list[str]:
        """Return the name of every channel, sorted."""
        with disk_errors(self.root):
            names = [entry.name for entry in self.root.iterdir() if entry.is_file()]
        return sorted(name for name in names if _NAME.fullmatch(name))

    def path(self, name: str) -> Path:
        """Return the channel's pointer file: a switch replaces it. Raises NameInvalid."""
        if not _NAME.fullmatch(name):
            raise NameInvalid(f"{name[:80]!r} can't be the name of a channel")
        return self.root / name

    def current(self, name: str) -> str | None:
        """Return the id of the channel's snapshot; None when there is no such channel."""
        path = self.path(name)
        with disk_errors(path):
            try:
                return path.read_text().strip() or None
            except FileNotFoundError:
                return None

    def switch(
        self,
        name: str,
        snapshot_id: str,
        reason: str,
        *,
        at: datetime | None = None,
        by: str = "",
        origin: str = "",
        job: int = 0,
        expected: str | None = None,
    ) -> Switch:
        """Point the channel at a snapshot, durably; makes the channel if there is none.

        `expected` is where it has to be now ('': there is no such channel), for a caller that chose
        the snapshot by that. Raises ChannelMoved when it is not, NotFound when there is no such
        snapshot, NameInvalid, NoSpace, DataDirNotWritable.
        """
        pointer = self.path(name)
        with self.lock():
            if not self._snapshots.has(snapshot_id):
                raise NotFound(f"there is no snapshot {snapshot_id} to point {name} at")
            previous = self.current(name) or ""
            if expected is not None and previous != expected:
                raise ChannelMoved(
                    f"channel {name} was pointed at {previous or 'nothing'} just now"
                )
            switch = Switch(
                at=at or utcnow(),
                snapshot=snapshot_id,
                previous=previous,
                reason=reason,
                by=by,
                origin=origin,
                job=job,
            )
            append_line(self._history_file(name), msgspec.json.encode(switch))
            write_atomic(pointer, f"{snapshot_id}\n".encode())
        return switch

    def remove(self, name: str) -> None:
        """Remove a channel and its history. Raises NotFound, NameInvalid."""
        pointer = self.path(name)
        with self.lock(), disk_errors(pointer):
            if not pointer.exists():
                raise NotFound(f"there is no channel {name}")
            # the history first: a pointer with none is whole, a history alone would be inherited
            self._history_file(name).unlink(missing_ok=True)
            self._licences_file(name).unlink(missing_ok=True)
            pointer.unlink()
            sync_dir(self.root)

    def licences(self, name: str) -> frozenset[str]:
        """Return which licences the channel allows: images of others are not to be had from it."""
        path = self._licences_file(name)
        with disk_errors(path):
            try:
                words = path.read_text(errors="replace").split()
            except FileNotFoundError:
                return frozenset()
        return frozenset(words).intersection(GRANTABLE)

    def change_licences(
        self, name: str, *, allow: Iterable[str] = (), disallow: Iterable[str] = ()
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Let the channel allow more licences, or fewer; return which it did and does, durably.

        Raises NotFound, NameInvalid, NoSpace, DataDirNotWritable.
        """
        with self.lock():
            if self.current(name) is None:
                raise NotFound(f"there is no channel {name}")
            before = self.licences(name)
            after = (before | frozenset(allow)) - frozenset(disallow)
            if after != before:
                text = "".join(f"{word}\n" for word in sorted(after))
                write_atomic(self._licences_file(name), text.encode())
        return before, after

    def history(self, name: str) -> list[Switch]:
        """Return the switches of the channel that took effect, oldest first."""
        happened: list[Switch] = []
        then = self.current(name)
        for switch in reversed(self._read_history(name)):
            if switch.snapshot == then:
                happened.append(switch)
                then = switch.previous
        return happened[::-1]

    def live(self, name: str, grace: timedelta, now: datetime | None = None) -> list[str]:
        """Return the snapshots whose paths the channel answers for, the current one first.

        The others were superseded less than `grace` ago, newest first, and still exist.
        """
        current = self.current(name)
        if current is None:
            return []
        since = (now or utcnow()) - grace
        live = [current]
        for switch in reversed(self.history(name)):
            if switch.at <= since:
                break
            if switch.previous and switch.previous not in live:
                live.append(switch.previous)
        return [each for each in live if each == current or self._snapshots.has(each)]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every channel as it is, for a moment: no switch, no removal of a snapshot."""
        with file_lock(self.root / ".lock"):
            yield

    def _licences_file(self, name: str) -> Path:
        return self.path(name).with_name(f".{name}.licences")

    def _history_file(self, name: str) -> Path:
        return self.root / f".{name}.history"

    def _read_history(self, name: str) -> list[Switch]:
        path = self._history_file(name)
        with disk_errors(path):
            try:
                lines = path.read_bytes().splitlines()
            except FileNotFoundError:
                return []
        return [switch for line in lines if (switch := _decode(line)) is not None]


def _decode(line: bytes) -> Switch | None:
    try:
        return msgspec.json.decode(line, type=Switch)
    except msgspec.MsgspecError:
        # a crash cut the line short: that switch did not happen
        return None
