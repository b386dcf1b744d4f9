"""Writes a tar archive of entries, with all that a root file system has, fast.

Owners are numbers; times keep their fractions; attributes, lists of access control and labels are
pax records; holes stay holes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mirror.formats import FormatError
from mirror_custom_images.building.tar_headers import (
    BLOCK,
    LETTERS,
    header,
    pax,
    records_of,
    sparse_map,
)
from mirror_custom_images.filesystems.content import Content

if TYPE_CHECKING:
    from typing import BinaryIO

    from mirror_custom_images.entries import Entry

_CHUNK = 1024**2
"""Bytes that are read, and written, at a time."""
_END = bytes(2 * BLOCK)
_RECORD = 20 * BLOCK
_SMALLEST_HOLES = 8 * BLOCK
"""Bytes of holes in a file from which it is written with them."""


class Writable(Protocol):
    """Where an archive goes."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""
        ...


class TarWriter:
    """An archive that is being written; `close` ends it."""

    def __init__(self, out: Writable) -> None:
        self._out = out
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self.size = 0
        """Bytes of the archive so far."""

    def add(self, entry: Entry) -> None:
        """Write an entry. Raises `FormatError` where its content can't be read.

        A socket is left out, as by every tar.
        """
        letter = LETTERS.get(entry.kind)
        if letter is None:
            return
        name = _member(entry.path, "/" if entry.kind == "dir" else "")
        target = entry.target.encode("utf-8", "surrogateescape")
        if entry.kind == "hardlink":
            target = _member(entry.target)
        if entry.kind != "file":
            self._head(entry, letter, name, target)
            return
        with entry.open() as content:
            self._file(entry, name, content)

    def close(self) -> None:
        """Write the end of the archive, as long as GNU tar makes it."""
        self._put(_END)
        self._put(bytes(-self.size % _RECORD))
        self._flush()

    def _file(self, entry: Entry, name: bytes, content: BinaryIO | Content) -> None:
        pieces = content.pieces() if isinstance(content, Content) else [(0, entry.size)]
        filled = sum(end - start for start, end in pieces)
        if entry.size - filled < _SMALLEST_HOLES:
            self._head(entry, b"0", name, stored=entry.size)
            self._copy(content, 0, entry.size)
            stored = entry.size
        else:
            where = sparse_map(pieces, entry.size)
            stored = len(where) + filled
            self._head(entry, b"0", name, stored=stored, pieces=pieces)
            self._put(where)
            for start, end in pieces:
                self._copy(content, start, end)
        if stored % BLOCK:
            self._put(bytes(-stored % BLOCK))

    def _copy(self, content: BinaryIO | Content, start: int, end: int) -> None:
        """Write what is between two places, of which the first is where `content` is, if at all."""
        for at in range(start, end, _CHUNK):
            wanted = min(_CHUNK, end - at)
            if isinstance(content, Content):
                data = content.read_at(at, wanted)
            else:
                data = content.read(wanted)
            if len(data) != wanted:
                raise FormatError(f"is damaged: a file of {end:,} bytes ends before")
            self._put(data)

    def _head(
        self,
        entry: Entry,
        letter: bytes,
        name: bytes,
        target: bytes = b"",
        *,
        stored: int = 0,
        pieces: list[tuple[int, int]] | None = None,
    ) -> None:
        records = records_of(entry, name, target, stored, pieces)
        mtime = entry.mtime // 10**9
        if records:
            self._put(pax(name, records, mtime))
        if pieces is not None:
            folder, _, last = name.rpartition(b"/")
            name = b"%b/GNUSparseFile.0/%b" % (folder, last)
        self._put(
            header(
                name,
                letter,
                size=stored,
                mode=entry.mode,
                uid=entry.uid,
                gid=entry.gid,
                mtime=mtime,
                target=target,
                device=entry.device,
            )
        )

    def _put(self, data: bytes) -> None:
        """Write data in large pieces: most members are small."""
        self._waiting.append(data)
        self._waiting_size += len(data)
        self.size += len(data)
        if self._waiting_size >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._out.write(b"".join(self._waiting))
            self._waiting = []
            self._waiting_size = 0


def _member(path: str, end: str = "") -> bytes:
    """Return a member's name: `./etc/`, and `./` for the root, as `tar -C ROOT .` has them."""
    name = "./" if path == "." else f"./{path}{end}"
    return name.encode("utf-8", "surrogateescape")
