"""A custom image: MIR-9xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


class ImageError(MirrorError, code="MIR-900", http_status=422):
    """A custom image can't be taken, built or delivered."""

    remedy = "See what the message names; docs/custom-images.md says what an image needs."


class ImageNotBuildable(ImageError, code="MIR-901"):
    """A file can't become the image that was asked for."""

    remedy = "See what the message names; docs/custom-images.md says what can be built from what."
