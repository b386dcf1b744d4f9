"""A disk that is compressed, or in a tar, expanded to a file with holes."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mirror.formats import FormatError, decompressed, read_archive
from mirror_custom_images.disks.bombs import GIB, check_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.formats import ImageType

LARGEST = 256 * GIB
"""Bytes of a disk that is expanded, holes included."""

_FORMS = frozenset({"disk image", "file system without a partition table", "qcow2", "vhd", "vhdx"})
_DISKS = frozenset({"raw", "file system", "qcow2", "vhd", "vhdx"})
_TAR, _TAR_END = "tar of one ", " file"
_MEMBERS = 1000
"""Of a tar that may have directories beside the disk."""

_PIECE = 1024**2
_GRAIN = 16 * 1024
"""Bytes: zeros are looked for in pieces so large, and left out."""
_ZEROS, _ZERO_GRAIN = bytes(_PIECE), bytes(_GRAIN)


def holds_disk(found: ImageType) -> bool:
    """Say whether a file is to be expanded, to have the disk that it holds."""
    inside = found.inside.removeprefix(_TAR).removesuffix(_TAR_END)
    return found.form not in _DISKS and inside in _FORMS


@contextmanager
def expanded(file: Path, found: ImageType, scratch: Path, *, limit: int) -> Iterator[Path]:
    """Expand what `holds_disk` said yes to, into a file below `scratch` that goes away at the end.

    Raises `FormatError` for damage, for a cut, for anything behind the disk, for a disk of more
    than `limit` bytes, and for what is there to fill the scratch space. A full disk, or the limit
    of the process, is an `OSError` as ever: the file is not to blame.
    """
    with tempfile.NamedTemporaryFile(dir=scratch, prefix="disk-", buffering=0) as target:
        writer = _Writer(target.fileno(), file.stat().st_size, limit)
        if found.inside.startswith(_TAR):
            _expand_tar(file, writer, limit)
        else:
            with decompressed(file, limit=limit) as stream:
                writer.copy(stream)
        writer.finish()
        yield Path(target.name)


def _expand_tar(file: Path, writer: _Writer, limit: int) -> None:
    """Expand the only file in a tar: `tar -xO` takes directories for nothing, and so do we."""
    name = ""
    # Padding, and the headers, are not of the disk.
    for member, content in read_archive(file, limit=limit + _PIECE, members=_MEMBERS):
        if member.kind == "dir":
            continue
        if name or member.kind != "file":
            raise FormatError(
                f"is a tar of more than one disk image: {member.name[:80]!a} is in it, too"
            )
        name = member.name
        writer.copy(content)


class _Writer:
    """What is expanded, written where it is not zeros."""

    def __init__(self, fd: int, stored: int, limit: int) -> None:
        self._fd = fd
        self._stored = stored
        self._limit = limit
        self._at = 0
        self.data = 0
        """Bytes that were written."""

    def copy(self, stream: BinaryIO) -> None:
        while piece := stream.read(_PIECE):
            if self._at + len(piece) > self._limit:
                raise FormatError(f"expands to more than {self._limit:,} bytes")
            for start, end in _not_zeros(piece):
                self._write(memoryview(piece)[start:end], self._at + start)
            self._at += len(piece)
            check_ratio(self.data, self._stored, self._at - self.data)

    def _write(self, piece: memoryview, at: int) -> None:
        self.data += len(piece)
        while piece:
            written = os.pwrite(self._fd, piece, at)
            piece, at = piece[written:], at + written

    def finish(self) -> None:
        os.ftruncate(self._fd, self._at)


def _not_zeros(piece: bytes) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of what is not zeros, in grains."""
    if piece == _ZEROS:
        return
    begin = end = 0
    for at in range(0, len(piece), _GRAIN):
        size = min(_GRAIN, len(piece) - at)
        if piece.startswith(_ZERO_GRAIN if size == _GRAIN else bytes(size), at):
            continue
        if at != end:
            if end > begin:
                yield begin, end
            begin = at
        end = at + size
    if end > begin:
        yield begin, end
