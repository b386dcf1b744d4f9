"""Custom images: what is inside one, and how to build one, without root, mounts or FUSE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import hookimpl
from mirror_custom_images.images import CustomImages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.api import Distribution

requires_api = (1, 1)


@hookimpl
def mirror_distributions() -> Iterable[Distribution]:
    """Return the operator's own images."""
    return [CustomImages()]
