"""A tree of inodes, as all file systems of Unix have: what is the same whatever their format."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mirror.formats import FormatError
from mirror_custom_images.entries import Entry
from mirror_custom_images.filesystems.limits import MAX_IN_DIRECTORY, TreeLimits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import BinaryIO

    from mirror_custom_images.entries import Kind

KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}

MAX_TARGET = 4096
"""Bytes of a symbolic link."""


@dataclass(slots=True)
class Inode:
    """A file without its name; `mode` has its type, `mtime` is in nanoseconds.

    `raw` is as it is on the disk: for the format's own module.
    """

    number: int
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    links: int
    raw: bytes = field(repr=False)
    device: tuple[int, int] = (0, 0)
    flags: int = 0


class Store(Protocol):
    """The inodes of a file system; each raises `FormatError` for what is damaged."""

    root: int

    def inode(self, number: int) -> Inode:
        """Return an inode, whatever is in it."""
        ...

    def names(self, inode: Inode) -> Iterable[tuple[bytes, int]]:
        """Yield what is in a directory, in any order; `.` and `..` may be among it."""
        ...

    def content(self, inode: Inode) -> BinaryIO:
        """Return the content of a file."""
        ...

    def target(self, inode: Inode) -> bytes:
        """Return where a symbolic link points; its size was looked at."""
        ...

    def xattrs(self, inode: Inode) -> Mapping[str, bytes]:
        """Return the extended attributes, as the kernel shows them."""
        ...


class UnixTree:
    """`find`, `list` and `walk` of a `FileSystem`, over a store of inodes."""

    def __init__(self, store: Store) -> None:
        """Raise `FormatError` where its root is no directory."""
        self._store = store
        if not stat.S_ISDIR(store.inode(store.root).mode):
            raise FormatError("is damaged: its root is no directory")

    def find(self, path: str) -> Entry | None:
        """See `FileSystem.find`."""
        inode = self._find(path)
        return None if inode is None else self._entry(inode, _plain(path) or ".")

    def list(self, path: str) -> Iterator[Entry]:
        """See `FileSystem.list`."""
        inode = self._find(path)
        if inode is None or not stat.S_ISDIR(inode.mode):
            return
        where = _plain(path)
        for name, number in _names(self._store, inode, where, TreeLimits()):
            yield self._entry(self._store.inode(number), f"{where}/{name}" if where else name)

    def walk(self) -> Iterator[Entry]:
        """See `FileSystem.walk`."""
        limits = TreeLimits()
        first_path: dict[int, str] = {}
        root = self._store.inode(self._store.root)
        limits.enter(".", root.number)
        yield self._entry(root, ".")
        below = [("", iter(_names(self._store, root, "", limits)))]
        while below:
            where, names = below[-1]
            found = next(names, None)
            if found is None:
                below.pop()
                continue
            path = where + found[0]
            inode = self._store.inode(found[1])
            if stat.S_ISDIR(inode.mode):
                limits.enter(path, inode.number)
                yield self._entry(inode, path)
                below.append((path + "/", iter(_names(self._store, inode, path, limits))))
            elif inode.links > 1 and (first := first_path.setdefault(inode.number, path)) != path:
                yield self._hard_link(inode, path, first)
            else:
                yield self._entry(inode, path)

    def _find(self, path: str) -> Inode | None:
        inode = self._store.inode(self._store.root)
        for name in _plain(path).split("/"):
            if name:
                if not stat.S_ISDIR(inode.mode):
                    return None
                number = dict(_names(self._store, inode, path, TreeLimits())).get(name)
                if number is None:
                    return None
                inode = self._store.inode(number)
        return inode

    def _entry(self, inode: Inode, path: str) -> Entry:
        kind = _kind(inode)
        target = ""
        if kind == "symlink":
            if not 0 < inode.size <= MAX_TARGET:
                raise FormatError(f"is damaged: {path} is a link of {inode.size:,} bytes")
            target = self._store.target(inode).decode("utf-8", "surrogateescape")
        return Entry(
            path=path,
            kind=kind,
            size=inode.size if kind == "file" else 0,
            mode=inode.mode & 0o7777,
            uid=inode.uid,
            gid=inode.gid,
            mtime=inode.mtime,
            target=target,
            device=inode.device,
            xattrs=self._store.xattrs(inode),
            open=partial(self._store.content, inode),
        )

    def _hard_link(self, inode: Inode, path: str, first: str) -> Entry:
        _kind(inode)
        return Entry(
            path=path,
            kind="hardlink",
            mode=inode.mode & 0o7777,
            uid=inode.uid,
            gid=inode.gid,
            mtime=inode.mtime,
            target=first,
        )


def _names(store: Store, inode: Inode, path: str, limits: TreeLimits) -> list[tuple[str, int]]:
    found = []
    for name, number in store.names(inode):
        if name not in (b".", b".."):
            found.append((name, number))
            if len(found) > MAX_IN_DIRECTORY:
                break
    limits.add(len(found))
    found.sort()
    if len({name for name, _ in found}) < len(found):
        raise FormatError(f"is damaged: a name is twice in {path or 'its root'}")
    return [
        (limits.name(name.decode("utf-8", "surrogateescape"), path), number)
        for name, number in found
    ]


def _kind(inode: Inode) -> Kind:
    kind = KINDS.get(stat.S_IFMT(inode.mode))
    if kind is None or not inode.links:
        raise FormatError(f"is damaged: inode {inode.number} is in a directory, and is no file")
    return kind


def _plain(path: str) -> str:
    return "/".join(name for name in path.split("/") if name not in ("", "."))
