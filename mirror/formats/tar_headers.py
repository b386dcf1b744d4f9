"""The headers of a tar archive: ustar, GNU's and pax. Pure functions over bytes.

Whatever a header says is bounded and checked here; `FormatError` says what is wrong with it.
"""

from __future__ import annotations

import base64
import struct
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote_to_bytes

import msgspec

from mirror.formats.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 512

_MAX_NUMBER = 2**63 - 1
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_HOLES_AT, _HOLES_IN_HEADER, _HOLES_IN_BLOCK = 386, 4, 21
USER, GROUP, TIME = slice(108, 116), slice(116, 124), slice(136, 148)
_CHECKSUM = slice(148, 156)
_MAJOR, _MINOR = slice(329, 337), slice(337, 345)
_REAL_SIZE = slice(483, 495)
_STAR_XATTR, _BSD_XATTR = b"SCHILY.xattr.", b"LIBARCHIVE.xattr."
_SELINUX = b"RHT.security.selinux"

DEVICES = (b"3", b"4")
"""The letters of a character device and of a block device."""

Pieces = tuple[tuple[int, int], ...]
"""Where a file with holes has data: (offset, length) in bytes."""


class Header(msgspec.Struct, frozen=True, gc=False):
    """One header block.

    `name` has at most 256 bytes, `target` 100; longer ones are in headers of their own before it.
    """

    name: bytes
    mode: int
    size: int
    kind: bytes
    target: bytes


def read_header(block: bytes) -> Header:
    """Read a header block of 512 bytes."""
    name, mode, _, _, size, _, _, kind, target, magic, *_, prefix = _HEADER.unpack(block)
    if not sums_up(block):
        raise FormatError("is damaged: the checksum of a header is wrong")
    name = text(name)
    # GNU's own headers keep other things where ustar has the start of a long path.
    if magic[:6] == b"ustar\0" and prefix[0]:
        name = text(prefix) + b"/" + name
    return Header(name, number(mode, "mode") & 0o7777, number(size, "size"), kind, text(target))


@lru_cache(maxsize=256)
def owner(field: bytes) -> int:
    """Read the number of a user or a group: most files in an archive have the same."""
    return number(field, "owner")


def time_of(block: bytes) -> int:
    """Read the time of a header, in seconds; it may lie before 1970."""
    field = block[TIME]
    if field[0] == 0xFF:
        return int.from_bytes(field, "big", signed=True)
    return number(field, "time")


def device_of(block: bytes) -> tuple[int, int]:
    """Read the major and minor number of a device."""
    return number(block[_MAJOR], "device"), number(block[_MINOR], "device")


def seconds(value: bytes) -> int:
    """Read a time of a pax record, in seconds with a fraction, as nanoseconds."""
    whole, _, part = value.removeprefix(b"-").partition(b".")
    if not (whole + b"0").isdigit() or not (part + b"0").isdigit() or len(value) > 40:
        _refuse(value, "time")
    found = int(whole or b"0") * 10**9 + int(part[:9].ljust(9, b"0"))
    return -found if value.startswith(b"-") else found


def xattr_of(key: bytes, value: bytes) -> tuple[str, bytes] | None:
    """Return the extended attribute that a pax record holds, as the kernel has it; None for none.

    GNU tar and star write the value as it is, bsdtar in base 64 as well; star has the label of
    SELinux in a record of its own, without the NUL that the kernel ends it with.
    """
    if key == _SELINUX:
        return "security.selinux", value if value.endswith(b"\0") else value + b"\0"
    if key.startswith(_STAR_XATTR):
        return key[len(_STAR_XATTR) :].decode("utf-8", "surrogateescape"), value
    if key.startswith(_BSD_XATTR):
        name = unquote_to_bytes(key[len(_BSD_XATTR) :]).decode("utf-8", "surrogateescape")
        try:
            return name, base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
        except ValueError:
            raise FormatError(
                f"is damaged: the extended attribute {name[:40]!r} can't be read"
            ) from None
    return None


def text(field: bytes) -> bytes:
    """Return what stands before the first NUL."""
    return field.partition(b"\0")[0]


def number(field: bytes, what: str) -> int:
    """Read a number: octal digits, or base 256 where the first bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
        if value > _MAX_NUMBER:  # a negative one as well: its first byte is 0xff
            raise FormatError(f"is damaged: a header has an impossible {what}")
        return value
    digits = field[:-1]
    if field[-1] or not digits.isdigit():  # otherwise it is as most programs write it
        digits = text(field).strip(b" ")
    if digits.strip(b"01234567"):
        _refuse(digits, what)
    return int(digits or b"0", 8)


def decimal(value: bytes, what: str) -> int:
    """Read a number of a pax record."""
    if not (value.isdigit() and len(value) < 20):
        _refuse(value, what)
    return int(value)


def pax_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    r"""Read the records of a pax header: `LENGTH KEY=VALUE\n`, one after another."""
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 10)
        digits = data[at:space] if space > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        key, equals, value = data[space + 1 : max(end - 1, 0)].partition(b"=")
        if not (space < end <= len(data) and equals and key and data[end - 1 : end] == b"\n"):
            raise FormatError("is damaged: a pax header can't be read")
        yield key, value
        at = end


def holes_of_header(block: bytes) -> tuple[list[tuple[int, int]], int, bool]:
    """Read GNU's map of holes: the first pieces, the size with holes, whether a block follows."""
    pieces, more = holes_of_block(block[_HOLES_AT:], _HOLES_IN_HEADER)
    return pieces, number(block[_REAL_SIZE], "size"), more


def holes_of_block(
    block: bytes, count: int = _HOLES_IN_BLOCK
) -> tuple[list[tuple[int, int]], bool]:
    """Read up to `count` pieces of GNU's map of holes, and whether another block follows."""
    pieces = [
        (number(block[at : at + 12], "map"), number(block[at + 12 : at + 24], "map"))
        for at in range(0, count * 24, 24)
        if block[at]
    ]
    return pieces, bool(block[count * 24])


def check_pieces(pieces: list[tuple[int, int]], stored: int, size: int) -> Pieces:
    """Return the pieces, which are in order, within `size` bytes, and `stored` bytes in all."""
    end = total = 0
    for offset, length in pieces:
        if offset < end:
            raise FormatError("is damaged: a file with holes has overlapping pieces")
        end, total = offset + length, total + length
    if end > size or total != stored:
        raise FormatError("is damaged: a file with holes has other pieces than it says")
    return tuple(pieces)


def sums_up(block: bytes) -> bool:
    """Say whether a block has the checksum that it says: no header has another."""
    checksum = block[_CHECKSUM]
    said = text(checksum).strip(b" ")
    if not said or said.strip(b"01234567"):
        return False
    unsigned = _sum(block[:256]) + _sum(block[256:]) - _sum(checksum) + 8 * 0x20
    if int(said, 8) == unsigned:
        return True
    # Some old writers summed up signed characters.
    high = sum(byte > 0x7F for byte in block[:148] + block[156:])
    return int(said, 8) == unsigned - 256 * high


def _sum(data: bytes) -> int:
    """Add up to 256 bytes: the lower half of an Adler-32 is their sum and one, fast."""
    return (zlib.adler32(data) & 0xFFFF) - 1


def _refuse(value: bytes, what: str) -> NoReturn:
    raise FormatError(f"is damaged: the {what} in a header is no number: {value[:24]!r}")
