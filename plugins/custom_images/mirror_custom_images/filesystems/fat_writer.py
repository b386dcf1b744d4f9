"""Write a file, or a tree of them, into a FAT file system that is there, in place.

The new tree is written into free clusters, then their chains into the tables; one slot in a
directory that was there before makes it seen, at once and whole; only then is what it replaces
given back. Where the machine stops in between, clusters are lost that belong to nothing, and what
was there before is as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirror.api import BuildRefused
from mirror.formats import FormatError
from mirror_custom_images.filesystems.fat import MAX_DIRECTORY, Fat
from mirror_custom_images.filesystems.fat_check import check_fat, clusters_of
from mirror_custom_images.filesystems.fat_geometry import SLOT
from mirror_custom_images.filesystems.fat_names import DIRECTORY
from mirror_custom_images.filesystems.fat_new_names import (
    check_name,
    long_slots,
    short_name,
    short_slot,
    slots_needed,
)
from mirror_custom_images.filesystems.fat_volume import Volume, open_region

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from mirror_custom_images.entries import Entry
    from mirror_custom_images.filesystems.fat_names import Slot

_ARCHIVE = 0x20
_MOST = 0xFFFFFFFF
_MAX_DEPTH = 32
_DELETED = 0xE5
_CASE = 12
"""Where a slot says which parts of its short name are in lower case."""
_DOT, _DOTS = b".".ljust(11), b"..".ljust(11)


@dataclass
class _Node:
    """What is to be written: a file with its entry, or a directory with what is in it."""

    name: str
    entry: Entry | None = None
    inside: dict[str, _Node] | None = None
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


def put(
    file: Path, start: int, size: int, at: str, entries: Iterable[Entry], *, replace: bool = False
) -> None:
    """Write into the FAT file system of `size` bytes that is `start` bytes into a file.

    `at` is the path of what is new: a directory with the `entries`, whose paths are below it; or a
    file, when the only entry is one with the path `.`. Directories that lead to it are made.

    Raises `BuildRefused`, with nothing written, where something is there already and is not to be
    replaced, where there is no room for both, or for what a FAT can't hold; `FormatError` where
    the file system is damaged.
    """
    if not _names(at):
        raise BuildRefused("the root is no place for a file", "Name a path below it.")
    with open_region(file, start, size) as region:
        fat = Fat(region)
        check_fat(fat)
        volume = Volume(region, fat.geometry)
        parent, old = _place(fat, at, replace=replace)
        tree = _tree(at, entries)
        top = _missing_parents(tree, at, parent.depth)
        _name_all(top, taken=parent.shorts)
        link = _Link(fat, volume, parent, top, old)
        _check_room(volume, _needed(top, fat.geometry.cluster) + link.growth)
        link.grow()
        _write(volume, top, parent.cluster)
        link.write_growth()
        region.flush()
        volume.write_table()
        region.flush()
        link.lengthen()
        link.write()
        region.flush()
        if old is not None:
            volume.release(clusters_of(fat, old))
            volume.write_table()
        volume.write_fsinfo()
        region.flush()


# --- what is to be written ------------------------------------------------------------------------


def _tree(at: str, entries: Iterable[Entry]) -> _Node:
    name = _names(at)[-1]
    top = _Node(name, inside={})
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
            return _Node(name, entry)
        else:
            top.entry = entry
    return top


def _add(top: _Node, entry: Entry) -> None:
    names = _names(entry.path)
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
            found = _Node(name, inside={})
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


def _missing_parents(tree: _Node, at: str, depth: int) -> _Node:
    """Return the tree in the directories that are not there yet."""
    for name in reversed(_names(at)[depth:-1]):
        tree = _Node(name, inside={tree.name.lower(): tree})
    return tree


def _name_all(top: _Node, taken: set[bytes]) -> None:
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


def _needed(top: _Node, cluster: int) -> int:
    """Return how many clusters a tree takes."""
    if top.inside is not None and top.size > MAX_DIRECTORY:
        raise BuildRefused(f"{top.name} has too many files for one directory", "Split it.")
    below = sum(_needed(each, cluster) for each in (top.inside or {}).values())
    return -(-top.size // cluster) + below


def _check_room(volume: Volume, needed: int) -> None:
    if needed > volume.free:
        size = volume.geometry.cluster
        raise BuildRefused(
            f"its FAT file system has no room: {needed * size:,} bytes are needed, "
            f"{volume.free * size:,} are free",
            "Make the partition larger, or remove what it does not need; what is replaced is given "
            "back only when the new is whole.",
        )


# --- where it goes --------------------------------------------------------------------------------


@dataclass
class _Parent:
    """The directory, there already, that gets a slot; `depth` is how many names lead to it."""

    slot: Slot | None
    depth: int
    shorts: set[bytes]

    @property
    def cluster(self) -> int:
        """What `..` of a directory in it says: 0 for the root, in FAT32 too."""
        return self.slot.cluster if self.slot else 0


def _place(fat: Fat, at: str, *, replace: bool) -> tuple[_Parent, Slot | None]:
    """Return the directory that the tree goes to, and what is there now."""
    *above, last = _names(at)
    for name in (*above, last):
        check_name(name)
    folder: Slot | None = None
    for depth, name in enumerate(above):
        found = _called(fat, folder, name)
        if found is None:
            return _Parent(folder, depth, _shorts(fat, folder)), None
        if not found.is_dir:
            raise BuildRefused(f"{'/'.join(above[: depth + 1])} is a file", "Remove it first.")
        folder = found
    old = _called(fat, folder, last)
    if old is not None and not replace:
        raise BuildRefused(f"there is a {at} already", "Say that it is to be replaced.")
    return _Parent(folder, len(above), _shorts(fat, folder)), old


def _called(fat: Fat, folder: Slot | None, name: str) -> Slot | None:
    return next((each for each in fat.slots(folder) if each.is_called(name)), None)


def _shorts(fat: Fat, folder: Slot | None) -> set[bytes]:
    raw = b"".join(fat.pieces(folder))
    return {raw[at : at + 11] for at in range(0, len(raw), SLOT)}


class _Link:
    """The slots that make a tree seen, in the directory that it goes to."""

    def __init__(
        self, fat: Fat, volume: Volume, parent: _Parent, top: _Node, old: Slot | None
    ) -> None:
        self._volume = volume
        self._top = top
        self._old = old
        self._geometry = fat.geometry
        fixed = parent.slot is None and not fat.geometry.root_cluster
        first = parent.slot.cluster if parent.slot else fat.geometry.root_cluster
        self._clusters = [] if fixed else list(fat.table.chain(first))
        self._raw = bytearray(b"".join(fat.pieces(parent.slot)))
        self._had = len(self._raw)
        count = 1 if old else slots_needed(top.name, top.short)
        self._index = old.index if old else _room(self._raw, count)
        self._end = (self._index + count) * SLOT
        self.growth = -(-max(0, self._end - self._had) // fat.geometry.cluster)
        more = self.growth * fat.geometry.cluster
        if more and (fixed or self._had + more > MAX_DIRECTORY):
            raise BuildRefused(
                f"the directory that {top.name} goes to is full", "Remove what it does not need."
            )
        self._raw += bytes(more)
        self._more: list[int] = []

    def grow(self) -> None:
        """Take the clusters that the directory needs more."""
        self._more = self._volume.allocate(self.growth)

    def write_growth(self) -> None:
        """Write the slots that are in new clusters, which nothing leads to yet."""
        self._fill()
        if self._more:
            size = self._geometry.cluster
            starts = range(self._had, len(self._raw), size)
            pieces = (bytes(self._raw[at : at + size]) for at in starts)
            self._volume.write_clusters(self._more, pieces)

    def lengthen(self) -> None:
        """Have the chain of the directory go on in its new clusters."""
        if self._more:
            self._volume.append(self._clusters[-1], self._more)
            self._volume.write_table()
            self._volume.region.flush()

    def write(self) -> None:
        """Write the slots that are in what the directory had, the last sector first."""
        sector, first = self._geometry.sector, self._index * SLOT
        for at in reversed(range(first - first % sector, min(self._end, self._had), sector)):
            self._volume.region.write(self._at(at), bytes(self._raw[at : at + sector]))

    def _fill(self) -> None:
        """Put the slots into the directory in memory."""
        at = self._index * SLOT
        if self._old is not None:
            slot = bytearray(short_slot(bytes(self._raw[at : at + 11]), *self._top.facts()))
            slot[_CASE] = self._raw[at + _CASE]
            self._raw[at : self._end] = slot
            return
        ends = any(self._raw[each] == 0 for each in range(at, self._end, SLOT))
        self._raw[at : self._end] = self._top.slots()
        if ends and self._end < len(self._raw):
            # What lies behind the end of a directory may be anything: it must not come to be seen.
            self._raw[self._end : self._end + SLOT] = bytes(SLOT)
            self._end += SLOT

    def _at(self, offset: int) -> int:
        """Return where a byte of the directory is."""
        if not self._clusters:
            return self._geometry.root_at + offset
        number, within = divmod(offset, self._geometry.cluster)
        return self._geometry.at(self._clusters[number]) + within


def _room(raw: bytes | bytearray, count: int) -> int:
    """Return the first of so many free slots in a row; they may go beyond the end."""
    run = 0
    for index in range(len(raw) // SLOT):
        first = raw[index * SLOT]
        if first == 0:
            return index - run
        run = run + 1 if first == _DELETED else 0
        if run == count:
            return index - run + 1
    return len(raw) // SLOT - run


# --- writing --------------------------------------------------------------------------------------


def _write(volume: Volume, top: _Node, parent: int) -> None:
    """Write a tree into free clusters; a directory before what is in it gets its own."""
    _allocate(volume, top)
    waiting = [(top, parent)]
    while waiting:
        node, above = waiting.pop()
        pieces = _content(node, volume) if node.inside is None else _folder(node, above, volume)
        volume.write_clusters(node.clusters, pieces)
        waiting += [(each, node.clusters[0]) for each in (node.inside or {}).values()]


def _allocate(volume: Volume, top: _Node) -> None:
    waiting = [top]
    while waiting:
        node = waiting.pop()
        node.clusters = volume.allocate(-(-node.size // volume.geometry.cluster))
        waiting += (node.inside or {}).values()


def _folder(node: _Node, above: int, volume: Volume) -> Iterator[bytes]:
    raw = short_slot(_DOT, *node.facts()) + short_slot(_DOTS, DIRECTORY, above, 0, node.mtime)
    raw += b"".join(each.slots() for each in (node.inside or {}).values())
    size = volume.geometry.cluster
    return (raw[at : at + size] for at in range(0, len(raw), size))


def _content(node: _Node, volume: Volume) -> Iterator[bytes]:
    """Yield the content of a file, a cluster at once."""
    if node.entry is None:
        return
    left = node.size
    with node.entry.open() as stream:
        while left:
            piece = _exactly(stream, min(volume.geometry.cluster, left))
            if not piece:
                raise FormatError(f"is cut: {node.name} has {left:,} bytes fewer than it said")
            left -= len(piece)
            yield piece


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """Return so many bytes; b'' where there are fewer."""
    data = b""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            return b""
        data += more
    return data


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]
