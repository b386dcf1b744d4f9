"""One cpio archive of the kind that the kernel unpacks: newc, with a checksum or without."""

from __future__ import annotations

import stat
import struct
import zlib
from binascii import Error as NotHex
from binascii import unhexlify
from typing import TYPE_CHECKING

from mirror.formats.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.formats.feed import Feed

MAGIC, MAGIC_WITH_SUM = b"070701", b"070702"
HEADER = 110
TRAILER = "TRAILER!!!"
MAX_NAME = 4096
"""With its final zero byte, as in the kernel."""

ADLER_MODULUS = 65521
FIELDS = struct.Struct(">13I")


def at_archive(head: bytes) -> bool:
    """Say whether an archive begins with these 6 bytes."""
    return head[:6] in {MAGIC, MAGIC_WITH_SUM}


def read_cpio(feed: Feed) -> Iterator[str]:
    """Read an archive to its trailer, and give the name of each member.

    Raises `FormatError` where a header is wrong, a checksum differs, or the trailer is missing.
    """
    number = 0
    while True:
        number += 1
        header = feed.take(HEADER)
        if len(header) < HEADER:
            raise _cut(number)
        if not at_archive(header):
            raise FormatError(f"is damaged: member {number} has no cpio header")
        try:
            fields = FIELDS.unpack(unhexlify(header[6:]))
        except NotHex:
            raise FormatError(f"is damaged: member {number} has a header with no numbers") from None
        mode, size, name_size, declared = fields[1], fields[6], fields[11], fields[12]
        name = _name(feed, name_size, number)
        # What a symbolic link points to has no checksum, only a file has.
        if header[:6] == MAGIC_WITH_SUM and size and stat.S_ISREG(mode):
            _check_sum(feed, size, declared, number)
        elif feed.skip(size) < size:
            raise _cut(number)
        _skip_padding(feed, size, number)
        if name == TRAILER:
            return
        yield name


def _name(feed: Feed, size: int, number: int) -> str:
    if not 1 < size <= MAX_NAME:
        raise FormatError(f"is damaged: member {number} has a name of {size} bytes")
    padded = size + -(HEADER + size) % 4
    name = feed.take(padded)
    if len(name) < padded:
        raise _cut(number)
    if name[size - 1]:
        raise FormatError(f"is damaged: the name of member {number} does not end")
    # Whoever aligns the content of files to whole pages fills their names up with zeros.
    return name.partition(b"\0")[0].decode("utf-8", "replace")


def _check_sum(feed: Feed, size: int, declared: int, number: int) -> None:
    """Compare the sum of a file's bytes, modulo what adler32 counts in (it is quick)."""
    running, left = 1, size
    while left:
        chunk = feed.take(min(left, 65536))
        if not chunk:
            raise _cut(number)
        running = zlib.adler32(chunk, running)
        left -= len(chunk)
    if ((running & 0xFFFF) - 1) % ADLER_MODULUS != declared % ADLER_MODULUS:
        raise FormatError(f"is damaged: the checksum of member {number} is wrong")


def _skip_padding(feed: Feed, size: int, number: int) -> None:
    if feed.skip(-size % 4) < -size % 4:
        raise _cut(number)


def _cut(number: int) -> FormatError:
    return FormatError(f"is cut: it ends in member {number}")
