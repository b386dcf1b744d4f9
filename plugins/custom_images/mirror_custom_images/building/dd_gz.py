"""A disk, in whatever form its file has, as MAAS takes it: packed with gzip, holes at no cost."""

from __future__ import annotations

import os
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from mirror_custom_images.building.hooks import MTIME
from mirror_custom_images.building.parallel_gzip import PIECE, ParallelGzip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mirror_custom_images.disks.disk import Disk

WRITTEN = ("root-dd.gz", "root-dd", "root-dd.tar", "root-dd.raw")
"""The file types of disks that are written; MAAS takes others, and `root-dd.gz` wherever those."""

_IN_TAR = {"root-dd", "root-dd.tar"}
_NAME = "disk.img"
_ZEROS = bytes(PIECE)


class Target(Protocol):
    """What a disk is written to."""

    def write(self, data: bytes) -> int:
        """Write bytes."""
        ...

    def write_zeros(self, count: int) -> None:
        """Write so many zeros, or leave a hole."""
        ...


class RawFile:
    """A file with holes where there are zeros."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._at = 0

    def write(self, data: bytes) -> int:
        """See `Target`."""
        if data == _ZEROS[: len(data)]:
            self._at += len(data)
            return len(data)
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, self._at)
            self._at += written
            view = view[written:]
        return len(data)

    def write_zeros(self, count: int) -> None:
        """See `Target`."""
        self._at += count

    def finish(self) -> None:
        """Give the file its length: it may end with a hole."""
        os.ftruncate(self._fd, self._at)


def write_disk(
    disk: Disk, file: Path, ftype: str, *, level: int, report: Callable[[int, int], None]
) -> dict[str, object]:
    """Write a disk to a new file, as one of `WRITTEN`; return the size and digest that it has, raw.

    `report` is called with the bytes of the disk that are done, and all there are. Raises what
    reading the disk does.
    """
    with target_of(file, ftype, level=level) as target:
        if ftype in _IN_TAR:
            target.write(_tar_header(disk.size))
        copy_disk(disk, target, report)
        if ftype in _IN_TAR:
            target.write_zeros(-disk.size % 512 + 1024)
    about: dict[str, object] = {"raw_size": disk.size}
    if isinstance(target, ParallelGzip) and ftype not in _IN_TAR:
        about["raw_sha256"] = target.plain_sha256
    return about


@contextmanager
def target_of(file: Path, ftype: str, *, level: int) -> Iterator[ParallelGzip | RawFile]:
    """Open a new file, as what a disk of that type is written to."""
    with file.open("xb") as out:
        if ftype in {"root-dd.gz", "root-dd"}:
            with ParallelGzip(out, level=level, plain_digest=ftype == "root-dd.gz") as packed:
                yield packed
        else:
            raw = RawFile(out.fileno())
            yield raw
            raw.finish()


def copy_disk(disk: Disk, target: Target, report: Callable[[int, int], None]) -> None:
    """Write all of a disk to the target: holes as such, the rest in pieces on the target's grid."""
    at = 0
    for start, end in disk.extents(0, disk.size):
        target.write_zeros(start - at)
        at = start
        while at < end:
            stop = min(end, at - at % PIECE + PIECE)
            target.write(disk.read(at, stop - at))
            at = stop
            report(at, disk.size)
    target.write_zeros(disk.size - at)
    report(disk.size, disk.size)


def _tar_header(size: int) -> bytes:
    info = tarfile.TarInfo(_NAME)
    info.size, info.mtime, info.mode = size, MTIME, 0o644
    return info.tobuf(tarfile.GNU_FORMAT)
