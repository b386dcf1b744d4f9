"""Berkeley DB's hash files, in which rpm kept its packages up to EL 7 and SLES 12.

Pages of one size follow each other. A page of the hash holds keys and values in turn; a value that
is too large for it is on a chain of pages of its own.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from mirror.formats import FormatError
from mirror_custom_images.packages.rpm import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = 0x00061561
_VERSIONS = range(5, 11)
_META_PAGE, _OVERFLOW = 8, 7
_HASH_PAGES = (2, 13)
_HEADER_SIZE = 26
_ON_PAGE, _OFF_PAGE = 1, 3
_KEY_SIZE = 4


class _Page(NamedTuple):
    next: int
    entries: int
    used: int
    kind: int


class _Hash:
    """The file: `order` is `<` or `>`; every page is `page_size` bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        stream.seek(0)
        meta = stream.read(512)
        self.order = next((each for each in "<>" if _magic(meta, each) == _MAGIC), "")
        if len(meta) < 512 or not self.order:
            raise FormatError("is no database of rpm that is known")
        version, self.page_size = struct.unpack_from(f"{self.order}II", meta, 16)
        (self.last,) = struct.unpack_from(f"{self.order}I", meta, 32)
        power = self.page_size & (self.page_size - 1) == 0
        if version not in _VERSIONS or not power or not 512 <= self.page_size <= 65536:
            raise FormatError(f"is version {version} of Berkeley DB, which is not known")
        if meta[25] != _META_PAGE or meta[24]:
            raise FormatError("is no hash of Berkeley DB, or is encrypted")
        self.left = (self.last + 1) * self.page_size
        """Bytes of values that may be read still: a chain can't be longer than the file."""

    def page(self, number: int) -> tuple[_Page, bytes]:
        if number > self.last:
            raise FormatError(f"is damaged: it has no page {number:,}")
        self._stream.seek(number * self.page_size)
        data = self._stream.read(self.page_size)
        if len(data) < self.page_size:
            raise FormatError(f"is cut: page {number:,} of {self.last:,} is missing")
        following, entries, used = struct.unpack_from(f"{self.order}IHH", data, 16)
        return _Page(following, entries, used, data[25]), data

    def shorts(self, data: bytes, count: int) -> tuple[int, ...]:
        if _HEADER_SIZE + 2 * count > len(data):
            raise FormatError("is damaged: a page holds more entries than fit")
        return struct.unpack_from(f"{self.order}{count}H", data, _HEADER_SIZE)

    def value_off_page(self, entry: bytes) -> bytes:
        """Follow the chain of pages that hold one large value."""
        if len(entry) < 12:
            raise FormatError("is damaged: a page holds an entry that can't be read")
        number, size = struct.unpack_from(f"{self.order}II", entry, 4)
        self.left -= size
        if size > MOST_BYTES or self.left < 0:
            raise FormatError(f"is damaged: a package has {size:,} bytes")
        parts, had = [], 0
        while number and had < size:
            page, data = self.page(number)
            if page.kind != _OVERFLOW or not 0 < page.used <= self.page_size - _HEADER_SIZE:
                raise FormatError("is damaged: a package goes on at a page that is another's")
            parts.append(data[_HEADER_SIZE : _HEADER_SIZE + page.used])
            had += page.used
            number = page.next
        if had != size:
            raise FormatError("is damaged: a package has other pages than it says")
        return b"".join(parts)


def headers_of_berkeley(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the header of each package, from a file that can be sought in.

    Raises `FormatError` where it is no such file, or is damaged.
    """
    hashed = _Hash(stream)
    for number in range(1, hashed.last + 1):
        page, data = hashed.page(number)
        if page.kind in _HASH_PAGES:
            yield from _values(hashed, page, data)


def _values(hashed: _Hash, page: _Page, data: bytes) -> Iterator[bytes]:
    """Yield the values on a page: entries are stored from its end downwards, key before value."""
    offsets = hashed.shorts(data, page.entries)
    ends = (hashed.page_size, *offsets)
    entries = [data[start:end] for start, end in zip(offsets, ends, strict=False)]
    for key, value in zip(entries[::2], entries[1::2], strict=False):
        if len(key) != 1 + _KEY_SIZE or not value:
            raise FormatError("is damaged: a page holds an entry that can't be read")
        if not any(key[1:]):
            continue  # rpm keeps the highest number that it has given away here
        if value[0] == _OFF_PAGE:
            yield hashed.value_off_page(value)
        elif value[0] == _ON_PAGE:
            yield value[1:]
        else:
            raise FormatError("is damaged: a page holds an entry that can't be read")


def _magic(meta: bytes, order: str) -> int:
    return int.from_bytes(meta[12:16], "little" if order == "<" else "big")
