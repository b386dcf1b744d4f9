"""Registry hives whose lists of keys lead to themselves, or say that they are endless."""

from __future__ import annotations

import struct

from windows_builder import hive, software

_BIN, _ROOT = 4096, 32
"""Where the only bin begins, and the root key in it."""
_COUNT, _LIST = 20, 28
"""Fields of a key: how many keys are below it, and where the list of them is."""


class HostileHive:
    """A good hive of SOFTWARE, to which cells are added; its root can be given another list."""

    def __init__(self) -> None:
        self._data = bytearray(hive(software()))

    @property
    def next(self) -> int:
        """Where the next cell will be."""
        return len(self._data) - _BIN

    def cell(self, content: bytes) -> int:
        """Add a cell; return where it is."""
        at = self.next
        size = -(-(len(content) + 4) // 8) * 8
        self._data += struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
        return at

    def listed(self, kind: bytes, *below: int) -> int:
        """Add a list of keys, or of lists (`ri`)."""
        rows = b"".join(struct.pack("<I", each) for each in below)
        return self.cell(struct.pack("<2sH", kind, len(below)) + rows)

    def bytes(self, keys: int, at: int) -> bytes:
        """Return the hive: its root says that it has so many keys, and that their list is there."""
        key = _BIN + _ROOT + 4
        struct.pack_into("<I", self._data, key + _COUNT, keys)
        struct.pack_into("<I", self._data, key + _LIST, at)
        rest = -len(self._data) % 4096
        if rest:
            self._data += struct.pack("<i", rest).ljust(rest, b"\0")
        size = len(self._data) - _BIN
        struct.pack_into("<I", self._data, _BIN + 8, size)
        struct.pack_into("<I", self._data, 40, size)
        total = 0
        for [word] in struct.iter_unpack("<I", bytes(self._data[:508])):
            total ^= word
        struct.pack_into("<I", self._data, 508, total or 1)
        return bytes(self._data)


def of_itself() -> bytes:
    """A list that is in itself."""
    made = HostileHive()
    return made.bytes(1, made.listed(b"ri", made.next))


def of_itself_often() -> bytes:
    """A list that is in itself, 20,000 times."""
    made = HostileHive()
    return made.bytes(20_000, made.listed(b"ri", *[made.next] * 20_000))


def nested() -> bytes:
    """Lists of a thousand lists each, twelve deep: 10^36 keys."""
    made, at = HostileHive(), _ROOT
    for _ in range(12):
        at = made.listed(b"ri", *[at] * 1000)
    return made.bytes(1000, at)


def deep() -> bytes:
    """A hundred thousand lists, one in the other."""
    made, at = HostileHive(), _ROOT
    for _ in range(100_000):
        at = made.listed(b"ri", at)
    return made.bytes(1, at)


def endless() -> bytes:
    """One list of 65,535 keys, a hundred times: all of them are the root."""
    made = HostileHive()
    leaf = made.listed(b"li", *[_ROOT] * 65_535)
    return made.bytes(6_553_500, made.listed(b"ri", *[leaf] * 100))


HIVES = {made.__name__: made for made in (of_itself, of_itself_often, nested, deep, endless)}
