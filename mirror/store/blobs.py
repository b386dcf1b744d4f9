"""Blobs: the bytes of files, each named by its sha256, immutable.

The protocols grow: who only reads asks for `Blobs`, a sync for `WritableBlobs`, gc for
`PrunableBlobs`. Another store, or a wrapper around one, need only have the methods.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from mirror.errors import StoreError
from mirror.model import FileRef
from mirror.store.durable import disk_errors, make_dirs, sync_dir, sync_file, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SHA256 = re.compile(r"[0-9a-f]{64}")
_IMMUTABLE = 0o444


class Blobs(Protocol):
    """Blobs to read. `sha256` is 64 lower-case hex digits, or StoreError is raised."""

    def has(self, sha256: str) -> bool:
        """Say whether the blob is here."""
        ...

    def path(self, sha256: str) -> Path:
        """Return where the blob is, or would be."""
        ...

    def size(self, sha256: str) -> int | None:
        """Return the blob's size in bytes; None when it is not here."""
        ...


class WritableBlobs(Blobs, Protocol):
    """Blobs that can be added."""

    def adopt(self, file: Path, sha256: str) -> None:
        """Make a blob of a file (of the same file system) whose digest the caller has computed.

        The file is gone afterwards, also if the blob was here already. Raises the errors of the
        disk.
        """
        ...

    def adopt_all(self, files: Sequence[tuple[Path, str]]) -> None:
        """Adopt several files (path, sha256): they wait for the disk together, not in turn."""
        ...

    def add_bytes(self, data: bytes) -> FileRef:
        """Make a blob of some bytes, and return what to name it by."""
        ...


class PrunableBlobs(WritableBlobs, Protocol):
    """Blobs that can be listed and deleted."""

    def hashes(self) -> Iterator[str]:
        """Yield the sha256 of every blob, in no order."""
        ...

    def delete(self, sha256: str) -> None:
        """Delete the blob, if it is here. Needs no free space."""
        ...


class LocalBlobs:
    """Blobs in a local directory, at `<root>/sha256/ab/abcdef...`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = root / "sha256"

    def has(self, sha256: str) -> bool:
        """Say whether the blob is here."""
        return self.path(sha256).is_file()

    def path(self, sha256: str) -> Path:
        """Return where the blob is, or would be."""
        check_sha256(sha256)
        return self._folder / sha256[:2] / sha256

    def size(self, sha256: str) -> int | None:
        """Return the blob's size in bytes; None when it is not here."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def adopt(self, file: Path, sha256: str) -> None:
        """Make a blob of a file; see WritableBlobs."""
        self.adopt_all([(file, sha256)])

    def adopt_all(self, files: Sequence[tuple[Path, str]]) -> None:
        """Make blobs of files; see WritableBlobs."""
        targets = [(file, self.path(sha256)) for file, sha256 in files]
        folders = {target.parent for _, target in targets}
        with disk_errors(self.root):
            # the journal is written for the first of them; the others find it done
            for file, _ in targets:
                sync_file(file)
            for folder in folders:
                make_dirs(folder)
            for file, target in targets:
                # over a blob that is here already: that one may be damaged, and gc sees a young one
                file.chmod(_IMMUTABLE)
                file.replace(target)
            for folder in folders:
                sync_dir(folder)

    def add_bytes(self, data: bytes) -> FileRef:
        """Make a blob of some bytes; see WritableBlobs."""
        sha256 = hashlib.sha256(data).hexdigest()
        target = self.path(sha256)
        with disk_errors(target):
            if _same(target, data):
                # gc spares what was wanted lately
                os.utime(target)
            else:
                make_dirs(target.parent)
                write_atomic(target, data, _IMMUTABLE)
        return FileRef(sha256=sha256, size=len(data))

    def hashes(self) -> Iterator[str]:
        """Yield the sha256 of every blob, in no order."""
        for file in self.files():
            if _SHA256.fullmatch(file.name):
                yield file.name

    def files(self) -> Iterator[Path]:
        """Yield every file below the store: the blobs, and what a crash may have left there."""
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.is_dir():
                yield from folder.iterdir()

    def delete(self, sha256: str) -> None:
        """Delete the blob, if it is here. Needs no free space."""
        path = self.path(sha256)
        with disk_errors(path), suppress(FileNotFoundError):
            path.unlink()


def check_sha256(text: str) -> None:
    """Raise StoreError unless this is a digest that can name a file."""
    if not _SHA256.fullmatch(text):
        raise StoreError(f"{text[:80]!r} is not a sha256 of 64 lower-case hex digits")


def _same(blob: Path, data: bytes) -> bool:
    try:
        return blob.read_bytes() == data
    except FileNotFoundError:
        return False
