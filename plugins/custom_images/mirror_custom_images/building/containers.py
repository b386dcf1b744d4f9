"""The right content in the wrong wrapping: packed anew, in one pass, with nothing on the way.

What is inside stays as it is, to the byte.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from mirror.formats import FormatError, decompressed, read_archive
from mirror_custom_images.building.dd_gz import target_of
from mirror_custom_images.building.parallel_gzip import PIECE, ParallelGzip
from mirror_custom_images.disks.bombs import check_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mirror_custom_images.building.dd_gz import Target

MOST = 1024**4
"""Bytes that anything may expand to, holes included; what is no image is stopped before."""

_ZEROS = bytes(PIECE)


def repack_disk(
    file: Path,
    out: Path,
    ftype: str,
    *,
    in_tar: bool,
    level: int,
    report: Callable[[int, int], None],
) -> dict[str, object]:
    """Write a disk image that is compressed, or in a tar, or both, to a new `root-dd.gz`, or raw.

    Returns its size and digest, raw. Raises `FormatError` where it is damaged, or a tar has more
    than the image in it.
    """
    with file.open("rb", buffering=0) as source, target_of(out, ftype, level=level) as target:
        watch = _Watch(source, report)
        if in_tar:
            size = _copy_only_member(source, target, watch)
        else:
            with decompressed(source, limit=MOST) as content:
                size = _copy(content, target, watch)
    about: dict[str, object] = {"raw_size": size}
    if isinstance(target, ParallelGzip):
        about["raw_sha256"] = target.plain_sha256
    return about


def repack_root(
    file: Path, out: Path, *, front: bytes, level: int, report: Callable[[int, int], None]
) -> None:
    """Write a tar that is compressed in whatever way, or not at all, to a new `root-tgz`.

    `front` is whole members of a tar that come before all others.
    """
    with file.open("rb", buffering=0) as source, tgz(out, level) as target:
        target.write(front)
        with decompressed(source, limit=MOST) as content:
            _copy(content, target, _Watch(source, report))


@contextmanager
def tgz(file: Path, level: int) -> Iterator[ParallelGzip]:
    """Open a new file that is compressed with gzip."""
    with file.open("xb") as out, ParallelGzip(out, level=level) as packed:
        yield packed


class _Watch:
    """Says how far the reading of a file is, and stops what is no image, but a bomb."""

    def __init__(self, source: BinaryIO, report: Callable[[int, int], None]) -> None:
        self._source, self._report = source, report
        self._total = source.seek(0, 2)
        source.seek(0)
        self._data = self._zeros = 0

    def __call__(self, piece: bytes) -> None:
        if piece == _ZEROS:
            self._zeros += len(piece)
        else:
            self._data += len(piece)
        check_ratio(self._data, self._total, self._zeros)
        self._report(min(self._source.tell(), self._total), self._total)


def _copy(content: BinaryIO, target: Target, watch: _Watch) -> int:
    size = 0
    while piece := content.read(PIECE):
        size += target.write(piece)
        watch(piece)
    return size


def _copy_only_member(source: BinaryIO, target: Target, watch: _Watch) -> int:
    """Copy the one file of an archive; directories beside it are nothing to `tar -xO`."""
    name, size = "", 0
    for member, content in read_archive(source, limit=MOST):
        if member.kind == "dir":
            continue
        if member.kind != "file":
            raise FormatError(f"has a {member.kind} in it, {member.name[:80]!r}, beside the image")
        if name:
            raise FormatError(
                f"has two files in it, {name[:80]!r} and {member.name[:80]!r}: MAAS writes both to "
                "the disk, one behind the other"
            )
        name = member.name
        size = _copy(content, target, watch)
    if not name:
        raise FormatError("has no disk image in it")
    return size
