"""The data directory: what is where, whether it is ours.

A directory is ours when it has the file `format`, which is written first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.errors import (
    DataDirNotOurs,
    DataDirNotWritable,
    MirrorError,
    NoSpace,
    NotInitialised,
    StoreError,
)
from mirror.store.durable import disk_errors, make_dirs, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = b"maas-image-mirror data:1\n"
_IGNORED = frozenset({"lost+found"})


class DataDir:
    """The paths of one data directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def blobs(self) -> Path:
        """`blobs/`, with `sha256/ab/abcdef...` below."""
        return self.root / "blobs"

    @property
    def incoming(self) -> Path:
        """`incoming/`: partial downloads and uploads."""
        return self.root / "incoming"

    @property
    def snapshots(self) -> Path:
        """`snapshots/`: one signed file each."""
        return self.root / "snapshots"

    @property
    def channels(self) -> Path:
        """`channels/`: one pointer file each, history beside it."""
        return self.root / "channels"

    @property
    def restricted(self) -> Path:
        """`restricted/`: which blobs are not for everyone; made when there is one."""
        return self.root / "restricted"

    @property
    def pulls(self) -> Path:
        """`pulls/`: when each snapshot was last pulled; made when the first one is."""
        return self.root / "pulls"

    @property
    def gnupg(self) -> Path:
        """`gnupg/`: the mirror's own key."""
        return self.root / "gnupg"

    @property
    def catalog(self) -> Path:
        """`catalog.sqlite`."""
        return self.root / "catalog.sqlite"

    @property
    def format(self) -> Path:
        """`format`: the mark that the directory is a mirror's, and of which layout."""
        return self.root / "format"

    def create(self) -> None:
        """Make the directory, or complete one that is ours already.

        Raises DataDirNotOurs when it holds files of someone else, DataDirNotWritable, NoSpace.
        """
        try:
            with disk_errors(self.root):
                self._make()
        except NoSpace:
            raise
        except StoreError as error:
            raise DataDirNotWritable(error.what) from error

    def _make(self) -> None:
        make_dirs(self.root)
        if self.format.exists() or self._strangers():
            self.check()
        else:
            write_atomic(self.format, _FORMAT)
        for folder in (self.blobs / "sha256", self.incoming, self.snapshots, self.channels):
            make_dirs(folder)

    def check(self) -> None:
        """Raise NotInitialised or DataDirNotOurs unless the directory is ours. Writes nothing."""
        try:
            mark = self.format.read_bytes()
        except FileNotFoundError:
            raise self._no_mark() from None
        except OSError as error:
            raise DataDirNotWritable(f"{self.format}: {error.strerror}") from error
        if mark != _FORMAT:
            raise DataDirNotOurs(
                f"{self.format} says {mark[:60]!r}, which this version does not know",
                remedy="Use the version of maas-image-mirror that made this directory.",
            )

    def _no_mark(self) -> MirrorError:
        try:
            strangers = self._strangers()
        except OSError as error:
            return NotInitialised(f"{self.root}: {error.strerror}")
        if not strangers:
            return NotInitialised(f"{self.root} is empty")
        return DataDirNotOurs(f"{self.root} holds other files: {', '.join(strangers[:5])}")

    def _strangers(self) -> list[str]:
        names = sorted(entry.name for entry in self.root.iterdir())
        # a temp file of `format` is from a creation that was cut short
        return [name for name in names if name not in _IGNORED and not name.startswith(".format.")]
