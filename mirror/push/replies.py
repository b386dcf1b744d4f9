"""What MAAS's API says of an uploaded image, and how far its upload is: pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.errors import RegionAnswerInvalid

if TYPE_CHECKING:
    from collections.abc import Collection

PIECE = 4 * 1024 * 1024
"""Bytes that are sent at a time; MAAS's own command line sends as many."""


class RegionFile(msgspec.Struct, frozen=True):
    """A file of an image, as a region describes it."""

    sha256: str = ""
    size: int = 0
    complete: bool = False
    progress: float = 0.0
    upload_uri: str = ""


class _Set(msgspec.Struct, frozen=True):
    files: dict[str, RegionFile] = {}


class RegionImage(msgspec.Struct, frozen=True):
    """An uploaded image of a region: `sets` are its versions."""

    id: int
    sets: dict[str, _Set] = {}
    resource_uri: str = ""

    def newest(self, sha256: str) -> tuple[str, RegionFile] | None:
        """Return the newest version that has a file of this digest, and the file."""
        for version in sorted(self.sets, reverse=True):
            for file in self.sets[version].files.values():
                if file.sha256 == sha256:
                    return version, file
        return None


def read_image(body: bytes) -> RegionImage:
    """Read the answer about one image. Raises `RegionAnswerInvalid`."""
    try:
        return msgspec.json.decode(body, type=RegionImage, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RegionAnswerInvalid(f"MAAS did not describe an image: {error}") from None


def offsets(progress: float, size: int, sent: Collection[int] = ()) -> set[int]:
    """Return how many bytes a region may have, when it says how far an upload is.

    Some versions of MAAS say it as a share of 1, others as a percentage, which may be rounded. The
    truth is one of `sent`, where that is known; else a whole number of pieces. Empty where nothing
    fits; who finds more than one can't go on with the upload.
    """
    if progress <= 0:
        return {0}.intersection(sent or {0})
    near = [share * size for share in (progress, progress / 100) if share <= 1]
    candidates = set(sent) or {size, *(round(each / PIECE) * PIECE for each in near)}
    exact = {each for each in candidates if each <= size and _is_near(each, near, 1)}
    return exact or {each for each in sent if _is_near(each, near[-1:], size / 200)}


def _is_near(offset: int, places: list[float], slack: float) -> bool:
    return any(abs(offset - place) <= slack for place in places)
