"""A tree of files that a FAT file system is to hold: what may be in it, what room it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirror.api import BuildRefused
from mirror_custom_images.filesystems.fat import MAX_DIRECTORY
from mirror_custom_images.filesystems.fat_geometry import SLOT
from mirror_custom_images.filesystems.fat_names import DIRECTORY
from mirror_custom_images.filesystems.fat_new_names import (
    check_name,
    long_slots,
    short_name,
    short_slot,
    slots_needed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror_custom_images.entries import Entry

_ARCHIVE = 0x20
_MOST = 0xFFFFFFFF
_MAX_DEPTH = 32


@dataclass
class Node:
    """What is to be written: a file with its entry, or a directory with what is in it."""

    name: str
    entry: Entry | None = None
    inside: dict[str, Node] | None = None
    short: bytes = b""
    clusters: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of content, or of slots."""
        if self.inside is None:
            return self.entry.size if self.entry else 0
        return SLOT * (
            2 + sum(slots_needed(each.name, each.short) for each in self.inside.values())
        )

    @property
    def mtime(self) -> int:
        """Nanoseconds."""
        return self.entry.mtime if self.entry else 0

    def slots(self) -> bytes:
        """Return its slots in the directory that it is in."""
        return long_slots(self.name, self.short) + short_slot(self.short, *self.facts())

    def facts(self) -> tuple[int, int, int, int]:
        """Return what a slot says: attributes, first cluster, size and time."""
        first = self.clusters[0] if self.clusters else 0
        if self.inside is None:
            return _ARCHIVE, first, self.size, self.mtime
        return DIRECTORY, first, 0, self.mtime


def tree_of(at: str, entries: Iterable[Entry]) -> Node:
    """Return what is to be at a path. Raises `BuildRefused` for what a FAT can't hold."""
    name = names_of(at)[-1]
    top = Node(name, inside={})
    for entry in entries:
        if entry.kind not in ("file", "dir"):
            raise BuildRefused(
                f"{entry.path} is a {entry.kind}, which a FAT can't hold",
                "Put a file in its place.",
            )
        if entry.size > _MOST:
            raise BuildRefused(f"{entry.path} has {entry.size:,} bytes", "A FAT holds up to 4 GiB.")
        if entry.path != ".":
            _add(top, entry)
        elif entry.kind == "file":
            return Node(name, entry)
        else:
            top.entry = entry
    return top


def _add(top: Node, entry: Entry) -> None:
    names = names_of(entry.path)
    if len(names) > _MAX_DEPTH:
        raise BuildRefused(f"{entry.path} is {len(names)} directories deep", "Flatten the tree.")
    node = top
    for depth, name in enumerate(names, 1):
        check_name(name)
        inside = node.inside
        if inside is None:
            raise BuildRefused(f"{entry.path} is below a file", "Rename one of them.")
        found = inside.get(name.lower())
        last = depth == len(names)
        if found is None:
            found = Node(name, inside={})
            inside[name.lower()] = found
        elif last and (entry.kind == "file" or found.entry or found.inside is None):
            raise BuildRefused(f"{entry.path} is there twice, for a FAT", "Rename one of them.")
        elif found.name != name:
            raise BuildRefused(
                f"{entry.path} has a directory that is spelt {found.name} too", "Spell it one way."
            )
        if last:
            found.entry = entry
            found.inside = None if entry.kind == "file" else found.inside
        node = found


def with_parents(tree: Node, at: str, depth: int) -> Node:
    """Return the tree in the directories that are not there yet."""
    for name in reversed(names_of(at)[depth:-1]):
        tree = Node(name, inside={tree.name.lower(): tree})
    return tree


def name_all(top: Node, taken: set[bytes]) -> None:
    """Give each its short name, which no other in its directory has."""
    top.short = short_name(top.name, taken)
    waiting = [top]
    while waiting:
        inside = waiting.pop().inside or {}
        used: set[bytes] = set()
        for each in inside.values():
            each.short = short_name(each.name, used)
            used.add(each.short)
        waiting += inside.values()


def clusters_needed(top: Node, cluster: int) -> int:
    """Return how many clusters a tree takes."""
    if top.inside is not None and top.size > MAX_DIRECTORY:
        raise BuildRefused(f"{top.name} has too many files for one directory", "Split it.")
    below = sum(clusters_needed(each, cluster) for each in (top.inside or {}).values())
    return -(-top.size // cluster) + below


def names_of(path: str) -> list[str]:
    """Return the parts of a path."""
    return [name for name in path.split("/") if name not in ("", ".")]
