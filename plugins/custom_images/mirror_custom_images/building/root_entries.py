"""The entries of a root file system, with those of what is mounted into it, and cleaned."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mirror_custom_images.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mirror_custom_images.filesystems.filesystem import FileSystem

_OF_THE_FILE_SYSTEM = "lost+found"
"""A directory that belongs to the file system, not to what is in it."""

_DROPPED = (
    "etc/ssh/ssh_host_*_key",
    "etc/ssh/ssh_host_*_key.pub",
    "home/*/.bash_history",
    "root/.bash_history",
    "run/*",
    "tmp/*",
    "var/lib/cloud/*",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/tmp/*",
)
_EMPTIED = frozenset(
    {"etc/machine-id", "etc/fstab", "var/log/btmp", "var/log/lastlog", "var/log/wtmp"}
)
"""Files that must be there, and with nothing in them."""
_LOGS = "var/log/"
"""Of which the directories stay: a service does not make its own."""


def merged(system: FileSystem, mounts: Mapping[str, FileSystem]) -> Iterator[Entry]:
    """Yield a root's entries; below each path of `mounts`, those of what is mounted there."""
    reached: set[str] = set()
    yield from _below(system, "", mounts, reached)
    for path in sorted(mounts.keys() - reached):
        folders = path.split("/")
        for depth in range(1, len(folders)):
            folder = "/".join(folders[:depth])
            if system.find(folder) is None:
                yield Entry(path=folder, kind="dir", mode=0o755)
        yield from _below(mounts[path], path, mounts, reached)


def cleaned(entries: Iterator[Entry], find: Callable[[str], Entry | None]) -> Iterator[Entry]:
    """Leave out what belongs to one machine: identity, keys, logs, the state of cloud-init.

    etc/fstab is emptied, as names of this disk are in it. `find` returns a file by its path: one
    of which the first name is left out, and another is not.
    """
    moved: dict[str, str] = {}
    for entry in entries:
        if _is_dropped(entry):
            continue
        if entry.path in _EMPTIED and entry.kind in ("file", "hardlink"):
            yield replace(entry, kind="file", size=0, target="", open=_EMPTY)
        elif entry.kind == "hardlink" and _loses_first(entry):
            first = moved.setdefault(entry.target, entry.path)
            whole = find(entry.target) if first == entry.path else None
            yield replace(whole, path=first) if whole else replace(entry, target=first)
        else:
            yield entry


_EMPTY = Entry(path="", kind="file").open


def _is_dropped(entry: Entry) -> bool:
    if entry.path.startswith(_LOGS):
        return entry.kind != "dir" and entry.path not in _EMPTIED
    return any(fnmatchcase(entry.path, pattern) for pattern in _DROPPED)


def _loses_first(entry: Entry) -> bool:
    return entry.target in _EMPTIED or _is_dropped(replace(entry, path=entry.target))


def _below(
    system: FileSystem, base: str, mounts: Mapping[str, FileSystem], reached: set[str]
) -> Iterator[Entry]:
    """Yield what is in a file system that is mounted at `base` ('': it is the root)."""
    reached.add(base)
    hidden = ""
    for entry in system.walk():
        path = entry.path
        if base:
            path = base if path == "." else f"{base}/{path}"
        if hidden and path.startswith(hidden):
            continue
        if entry.path == _OF_THE_FILE_SYSTEM:
            hidden = path + "/"
        elif path in mounts and path != base and entry.kind == "dir":
            yield from _below(mounts[path], path, mounts, reached)
            hidden = path + "/"
        elif base:
            target = f"{base}/{entry.target}" if entry.kind == "hardlink" else entry.target
            yield replace(entry, path=path, target=target)
        else:
            yield entry
