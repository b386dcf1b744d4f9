"""A reader of FAT12, FAT16 and FAT32 with long names, which is what an ESP has.

Nothing that it reads is trusted: a chain with a loop, a directory in two places, a size that lies
and a name that can't be raise `FormatError`, in bounded time and memory.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from mirror.formats import FormatError
from mirror_custom_images.entries import Entry
from mirror_custom_images.filesystems.fat_geometry import SLOT, read_geometry
from mirror_custom_images.filesystems.fat_names import (
    READ_ONLY,
    Slot,
    as_text,
    label_of,
    read_slots,
)
from mirror_custom_images.filesystems.fat_table import Clusters, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.disks.disk import Disk

MAX_DIRECTORY = 65_536 * SLOT
"""Bytes: no directory is larger by the format's own rules, and Linux reads none that is."""
MAX_ENTRIES = 100_000
"""Files and directories in one file system; an ESP has some hundred."""
_MAX_PATH = 4096
_MAX_READ = 128 * 1024**2
"""Bytes of directories that one walk reads, free slots among them."""
_BUFFER = 256 * 1024


class Fat:
    """A FAT file system on a disk, or a part of one."""

    kind = "vfat"

    def __init__(self, disk: Disk) -> None:
        """Read its boot sector. Raises `FormatError` where there is none, or it can't be."""
        self.disk = disk
        self.geometry = read_geometry(disk)
        self.table = Table(disk, self.geometry)

    @property
    def label(self) -> str:
        """The volume's name: the one in the root directory, else that in the boot sector."""
        found = as_text(label_of(self.pieces(None)) or self.geometry.label)
        return "" if found == "NO NAME" else found

    def find(self, path: str) -> Entry | None:
        """See `FileSystem.find`; a short name is found as well, and names have no case."""
        found = self.look_up(path)
        return self._entry(*found) if found else None

    def list(self, path: str) -> Iterator[Entry]:
        """See `FileSystem.list`."""
        found = self.look_up(path)
        if found is None or (found[0] is not None and not found[0].is_dir):
            return
        for slot in sorted(self.slots(found[0]), key=_by_name):
            yield self._entry(slot, _below(found[1], slot))

    def walk(self) -> Iterator[Entry]:
        """See `FileSystem.walk`."""
        for slot, path in self.tree():
            yield self._entry(slot, path)

    def tree(self) -> Iterator[tuple[Slot | None, str]]:
        """Yield each slot and its path, in the order of `walk`; the first, None, is the root."""
        seen = _Directories(self)
        # The path of what is above, which all in a directory share: a long one is there once.
        waiting: list[tuple[Slot | None, str]] = [(None, "")]
        count = 0
        while waiting:
            slot, above = waiting.pop()
            path = _below(above, slot) if slot else ""
            yield slot, path
            if slot is not None and not slot.is_dir:
                continue
            seen.enter(slot, path)
            inside = sorted(self.slots(slot), key=_by_name, reverse=True)
            waiting += [(each, path) for each in inside]
            count += len(inside)
            if count > MAX_ENTRIES:
                raise FormatError(f"has more than {MAX_ENTRIES:,} files")

    def look_up(self, path: str) -> tuple[Slot | None, str] | None:
        """Return the slot at a path (None: the root), and the path as it is spelt there.

        None where there is nothing.
        """
        slot: Slot | None = None
        spelt = ""
        for name in path.split("/"):
            if name in ("", "."):
                continue
            if slot is not None and not slot.is_dir:
                return None
            slot = next((each for each in self.slots(slot) if each.is_called(name)), None)
            if slot is None:
                return None
            spelt = _below(spelt, slot)
        return slot, spelt

    def slots(self, directory: Slot | None) -> Iterator[Slot]:
        """Yield what is in a directory (None: the root), in its own order."""
        return read_slots(self.pieces(directory), wide=self.geometry.bits == 32)

    def pieces(self, directory: Slot | None) -> Iterator[bytes]:
        """Yield the slots of a directory as they are, a cluster at once."""
        geometry = self.geometry
        if directory is None and not geometry.root_cluster:
            yield self.disk.read(geometry.root_at, geometry.root_size)
            return
        read = 0
        for cluster in self.table.chain(directory.cluster if directory else geometry.root_cluster):
            read += geometry.cluster
            if read > MAX_DIRECTORY:
                raise FormatError(f"is a damaged FAT: a directory of over {MAX_DIRECTORY:,} bytes")
            yield self.disk.read(geometry.at(cluster), geometry.cluster)

    def _entry(self, slot: Slot | None, path: str) -> Entry:
        if slot is None:
            return Entry(path=".", kind="dir", mode=0o755)
        mode = 0o555 if slot.attributes & READ_ONLY else 0o755
        when = _nanoseconds(slot.date, slot.time)
        if slot.is_dir:
            return Entry(path=path, kind="dir", mode=mode, mtime=when)
        return Entry(
            path=path,
            kind="file",
            size=slot.size,
            mode=mode,
            mtime=when,
            open=partial(self._open, slot, path),
        )

    def _open(self, slot: Slot, path: str) -> BinaryIO:
        if slot.size and not slot.cluster:
            raise FormatError(f"is a damaged FAT: {path} has {slot.size:,} bytes, and no clusters")
        if slot.size > self.geometry.clusters * self.geometry.cluster:
            raise FormatError(f"is a damaged FAT: {path} says that it has {slot.size:,} bytes")
        raw = _Content(self, slot, path)
        return cast("BinaryIO", io.BufferedReader(raw, _BUFFER))


class _Content(io.RawIOBase):
    """The content of a file, read along its chain."""

    def __init__(self, fat: Fat, slot: Slot, path: str) -> None:
        super().__init__()
        self._fat = fat
        self._slot = slot
        self._path = path
        self._at = 0
        self._restart()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._slot.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        want = min(len(buffer), self._slot.size - self._at)
        if want <= 0:
            return 0
        data = self._run(want)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _restart(self) -> None:
        self._chain = self._fat.table.chain(self._slot.cluster)
        self._index = -1
        self._cluster = 0

    def _run(self, want: int) -> bytes:
        """Read up to so many bytes that lie in clusters one behind the other."""
        size = self._fat.geometry.cluster
        index, within = divmod(self._at, size)
        if index < self._index:
            self._restart()
        while self._index < index:
            self._step()
        start = self._fat.geometry.at(self._cluster) + within
        room = size - within
        while room < want:
            before = self._cluster
            self._step()
            if self._cluster != before + 1:
                break
            room += size
        return self._fat.disk.read(start, min(room, want))

    def _step(self) -> None:
        cluster = next(self._chain, None)
        if cluster is None:
            had = (self._index + 1) * self._fat.geometry.cluster
            raise FormatError(
                f"is a damaged FAT: {self._path} is cut, {had:,} bytes of {self._slot.size:,}"
            )
        self._cluster, self._index = cluster, self._index + 1


class _Directories:
    """Those that a walk has been in: a tree has each of them in one place."""

    def __init__(self, fat: Fat) -> None:
        self._fat = fat
        self._seen = Clusters(fat.geometry)
        self._read = 0

    def enter(self, slot: Slot | None, path: str) -> None:
        """Raise `FormatError` where a directory was seen before, or it never ends."""
        geometry = self._fat.geometry
        if len(path) > _MAX_PATH:
            raise FormatError(f"has directories in each other, {path.count('/')} deep")
        if slot is None and not geometry.root_cluster:
            return
        for cluster in self._fat.table.chain(slot.cluster if slot else geometry.root_cluster):
            self._read += geometry.cluster
            if self._read > _MAX_READ:
                raise FormatError(f"has more than {_MAX_READ:,} bytes of directories")
            if not self._seen.add(cluster):
                raise FormatError(f"is a damaged FAT: {path} is in two places")


def _by_name(slot: Slot) -> str:
    return slot.name


def _below(path: str, slot: Slot) -> str:
    return f"{path}/{slot.name}" if path else slot.name


def _nanoseconds(date: int, time: int) -> int:
    """Return when that is, taken as UTC; 0 where it is no date."""
    try:
        when = datetime(
            1980 + (date >> 9),
            date >> 5 & 0xF,
            date & 0x1F,
            time >> 11,
            time >> 5 & 0x3F,
            (time & 0x1F) * 2,
            tzinfo=UTC,
        )
    except ValueError:
        return 0
    return int(when.timestamp()) * 1_000_000_000
