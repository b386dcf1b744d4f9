"""The disk that a file holds, whatever form the file has."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from mirror.formats import FormatError, identify
from mirror_custom_images.disks.expanded import LARGEST, expanded, holds_disk
from mirror_custom_images.disks.raw import RawDisk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mirror.formats import ImageType
    from mirror_custom_images.disks.disk import Disk


@contextmanager
def open_disk(file: Path, scratch: Path, *, limit: int = LARGEST) -> Iterator[Disk]:
    """Open the disk that a file holds: raw, qcow2, VHD or VHDX, as it is, compressed or in a tar.

    What is compressed or in a tar is expanded once, to a file with holes below `scratch` that goes
    away at the end; it may have `limit` bytes, holes included. A disk can be read by any number of
    threads at once. Raises `FormatError` where there is none in the file, or it is damaged.
    """
    with ExitStack() as stack:
        found = identify(file)
        if holds_disk(found):
            file = stack.enter_context(expanded(file, found, scratch, limit=limit))
            found = identify(file)
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        yield _disk(RawDisk(fd), found)


def _disk(file: RawDisk, found: ImageType) -> Disk:
    if found.form in {"raw", "file system"}:
        return file
    if found.form == "qcow2":
        from mirror_custom_images.disks.qcow2 import open_qcow2

        return open_qcow2(file)
    if found.form == "vhd":
        from mirror_custom_images.disks.vhd import open_vhd

        return open_vhd(file)
    if found.form == "vhdx":
        from mirror_custom_images.disks.vhdx import open_vhdx

        return open_vhdx(file)
    raise FormatError(f"is no disk image that can be read, but {found}")
