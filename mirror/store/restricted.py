"""Which blobs are not for everyone: a mark beside the store, for a blob that is asked for by name.

A path says by its snapshot what one needs to have it; a digest says nothing. So each blob that is
not free has a small file at `<root>/ab/abcdef...` with that text in it. It is there before the
snapshot that brings the blob, or the blob itself; whoever asks for a blob costs one look.

The newest snapshot that has a blob decides. A mark too many hides what is free, for a while; one
too few gives away what is not, so in doubt there is one.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from mirror.access.licences import FREE, needs_all, needs_any
from mirror.store.blobs import check_sha256
from mirror.store.durable import TEMP_SUFFIX, disk_errors, make_dirs, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mirror.model import FileRef, Snapshot

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNREADABLE = "unknown"
"""What nobody has: for a mark that says nothing."""


class Restricted:
    """The marks of one data directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def needed(self, sha256: str) -> str:
        """Return what one needs to have this blob; '' for one that is free. Blocks."""
        path = self._path(sha256)
        with disk_errors(path):
            try:
                return path.read_text(errors="replace").strip() or _UNREADABLE
            except FileNotFoundError:
                return FREE

    def mark(self, sha256: str, licence: str) -> None:
        """Say what one needs to have this blob, durably; it need not be in the store yet.

        Raises the errors of the disk.
        """
        if licence == FREE:
            raise ValueError("a free blob has no mark")
        path = self._path(sha256)
        if self.needed(sha256) != licence:
            with disk_errors(path):
                make_dirs(path.parent)
            write_atomic(path, f"{licence}\n".encode())

    def drop(self, sha256: str) -> None:
        """Remove the mark, if there is one. Needs no free space."""
        path = self._path(sha256)
        with disk_errors(path), suppress(FileNotFoundError):
            path.unlink()

    def marked(self) -> Iterator[str]:
        """Yield the sha256 of every blob that has a mark, in no order."""
        for file in self._files():
            if _SHA256.fullmatch(file.name):
                yield file.name

    def written(self, sha256: str) -> float:
        """Return when the mark was written, in seconds since the epoch; 0 where there is none."""
        with suppress(FileNotFoundError):
            return self._path(sha256).stat().st_mtime
        return 0.0

    def strays(self) -> Iterator[Path]:
        """Yield what a crash left behind."""
        for file in self._files():
            if file.name.endswith(TEMP_SUFFIX):
                yield file

    def protect(self, needed: Mapping[str, str]) -> int:
        """Mark what is not free of these blobs (sha256 -> needed); return how many were not."""
        fresh = 0
        for sha256, licence in needed.items():
            if licence != FREE and self.needed(sha256) != licence:
                self.mark(sha256, licence)
                fresh += 1
        return fresh

    def release(self, needed: Mapping[str, str]) -> None:
        """Remove the marks of what is free of these blobs."""
        for sha256 in list(self.marked()):
            if needed.get(sha256) == FREE:
                self.drop(sha256)

    def _path(self, sha256: str) -> Path:
        check_sha256(sha256)
        return self.root / sha256[:2] / sha256

    def _files(self) -> Iterator[Path]:
        for folder in self.root.iterdir() if self.root.is_dir() else ():
            if folder.is_dir():
                yield from folder.iterdir()


def needed_for(snapshot: Snapshot) -> dict[str, str]:
    """Return what one needs to have each blob that the snapshot reaches, by its sha256.

    The list of all products, and what was received from a source that gave some that are not free,
    tell of these: they take every licence that there is in the snapshot.
    """
    needed: dict[str, str] = {}
    for sha256, licence in _needs(snapshot):
        known = needed.setdefault(sha256, licence)
        if known != licence:
            needed[sha256] = needs_any((known, licence))
    return needed


def _needs(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for ref in snapshot.files.values():
        yield ref.sha256, ref.licence
    for ref in _coded(snapshot.variants):
        yield ref.sha256, FREE
    for name, view in snapshot.views.items():
        for ref in (*view.files.values(), *_coded(view.variants)):
            yield ref.sha256, name
    everything = needs_all(word for name in snapshot.views for word in name.split("+"))
    if snapshot.products is not None:
        yield snapshot.products.sha256, everything
    telling = {ref.source for ref in snapshot.files.values() if ref.licence}
    for source, state in snapshot.sources.items():
        for ref in state.files.values():
            yield ref.sha256, everything if source in telling else FREE


def _coded(variants: Mapping[str, Mapping[str, FileRef]]) -> Iterator[FileRef]:
    for codings in variants.values():
        yield from codings.values()
