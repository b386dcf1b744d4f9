"""The root file system of an image: a squashfs, or a disk image packed with gzip."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mirror.formats import FormatError, check_content, decompressed, read_squashfs
from mirror_ubuntu.codes import finding
from mirror_ubuntu.kernels import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mirror.api import Finding
    from mirror.formats import KernelImage

_READ_SINCE = {"xz": (2, 38), "lz4": (3, 19), "zstd": (4, 14)}
"""Compression of a squashfs -> the Linux that was the first to read it."""

_LIMIT = 64 * 1024**3
"""What a root image may expand to, in bytes; Ubuntu's have 1.4 GiB."""
_SUPERBLOCK_AT = 1024
_SUPERBLOCK = struct.Struct("<4xI16xI28xH")
"""Blocks, log of their size above 1024, magic."""
_HEAD = 2048
_MAGIC = 0xEF53
_CHUNK = 1 << 20


def check_squashfs(file: Path, kernel: KernelImage | None) -> Iterable[Finding]:
    """Yield what is wrong with a squashfs; its kernel must be able to mount it."""
    try:
        image = read_squashfs(file)
    except FormatError as error:
        yield finding("ubuntu-squashfs", "squashfs", f"the squashfs {error}")
        return
    if image.appended:
        said = f"the squashfs has {image.appended:,} bytes behind its end"
        yield finding("ubuntu-squashfs-appended", "squashfs", said)
    if image.compression == "lzma" or image.compression.startswith("kind"):
        said = f"the squashfs is compressed with {image.compression}, which no Linux reads"
        yield finding("ubuntu-squashfs-compression", "squashfs", said)
        return
    since = _READ_SINCE.get(image.compression)
    now = numbers(kernel.version) if kernel else None
    if since and now and now < since:
        said = (
            f"the squashfs is compressed with {image.compression}, which Linux reads since "
            f"{since[0]}.{since[1]}; its kernel is {now[0]}.{now[1]}"
        )
        yield finding("ubuntu-squashfs-compression", "squashfs", said)


def check_root_image(file: Path) -> Iterable[Finding]:
    """Yield what is wrong with a root image; it is expanded to its end."""
    try:
        check_content(file)
        _check_ext4(file)
    except FormatError as error:
        yield finding("ubuntu-root-image", "root-image.gz", f"the root-image.gz {error}")


def _check_ext4(file: Path) -> None:
    size = 0
    with decompressed(file, limit=_LIMIT) as stream:
        head = stream.read(_HEAD)
        size = len(head)
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
    if len(head) < _HEAD:
        raise FormatError("holds no ext4 file system")
    blocks, log, magic = _SUPERBLOCK.unpack_from(head, _SUPERBLOCK_AT)
    if magic != _MAGIC or log > 6:
        raise FormatError("holds no ext4 file system")
    said = blocks * (1024 << log)
    if said > size:
        raise FormatError(f"is cut: its file system has {said:,} bytes, and {size:,} are here")
