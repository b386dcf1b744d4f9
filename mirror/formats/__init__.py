"""Readers of file formats, for plugins: what is in a file, without root, mounts or trust.

Each reads a stream once, in constant memory, and raises `FormatError` with a clause that says what
is wrong with the file.
"""

from __future__ import annotations

from mirror.formats.archive import Member, read_archive
from mirror.formats.compression import decompressed
from mirror.formats.elf import elf_arch
from mirror.formats.errors import FormatError
from mirror.formats.head import HEAD_SIZE, check_content, check_head
from mirror.formats.image_type import (
    FTYPES,
    UPLOAD_TYPES,
    ImageType,
    identify,
    stored_type,
    upload_type,
    way_out,
)
from mirror.formats.initrd import Initrd, read_initrd, read_initrd_stream
from mirror.formats.kernel import KernelImage, read_kernel, read_kernel_stream
from mirror.formats.pe import EfiBinary, read_efi
from mirror.formats.sniff import compression_of
from mirror.formats.squashfs import Squashfs, read_squashfs
from mirror.formats.text import read_text

__all__ = [
    "FTYPES",
    "HEAD_SIZE",
    "UPLOAD_TYPES",
    "EfiBinary",
    "FormatError",
    "ImageType",
    "Initrd",
    "KernelImage",
    "Member",
    "Squashfs",
    "check_content",
    "check_head",
    "compression_of",
    "decompressed",
    "elf_arch",
    "identify",
    "read_archive",
    "read_efi",
    "read_initrd",
    "read_initrd_stream",
    "read_kernel",
    "read_kernel_stream",
    "read_squashfs",
    "read_text",
    "stored_type",
    "upload_type",
    "way_out",
]
