"""How large and how deep a tree may be: a damaged one can be endless, or nested in itself."""

from __future__ import annotations

from mirror.formats import FormatError

MAX_ENTRIES = 3_000_000
"""In a file system; an installed server has less than a tenth of it."""
MAX_IN_DIRECTORY = 1_000_000
MAX_PATH = 16_384
"""Characters; Linux takes 4,096 bytes at a time, Windows 32,767 characters with a prefix."""


class TreeLimits:
    """Counts what a walk meets; each refuses with `FormatError`."""

    def __init__(self) -> None:
        self._entries = 0
        self._entered: set[int] = set()

    def add(self, entries: int) -> None:
        """Count the entries of one directory."""
        self._entries += entries
        if entries > MAX_IN_DIRECTORY or self._entries > MAX_ENTRIES:
            raise FormatError(f"has more than {MAX_ENTRIES:,} entries, or is damaged")

    def enter(self, path: str, number: int) -> None:
        """Go into a directory, which is nowhere else in the tree; `number` tells it apart."""
        if number in self._entered:
            raise FormatError(f"is damaged: {path} is a directory that is somewhere else as well")
        if len(path) > MAX_PATH:
            raise FormatError(f"is damaged: it is deeper than {MAX_PATH:,} characters")
        self._entered.add(number)

    def name(self, name: str, path: str) -> str:
        """Return a name that can be one: of something in the directory at `path`."""
        if not name or "/" in name or "\0" in name or name in (".", ".."):
            raise FormatError(f"is damaged: an impossible name is in {path}")
        return name
