"""Custom images that come in over the network, by the tus protocol."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import Busy, ImageTooLarge, UploadLocked, UploadWrong
from mirror.store.locks import file_lock
from mirror.store.space import require_space
from mirror.uploads.receive import digest_of
from mirror.uploads.upload import Uploads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.service.mirror import Mirror
    from mirror.uploads.upload import Upload


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

    def begin(self, length: int, metadata: dict[str, str], *, by: str) -> Upload:
        """Make room for an image of which `metadata` says what it is.

        Raises `ImageTooLarge`, `NoSpace`, and what a declaration is refused for.
        """
        self._mirror.custom_images.declared(metadata)
        if length > self.max_size:
            raise ImageTooLarge(f"{length:,} bytes are more than {self.max_size:,}")
        self._check_quota(length)
        return self.uploads.create(length, metadata, sha256=metadata.get("sha256", ""), by=by)

    def find(self, number: str) -> Upload:
        """Return an upload. Raises `NotFound`, `UploadDamaged`."""
        return self.uploads.find(number)

    def finish(self, upload: Upload) -> Upload:
        """Ask for a job that takes a whole upload in; once, whoever asks.

        Raises `UploadWrong` where it is known that it is not what was declared.
        """
        with self._alone(upload):
            upload = self.uploads.find(upload.id)
            if upload.job:
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
            if upload.job and self.uploads.data(upload.id).exists():
                raise UploadLocked(f"job {upload.job} is taking upload {upload.id} in")
            self.uploads.remove(upload)

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
