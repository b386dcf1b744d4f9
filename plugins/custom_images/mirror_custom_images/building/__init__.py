"""Images made of the files that people have: of any disk, and of archives in the wrong wrapping."""

from __future__ import annotations

from mirror_custom_images.building.build import build

__all__ = ["build"]
