"""Names that are written into a FAT directory: what may be one, its short name, its slots."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

from mirror.api import BuildRefused
from mirror_custom_images.filesystems.fat_names import LONG, MOST_UNITS, UNITS, checksum

_FORBIDDEN = frozenset('"*/:<>?\\|\x7f') | {chr(code) for code in range(32)}
_SHORT_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'()-@^_`{}~")
_LAST = 0x40
_SHORT = struct.Struct("<11sBBBHHHHHHHI")
_EARLIEST, _LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, tzinfo=UTC)
_MOST_ALIASES = 10**6


def check_name(name: str) -> None:
    """Raise `BuildRefused` for a name that no file in a FAT can have."""
    reason = ""
    if name in ("", ".", "..") or name[-1] in ". " or not _FORBIDDEN.isdisjoint(name):
        reason = "has a character, or an end, that a name in a FAT can't have"
    elif any("\ud800" <= character <= "\udfff" for character in name):
        reason = "is no UTF-8"
    elif len(name.encode("utf-16-le")) // 2 > MOST_UNITS:
        reason = f"has more than {MOST_UNITS} letters"
    if reason:
        raise BuildRefused(f"the name {name!r} {reason}", "Rename the file.")


def short_name(name: str, taken: set[bytes]) -> bytes:
    """Return a short name of 11 bytes, as the format's own rules make it, that is not taken yet."""
    stem, dot, extension = name.upper().lstrip(".").rpartition(".")
    if not dot:
        stem, extension = extension, ""
    base, clean_base = _clean(stem)
    ending, clean_ending = _clean(extension)
    whole = _padded(base[:8], ending)
    lossless = clean_base and clean_ending and not name.startswith(".")
    if lossless and len(base) <= 8 and len(ending) <= 3 and whole not in taken:
        return whole
    for number in range(1, _MOST_ALIASES):
        tail = f"~{number}"
        candidate = _padded(base[: 8 - len(tail)] + tail, ending)
        if candidate not in taken:
            return candidate
    raise BuildRefused(f"there is no short name left for {name!r}", "Rename the file.")


def slots_needed(name: str, short: bytes) -> int:
    """Return how many slots a name takes."""
    return 1 if name == _spelt(short) else 1 + -(-(len(name.encode("utf-16-le")) // 2) // UNITS)


def short_slot(short: bytes, attributes: int, cluster: int, size: int, mtime: int) -> bytes:
    """Return the slot of a short name.

    `mtime` is in nanoseconds, taken as UTC; one that the format can't have becomes its earliest.
    """
    date, time = _when(mtime)
    return _SHORT.pack(
        short, attributes, 0, 0, time, date, date, cluster >> 16, time, date, cluster & 0xFFFF, size
    )


def long_slots(name: str, short: bytes) -> bytes:
    """Return the slots that a long name has before the one of its short name; b'': it has none."""
    count = slots_needed(name, short) - 1
    units = name.encode("utf-16-le")
    if len(units) < 2 * UNITS * count:
        units = (units + b"\0\0").ljust(2 * UNITS * count, b"\xff")
    slots = b""
    for number in range(count, 0, -1):
        part = units[2 * UNITS * (number - 1) : 2 * UNITS * number]
        order = number | (_LAST if number == count else 0)
        head = bytes([order]) + part[:10] + bytes([LONG, 0, checksum(short)])
        slots += head + part[10:22] + b"\0\0" + part[22:]
    return slots


def _clean(text: str) -> tuple[str, bool]:
    """Return what a short name can have of a text, and whether that is all of it."""
    kept = "".join(each if each in _SHORT_CHARACTERS else "_" for each in text if each not in " .")
    return kept, kept == text


def _padded(base: str, extension: str) -> bytes:
    return (base or "_").encode().ljust(8) + extension[:3].encode().ljust(3)


def _spelt(short: bytes) -> str:
    base, extension = short[:8].decode().rstrip(), short[8:].decode().rstrip()
    return f"{base}.{extension}" if extension else base


def _when(mtime: int) -> tuple[int, int]:
    seconds = mtime // 1_000_000_000
    in_range = _EARLIEST.timestamp() <= seconds <= _LATEST.timestamp()
    when = datetime.fromtimestamp(seconds, tz=UTC) if in_range else _EARLIEST
    date = (when.year - 1980) << 9 | when.month << 5 | when.day
    return date, when.hour << 11 | when.minute << 5 | when.second // 2
