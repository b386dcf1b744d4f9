"""The manifest that a check came by on its pass over an image, kept for who asks next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mirror_custom_images.packages.manifest import Manifest


class Keep(Protocol):
    """Takes a manifest, for the item that has this digest."""

    def __call__(self, sha256: str, manifest: Manifest) -> None:
        """Keep it."""


class LastManifest:
    """The last one only: an image is validated, and then derived from, in one process."""

    def __init__(self) -> None:
        self._sha256 = ""
        self._manifest: Manifest | None = None

    def keep(self, sha256: str, manifest: Manifest) -> None:
        """Keep the manifest of the image with this digest."""
        self._sha256, self._manifest = sha256, manifest

    def of(self, sha256: str) -> Manifest | None:
        """Return the manifest of an image; None where it is not the last one."""
        return self._manifest if sha256 == self._sha256 else None


def forget(sha256: str, manifest: Manifest) -> None:
    """Keep nothing: for who only checks."""
    del sha256, manifest
