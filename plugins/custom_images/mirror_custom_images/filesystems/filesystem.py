"""What every file system is, whatever its format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.entries import Entry


class FileSystem(Protocol):
    """A file system that is only read. Whatever is read from it is hostile."""

    @property
    def kind(self) -> str:
        """How Linux names it: `ext4`, `xfs`, `ntfs`, `vfat`."""
        ...

    @property
    def label(self) -> str:
        """The volume's name; may be ''."""
        ...

    def find(self, path: str) -> Entry | None:
        """Return what is at a path (of any case, where the file system does not tell cases apart).

        Symbolic links are not followed. Raises `FormatError` where the file system is damaged.
        """
        ...

    def list(self, path: str) -> Iterator[Entry]:
        """Yield what is in a directory, in the order of the names; nothing where there is none."""
        ...

    def walk(self) -> Iterator[Entry]:
        """Yield everything, each directory before what is in it; the root, `.`, comes first.

        Raises `FormatError` for a tree that never ends, or has more entries than any root has.
        """
        ...
