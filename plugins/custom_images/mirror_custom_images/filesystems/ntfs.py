"""NTFS, read with libfsntfs: the content of files without their other streams."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

import pyfsntfs

from mirror.formats import FormatError
from mirror_custom_images.entries import Entry
from mirror_custom_images.filesystems.libyal import DiskFile, Stream
from mirror_custom_images.filesystems.limits import TreeLimits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from mirror_custom_images.disks.disk import Disk

_SYSTEM_RECORDS = 16
"""The first records of the MFT are the file system's own files: `$MFT`, `$Boot`, `$Extend`."""
_VOLUME_RECORD = 3
_RECORD = (1 << 48) - 1
"""The part of a file reference that is the number of the record; the rest tells its uses apart."""

_VOLUME_INFORMATION = 0x70
_DIRTY = 0x1
_REPARSE_POINT = 0x400
_ENCRYPTED = 0x4000

_EPOCH = 11_644_473_600 * 10**7
"""Steps of 100 ns from 1601, where the clock of Windows starts, to 1970."""

_HIBERNATED = (b"hibr", b"HIBR")


class _Record(Protocol):
    """What is asked of the library's `file_entry`; each may raise whatever it does."""

    file_attribute_flags: int | None
    file_reference: int
    name: str | None
    number_of_sub_file_entries: int
    size: int | None
    symbolic_link_target: str | None

    def get_modification_time_as_integer(self) -> int: ...
    def get_sub_file_entry(self, index: int) -> _Record: ...
    def has_directory_entries_index(self) -> bool: ...
    def read_buffer_at_offset(self, size: int, offset: int) -> bytes: ...


class Ntfs:
    """A volume. Owners and modes are as Linux shows them without a map: root's, open to all.

    Names are told apart without case. A hard link is listed as a file of its own.
    """

    kind = "ntfs"

    def __init__(self, disk: Disk) -> None:
        """Raise `FormatError` where it can't be opened."""
        self._file = DiskFile(disk)
        self._volume = pyfsntfs.volume()
        with self._file.reading("the volume"):
            self._volume.open_file_object(self._file)
            self._root = self._volume.get_root_directory()
            self.label = self._volume.name or ""

    @property
    def is_dirty(self) -> bool:
        """Whether Windows would check it at the next start: it was not shut down."""
        with self._file.reading("$Volume"):
            attributes = self._volume.get_file_entry(_VOLUME_RECORD).attributes
            for each in attributes:
                if each.attribute_type == _VOLUME_INFORMATION:
                    return bool(each.flags & _DIRTY)
        raise FormatError("is damaged: $Volume has no information on the volume")

    @property
    def is_hibernated(self) -> bool:
        """Whether Windows sleeps on it (or was shut down with fast startup): Linux won't mount it.

        Its state, in memory, is in a file then.
        """
        entry = self.find("hiberfil.sys")
        return entry is not None and entry.open().read(4) in _HIBERNATED

    def find(self, path: str) -> Entry | None:
        """See `FileSystem.find`."""
        found = self._find(path)
        return None if found is None else self._entry(found[1], found[0])

    def list(self, path: str) -> Iterator[Entry]:
        """See `FileSystem.list`."""
        found = self._find(path)
        if found is None or not _is_directory(found[1], self._file):
            return
        where = "" if found[0] == "." else f"{found[0]}/"
        for name, child in self._children(found[1], found[0], TreeLimits()):
            yield self._entry(child, where + name)

    def walk(self) -> Iterator[Entry]:
        """See `FileSystem.walk`."""
        limits = TreeLimits()
        limits.enter(".", self._reference(self._root, "."))
        yield self._entry(self._root, ".")
        below = [self._children(self._root, ".", limits)]
        names: list[str] = []
        while below:
            found = next(below[-1], None)
            if found is None:
                below.pop()
                names = names[:-1]
                continue
            path = "/".join([*names, found[0]])
            entry = self._entry(found[1], path)
            yield entry
            if entry.kind == "dir":
                limits.enter(path, self._reference(found[1], path))
                below.append(self._children(found[1], path, limits))
                names.append(found[0])

    def _find(self, path: str) -> tuple[str, _Record] | None:
        """Return the path as the names in it are written, and what is there."""
        here, names, wanted = self._root, [], ""
        for name in path.strip("/").split("/"):
            if name in ("", "."):
                continue
            if name == ".." or "\\" in name or "\0" in name:
                return None
            wanted += f"\\{name}"
            with self._file.reading(path):
                here = self._volume.get_file_entry_by_path(wanted) if _in(here) else None
                if here is None or here.file_reference & _RECORD < _SYSTEM_RECORDS:
                    return None
                names.append(here.name or "")
        return "/".join(names) or ".", here

    def _children(
        self, entry: _Record, path: str, limits: TreeLimits
    ) -> Iterator[tuple[str, _Record]]:
        with self._file.reading(path):
            count = entry.number_of_sub_file_entries
        limits.add(count)
        found = []
        for index in range(count):
            with self._file.reading(path):
                child = entry.get_sub_file_entry(index)
                name, number = child.name or "", child.file_reference & _RECORD
            if number >= _SYSTEM_RECORDS and name not in (".", ".."):
                found.append((limits.name(name, path), child))
        found.sort(key=lambda each: each[0])
        yield from found

    def _reference(self, entry: _Record, path: str) -> int:
        with self._file.reading(path):
            return int(entry.file_reference)

    def _entry(self, entry: _Record, path: str) -> Entry:
        with self._file.reading(path):
            flags = entry.file_attribute_flags or 0
            target = entry.symbolic_link_target if flags & _REPARSE_POINT else None
            mtime = (entry.get_modification_time_as_integer() - _EPOCH) * 100
            if target is not None:
                return Entry(
                    path=path, kind="symlink", mode=0o777, mtime=mtime, target=_forward(target)
                )
            if _in(entry):
                return Entry(path=path, kind="dir", mode=0o777, mtime=mtime)
            size = int(entry.size or 0)

        def open_it() -> BinaryIO:
            if flags & _ENCRYPTED:
                raise FormatError(f"has {path} encrypted")
            return io.BufferedReader(Stream(self._file, entry, size, path), 1 << 16)

        return Entry(path=path, kind="file", size=size, mode=0o777, mtime=mtime, open=open_it)


def _in(entry: _Record) -> bool:
    """Say whether something can be in it."""
    return bool(entry.has_directory_entries_index())


def _is_directory(entry: _Record, file: DiskFile) -> bool:
    with file.reading("an entry"):
        return _in(entry)


def _forward(target: str) -> str:
    return target.removeprefix("\\??\\").replace("\\", "/")
