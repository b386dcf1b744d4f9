"""Custom images that come in over the network, by the tus protocol."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.jobs import is_final
from mirror.errors import (
    Busy,
    ImageTooLarge,
    NotFound,
    UploadInvalid,
    UploadLocked,
    UploadsTooMany,
    UploadWrong,
)
from mirror.images.records import as_before
from mirror.model import JobState
from mirror.store.locks import file_lock
from mirror.store.space import require_space
from mirror.uploads.receive import digest_of
from mirror.uploads.upload import Uploads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.service.mirror import Mirror
    from mirror.uploads.upload import Upload


MOST_HELD = 100
"""Uploads of one token at a time: each costs two files, whatever it says of its length."""
_LOCK = "uploads.lock"
"""Below the data directory: who holds it makes room for an upload."""


class Uploading:
    """The uploads of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    @cached_property
    def uploads(self) -> Uploads:
        """Where they are."""
        return Uploads(self._mirror.dir.incoming, self._mirror.settings.store.grace)

    @property
    def max_size(self) -> int:
        """How many bytes one may have."""
        return int(self._mirror.settings.images.max_size)

    def begin(
        self, length: int, metadata: dict[str, str], *, by: str, licence_stays: bool = False
    ) -> Upload:
        """Make room for an image of which `metadata` says what it is.

        With `licence_stays`, it may not change the licence of an image that there is already.
        Raises `ImageTooLarge`, `NoSpace`, `UploadsTooMany`, `LicenceFixed`, and what a declaration
        is refused for.
        """
        images = self._mirror.custom_images
        as_before(images.wanted(metadata), self._mirror.catalog, licence_stays=licence_stays)
        if not length:
            raise UploadInvalid("an image has at least one byte: Upload-Length: 0 is none")
        if length > self.max_size:
            raise ImageTooLarge(f"{length:,} bytes are more than {self.max_size:,}")
        sha256 = metadata.get("sha256", "").lower()
        with file_lock(self._mirror.dir.root / _LOCK):  # or ten at once would each see room
            if self.uploads.held_by(by) >= MOST_HELD:
                raise UploadsTooMany(f"{by} has {MOST_HELD} uploads that have not become images")
            self._check_quota(length)
            return self.uploads.create(
                length, metadata, sha256=sha256, by=by, licence_stays=licence_stays
            )

    def find(self, number: str) -> Upload:
        """Return an upload. Raises `NotFound`, `UploadDamaged`."""
        return self.uploads.find(number)

    def finish(self, upload: Upload) -> Upload:
        """Ask for a job that takes a whole upload in; once, whoever asks, unless it is interrupted.

        Raises `UploadWrong` where it is known that it is not what was declared.
        """
        with self._alone(upload):
            upload = self.uploads.find(upload.id)
            if upload.job and not self._was_interrupted(upload):
                return upload
            known = digest_of(self.uploads, upload)
            if known and upload.sha256 and known != upload.sha256:
                what = f"upload {upload.id} has the sha256 {known}, not {upload.sha256}"
                raise UploadWrong(what)
            job = self._mirror.custom_images.queue_upload(upload, sha256=known)
            upload = msgspec.structs.replace(upload, job=job)
            self.uploads.store(upload)
        return upload

    def remove(self, upload: Upload) -> None:
        """Forget an upload. Raises `UploadLocked` while bytes come, or a job takes it in."""
        with self._alone(upload):
            if upload.job and not self._has_ended(upload.job):
                raise UploadLocked(f"job {upload.job} is taking upload {upload.id} in")
            self.uploads.remove(upload)

    def jobs_under_way(self) -> set[str]:
        """Return the ids of the uploads that wait for a job, or are being taken in by one."""
        return {
            each.id
            for each in self.uploads.all()
            if each.job and self.uploads.data(each.id).exists() and not self._has_ended(each.job)
        }

    def _was_interrupted(self, upload: Upload) -> bool:
        """Say whether its job's process is gone, and all that came is still here."""
        if not self.uploads.data(upload.id).exists():
            return False
        try:
            return self._mirror.jobs.get(upload.job).state is JobState.INTERRUPTED
        except NotFound:
            return False

    def _has_ended(self, number: int) -> bool:
        """Say whether a job has ended; one that nobody remembers has."""
        try:
            return is_final(self._mirror.jobs.get(number).state)
        except NotFound:
            return True

    @contextmanager
    def _alone(self, upload: Upload) -> Iterator[None]:
        """Let nobody add to the upload meanwhile. Raises `UploadLocked`."""
        try:
            with file_lock(self.uploads.lock(upload.id), wait=False):
                yield
        except Busy:
            raise UploadLocked(f"upload {upload.id} is being added to") from None

    def _check_quota(self, length: int) -> None:
        settings = self._mirror.settings
        require_space(self._mirror.dir.incoming, length, int(settings.store.min_free))
        quota = int(settings.images.quota)
        if not quota:
            return
        held = self._mirror.custom_images.bytes_held() + self.uploads.waiting_bytes()
        if held + length > quota:
            what = f"{length:,} bytes do not fit: {held:,} of the quota of {quota:,} are taken"
            raise ImageTooLarge(what)
