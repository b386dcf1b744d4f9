"""Write a file, or a tree of them, into a FAT file system that is there, in place.

The new tree is written into free clusters, then their chains into the tables; one slot in a
directory that was there before makes it seen, at once and whole; only then is what it replaces
given back. Where the machine stops in between, clusters are lost that belong to nothing, and what
was there before is as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.api import BuildRefused
from mirror.formats import FormatError
from mirror_custom_images.filesystems.fat import MAX_DIRECTORY, Fat
from mirror_custom_images.filesystems.fat_check import (
    MAX_CLUSTERS,
    check_fat,
    clusters_of,
    compare_tables,
)
from mirror_custom_images.filesystems.fat_geometry import SLOT
from mirror_custom_images.filesystems.fat_names import DIRECTORY
from mirror_custom_images.filesystems.fat_new_names import (
    check_name,
    short_slot,
    slots_needed,
)
from mirror_custom_images.filesystems.fat_tree import (
    clusters_needed,
    name_all,
    names_of,
    tree_of,
    with_parents,
)
from mirror_custom_images.filesystems.fat_volume import Volume

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from mirror_custom_images.entries import Entry
    from mirror_custom_images.filesystems.fat_names import Slot
    from mirror_custom_images.filesystems.fat_tree import Node
    from mirror_custom_images.filesystems.fat_volume import Writable

_DELETED = 0xE5
_CASE = 12
"""Where a slot says which parts of its short name are in lower case."""
_DOT, _DOTS = b".".ljust(11), b"..".ljust(11)


def put(target: Writable, at: str, entries: Iterable[Entry], *, replace: bool = False) -> None:
    """Write into the FAT file system that `target` is.

    `at` is the path of what is new: a directory with the `entries`, whose paths are below it; or a
    file, when the only entry is one with the path `.`. Directories that lead to it are made.

    Raises `BuildRefused`, with nothing written, where something is there already and is not to be
    replaced, where there is no room for both, or for what a FAT can't hold; `FormatError` where
    the file system is damaged.
    """
    if not names_of(at):
        raise BuildRefused("the root is no place for a file", "Name a path below it.")
    fat = Fat(target)
    if fat.geometry.clusters > MAX_CLUSTERS:
        raise BuildRefused(
            f"its FAT file system is larger than one that is written to: it has "
            f"{fat.geometry.clusters:,} clusters",
            "Put the files into the image where it is built.",
        )
    check_fat(fat)
    compare_tables(fat)
    volume = Volume(target, fat.geometry)
    parent, old = _place(fat, at, replace=replace)
    top = with_parents(tree_of(at, entries), at, parent.depth)
    name_all(top, taken=parent.shorts)
    link = _Link(fat, volume, parent, top, old)
    _check_room(volume, clusters_needed(top, fat.geometry.cluster) + link.growth)
    link.grow()
    _write(volume, top, parent.cluster)
    link.write_growth()
    target.flush()
    volume.write_table()
    target.flush()
    link.lengthen()
    link.write()
    target.flush()
    if old is not None:
        volume.release(clusters_of(fat, old))
        volume.write_table()
    volume.write_fsinfo()
    target.flush()


# --- where it goes --------------------------------------------------------------------------------


def _check_room(volume: Volume, needed: int) -> None:
    if needed > volume.free:
        size = volume.geometry.cluster
        raise BuildRefused(
            f"its FAT file system has no room: {needed * size:,} bytes are needed, "
            f"{volume.free * size:,} are free",
            "Make the partition larger, or remove what it does not need; what is replaced is given "
            "back only when the new is whole.",
        )


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
    *above, last = names_of(at)
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
        self, fat: Fat, volume: Volume, parent: _Parent, top: Node, old: Slot | None
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


def _write(volume: Volume, top: Node, parent: int) -> None:
    """Write a tree into free clusters; a directory before what is in it gets its own."""
    _allocate(volume, top)
    waiting = [(top, parent)]
    while waiting:
        node, above = waiting.pop()
        pieces = _content(node, volume) if node.inside is None else _folder(node, above, volume)
        volume.write_clusters(node.clusters, pieces)
        waiting += [(each, node.clusters[0]) for each in (node.inside or {}).values()]


def _allocate(volume: Volume, top: Node) -> None:
    waiting = [top]
    while waiting:
        node = waiting.pop()
        node.clusters = volume.allocate(-(-node.size // volume.geometry.cluster))
        waiting += (node.inside or {}).values()


def _folder(node: Node, above: int, volume: Volume) -> Iterator[bytes]:
    raw = short_slot(_DOT, *node.facts()) + short_slot(_DOTS, DIRECTORY, above, 0, node.mtime)
    raw += b"".join(each.slots() for each in (node.inside or {}).values())
    size = volume.geometry.cluster
    return (raw[at : at + size] for at in range(0, len(raw), size))


def _content(node: Node, volume: Volume) -> Iterator[bytes]:
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
