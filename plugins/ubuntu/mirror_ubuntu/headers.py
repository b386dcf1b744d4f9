"""What the first bytes of a file say. Each function returns the fault in words, or ''."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SQUASHFS_MAGIC = b"hsqs"
_SQUASHFS_SUPERBLOCK = 96
_BYTES_USED_AT = 40
_XZ_MAGIC = b"\xfd7zXZ\x00"


def squashfs_fault(file: Path) -> str:
    """Check a squashfs 4.0 superblock and that the image is as long as it says."""
    head = _head(file, _SQUASHFS_SUPERBLOCK)
    if len(head) < _SQUASHFS_SUPERBLOCK or not head.startswith(_SQUASHFS_MAGIC):
        return "is not a squashfs image"
    (used,) = struct.unpack_from("<Q", head, _BYTES_USED_AT)
    size = file.stat().st_size
    return f"is cut: {used} bytes used, {size} here" if used > size else ""


def boot_file_fault(file: Path) -> str:
    """Check that a kernel or initrd is neither a web page nor zeros nor empty."""
    head = _head(file, 4096)
    if not head:
        return "is empty"
    if head.lstrip()[:1] == b"<":
        return "is a web page"
    return "is all zeros" if not head.strip(b"\0") else ""


def xz_fault(file: Path) -> str:
    """Check the magic of an xz file."""
    return "" if _head(file, len(_XZ_MAGIC)) == _XZ_MAGIC else "is not an xz archive"


def _head(file: Path, count: int) -> bytes:
    with file.open("rb") as stream:
        return stream.read(count)
