"""Names in a FAT directory: the short ones of 8 and 3 letters, and VFAT's long ones before them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.formats import FormatError
from mirror_custom_images.filesystems.fat_geometry import SLOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

READ_ONLY, LABEL, DIRECTORY, LONG = 0x01, 0x08, 0x10, 0x0F
_LOWER_BASE, _LOWER_EXTENSION = 0x08, 0x10
_LAST = 0x40
"""Set in the number of a long name's last part, which comes first."""
_DELETED, _KANJI = 0xE5, 0x05
UNITS = 13
"""UTF-16 units of a long name in one slot."""
MOST_UNITS = 255
_SHORT = struct.Struct("<11sBBBHHHHHHHI")
_ENDS = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Slot:
    """An entry of a directory, its long name put together.

    `index` is which slot of the directory has the short name, and `first` the first of the long
    one's; `alias` is the short name. `cluster` is where the content begins, 0 where there is none.
    """

    index: int
    first: int
    name: str
    alias: str
    attributes: int
    cluster: int
    size: int
    date: int
    time: int

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return bool(self.attributes & DIRECTORY)

    def is_called(self, name: str) -> bool:
        """Say whether the name, or the short one, is this, of any case."""
        wanted = name.lower()
        return wanted in (self.name.lower(), self.alias.lower())


def read_slots(pieces: Iterable[bytes], *, wide: bool) -> Iterator[Slot]:
    """Yield what is in a directory, in its order, `.`, `..` and the label of the volume left out.

    `wide`: numbers of clusters have 32 bits. Raises `FormatError` for a name that can't be.
    """
    long = _LongName()
    for index, raw in enumerate(_cut(pieces)):
        if raw[0] == 0:
            return
        if raw[0] == _DELETED:
            long = _LongName()
        elif raw[11] & 0x3F == LONG:
            long.add(index, raw)
        else:
            if not raw[11] & LABEL and not raw.startswith((b".          ", b"..         ")):
                yield _slot(index, raw, long, wide=wide)
            long = _LongName()


def label_of(pieces: Iterable[bytes]) -> bytes:
    """Return the label of the volume, which is in the root directory; b'' where it has none."""
    for raw in _cut(pieces):
        if raw[0] == 0:
            break
        if raw[0] != _DELETED and raw[11] & LABEL and raw[11] & 0x3F != LONG:
            return raw[:11]
    return b""


def checksum(short: bytes) -> int:
    """Return the sum of a short name, which binds the parts of a long one to it."""
    total = 0
    for byte in short:
        total = ((total & 1) << 7 | total >> 1) + byte & 0xFF
    return total


def as_text(raw: bytes) -> str:
    """Decode what is no UTF-16: a short name, or a label."""
    return raw.decode("cp437").rstrip(" \0")


class _LongName:
    """The parts of a long name, as they come: the last one first."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._expected = 0
        self._sum = 0
        self.first = 0

    def add(self, index: int, raw: bytes) -> None:
        number = raw[0]
        if number & _LAST:
            self._parts, self._sum, self.first = [], raw[13], index
            self._expected = number & ~_LAST
        if not self._expected or number & ~_LAST != self._expected or raw[13] != self._sum:
            self._parts, self._expected = [], 0
            return
        self._parts.append(raw[1:11] + raw[14:26] + raw[28:32])
        self._expected -= 1

    def text(self, short: bytes) -> str:
        """Return the name; '' where it is not whole, not of this short name, or no name at all."""
        if not self._parts or self._expected or self._sum != checksum(short):
            return ""
        units = b"".join(reversed(self._parts))
        for at in range(0, len(units), 2):
            if units[at : at + 2] in (b"\0\0", _ENDS):
                units = units[:at]
                break
        try:
            name = units.decode("utf-16-le")
        except UnicodeDecodeError:
            return ""
        return name if _can_be(name) and len(units) <= 2 * MOST_UNITS else ""


def _slot(index: int, raw: bytes, long: _LongName, *, wide: bool) -> Slot:
    short, attributes, case, _, _, _, _, high, time, date, low, size = _SHORT.unpack(raw)
    alias = _alias(short, case)
    name = long.text(short)
    if not name and not _can_be(alias):
        raise FormatError(f"is a damaged FAT: it has a name that can't be, {alias!r}")
    return Slot(
        index=index,
        first=long.first if name else index,
        name=name or alias,
        alias=alias,
        attributes=attributes,
        cluster=(high << 16 | low) & 0x0FFFFFFF if wide else low,
        size=size,
        date=date,
        time=time,
    )


def _alias(short: bytes, case: int) -> str:
    if short[0] == _KANJI:
        short = bytes([_DELETED]) + short[1:]
    base, extension = as_text(short[:8]), as_text(short[8:])
    base = base.lower() if case & _LOWER_BASE else base
    extension = extension.lower() if case & _LOWER_EXTENSION else extension
    return f"{base}.{extension}" if extension else base


def _can_be(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for at in range(0, len(piece), SLOT):
            yield piece[at : at + SLOT]
