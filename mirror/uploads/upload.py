"""An upload at rest: a directory in `incoming`, with what it is to be and the bytes that have come.

    upload-<id>/upload.json     written once, and once more when a job has been asked to take it
    upload-<id>/data            how long it is says how far the upload is

What can be lost is lost with the directory; age sweeps it away (`store.grace`) unless bytes come.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import NotFound, UploadDamaged
from mirror.model import utcnow
from mirror.store.durable import disk_errors, sync_dir, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mirror.uploads.receive import Digest

PREFIX = "upload-"
_ID = re.compile(r"[0-9a-f]{32}")
_INFO, _DATA, _LOCK = "upload.json", "data", "lock"


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """What a client wants to bring: `length` bytes, of what `metadata` says.

    `sha256` is what the client says that it will be ('': nothing). `job` is the one that takes it
    in, once it is whole (0: not yet). With `licence_stays`, it may not change the licence of the
    image that it becomes a version of.
    """

    id: str
    length: int
    metadata: dict[str, str] = {}
    sha256: str = ""
    by: str = ""
    licence_stays: bool = False
    created: datetime
    job: int = 0


class Uploads:
    """The uploads of one mirror. Everything here blocks."""

    def __init__(self, incoming: Path, lifetime: timedelta) -> None:
        self._incoming = incoming
        self._lifetime = lifetime
        self.digests: OrderedDict[str, Digest] = OrderedDict()
        """Of the uploads of which this process has seen every byte so far."""

    def create(
        self,
        length: int,
        metadata: dict[str, str],
        *,
        sha256: str,
        by: str,
        licence_stays: bool = False,
    ) -> Upload:
        """Make room for an upload. Raises the errors of the disk."""
        upload = Upload(
            id=secrets.token_hex(16),
            length=length,
            metadata=metadata,
            sha256=sha256,
            by=by,
            licence_stays=licence_stays,
            created=utcnow(),
        )
        folder = self.folder(upload.id)
        with disk_errors(folder):
            folder.mkdir(mode=0o700)
            self.data(upload.id).touch(mode=0o600)
        self.store(upload)
        sync_dir(self._incoming)
        return upload

    def find(self, number: str) -> Upload:
        """Return an upload. Raises `NotFound`, `UploadDamaged`."""
        if not _ID.fullmatch(number):
            raise NotFound(f"there is no upload {number[:40]!r}")
        try:
            data = (self.folder(number) / _INFO).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"there is no upload {number}, or not any more") from None
        try:
            return msgspec.json.decode(data, type=Upload)
        except msgspec.MsgspecError as error:
            raise UploadDamaged(
                f"upload {number}: what was kept of it is damaged: {error}"
            ) from None

    def all(self) -> Iterator[Upload]:
        """Yield every upload that can be read, by when it was begun."""
        found = []
        for folder in self._incoming.glob(f"{PREFIX}*"):
            try:
                found.append(self.find(folder.name.removeprefix(PREFIX)))
            except (NotFound, UploadDamaged):
                continue
        yield from sorted(found, key=lambda each: (each.created, each.id))

    def store(self, upload: Upload) -> None:
        """Write down what is known of an upload."""
        write_atomic(self.folder(upload.id) / _INFO, msgspec.json.encode(upload), mode=0o600)

    def offset(self, upload: Upload) -> int:
        """Return how many bytes have come. One that a job has taken has all."""
        try:
            return self.data(upload.id).stat().st_size
        except FileNotFoundError:
            return upload.length

    def expires(self, upload: Upload) -> datetime:
        """Return when it is swept away unless more bytes come."""
        try:
            last = self.folder(upload.id).stat().st_mtime
        except FileNotFoundError:
            return utcnow()
        return datetime.fromtimestamp(last, tz=upload.created.tzinfo) + self._lifetime

    def remove(self, upload: Upload) -> None:
        """Forget an upload, and what came of it."""
        self.digests.pop(upload.id, None)
        with disk_errors(self.folder(upload.id)):
            shutil.rmtree(self.folder(upload.id), ignore_errors=False)

    def held_by(self, by: str) -> int:
        """Return how many uploads of somebody take room: under way, waiting, or refused."""
        return sum(each.by == by and self.data(each.id).exists() for each in self.all())

    def waiting_bytes(self) -> int:
        """Return how much all uploads that are under way will take of the disk."""
        return sum(each.length for each in self.all() if self.data(each.id).exists())

    # --- where it is ------------------------------------------------------------------------------

    def folder(self, number: str) -> Path:
        """Return the upload's directory."""
        return self._incoming / f"{PREFIX}{number}"

    def data(self, number: str) -> Path:
        """Return where the bytes are that have come."""
        return self.folder(number) / _DATA

    def lock(self, number: str) -> Path:
        """Return the file that whoever adds bytes has locked."""
        return self.folder(number) / _LOCK

    def touch(self, number: str) -> None:
        """Keep age from sweeping it away."""
        os.utime(self.folder(number))
