"""Bytes come in: in order, by one request at a time, counted, and hashed as they pass."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mirror.errors import OffsetConflict, UploadOverflow
from mirror.store.durable import disk_errors
from mirror.store.locks import file_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.uploads.upload import Upload, Uploads

CHECKSUMS = ("sha256", "sha1")
"""What a piece may be checked by; tus wants sha1 to be among them."""

_REMEMBERED = 64
_DURABLE_EVERY = 64 * 1024 * 1024
"""Bytes that a crash of the machine may cost."""


class Digest:
    """The sha256 of the first `position` bytes of an upload."""

    def __init__(self) -> None:
        self.position = 0
        self._hash = hashlib.sha256()

    def update(self, data: bytes) -> None:
        """Add what comes next."""
        self._hash.update(data)
        self.position += len(data)

    def copy(self) -> Digest:
        """Return another that goes its own way from here."""
        twin = Digest()
        twin.position, twin._hash = self.position, self._hash.copy()
        return twin

    def hexdigest(self) -> str:
        """Return it as text."""
        return self._hash.hexdigest()


class Receiver:
    """Adds bytes to an upload. Made by `receive`."""

    def __init__(self, uploads: Uploads, upload: Upload, fd: int, offset: int) -> None:
        self.offset = offset
        self._uploads = uploads
        self._upload = upload
        self._fd = fd
        self._begin = offset
        self._one = threading.Lock()
        self._open = True
        self._durable = offset
        known = uploads.digests.get(upload.id)
        fits = known is not None and known.position == offset
        self._digest = known.copy() if known is not None and fits else None
        if offset == 0:
            self._digest = Digest()

    def add(self, data: bytes) -> None:
        """Write what has come. Blocks. Raises `UploadOverflow`, and the errors of the disk.

        Once it is closed, nothing is written: whoever was cancelled may still have a thread here.
        """
        with self._one:
            if self._open:
                self._add(data)

    def _add(self, data: bytes) -> None:
        if self.offset + len(data) > self._upload.length:
            raise UploadOverflow(
                f"upload {self._upload.id} is to have {self._upload.length:,} bytes, and more came"
            )
        with disk_errors(self._uploads.data(self._upload.id)):
            view = memoryview(data)
            while view:
                view = view[os.pwrite(self._fd, view, self.offset + len(data) - len(view)) :]
            self.offset += len(data)
            if self.offset - self._durable >= _DURABLE_EVERY:
                os.fsync(self._fd)
                self._durable = self.offset
                self._uploads.touch(self._upload.id)
        if self._digest is not None:
            self._digest.update(data)

    def take_back(self) -> None:
        """Forget what this request has brought."""
        os.ftruncate(self._fd, self._begin)
        self.offset = self._begin
        self._digest = None

    def close(self) -> None:
        """Make it durable, and remember the digest so far; wait for what is being written."""
        with self._one:
            self._open = False
            self._close()

    def _close(self) -> None:
        with disk_errors(self._uploads.data(self._upload.id)):
            os.fsync(self._fd)
            self._uploads.touch(self._upload.id)
        digests = self._uploads.digests
        digests.pop(self._upload.id, None)
        if self._digest is not None:
            digests[self._upload.id] = self._digest
            while len(digests) > _REMEMBERED:
                digests.popitem(last=False)


@contextmanager
def receive(uploads: Uploads, upload: Upload, offset: int) -> Iterator[Receiver]:
    """Let bytes be added at `offset`, which must be where the upload is.

    Raises `Busy` while another request adds to it, `OffsetConflict`, and the errors of the disk.
    """
    with file_lock(uploads.lock(upload.id), wait=False):
        here = uploads.offset(upload)
        if offset != here:
            raise OffsetConflict(
                f"upload {upload.id} has {here:,} bytes; these begin at {offset:,}"
            )
        with disk_errors(uploads.data(upload.id)):
            try:
                fd = os.open(uploads.data(upload.id), os.O_WRONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                what = f"upload {upload.id} is whole, and was taken in: it takes no more bytes"
                raise OffsetConflict(what) from None
        try:
            receiver = Receiver(uploads, upload, fd, offset)
            try:
                yield receiver
            finally:
                receiver.close()
        finally:
            os.close(fd)


def digest_of(uploads: Uploads, upload: Upload) -> str:
    """Return the sha256 of a whole upload, if this process has seen every byte; else ''."""
    known = uploads.digests.get(upload.id)
    return known.hexdigest() if known is not None and known.position == upload.length else ""
