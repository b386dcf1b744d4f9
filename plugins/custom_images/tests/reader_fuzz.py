"""What tests that damage file systems share: how they damage one, and read all that is left.

`MIRROR_FUZZ_EXAMPLES` says how many a test tries; without it there are few, so that all end soon.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirror_custom_images.filesystems.filesystem import FileSystem

EXAMPLES = settings(
    max_examples=int(os.environ.get("MIRROR_FUZZ_EXAMPLES", "20")),
    deadline=5000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""A budget, and five seconds for each: a reader that never ends is found."""

BYTES_OF_A_FILE = 4 * 1024**2


def flip(data: st.DataObject, image: bytes, places: Sequence[range]) -> bytes:
    """Return an image with up to eight bytes or words of it changed, in some of the places."""
    damaged = bytearray(image)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.sampled_from(places))
        at = data.draw(st.integers(place.start, place.stop - 1))
        words = st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80"])
        new = data.draw(st.one_of(st.binary(min_size=1, max_size=4), words))
        damaged[at : at + len(new)] = new
    return bytes(damaged[: len(image)])


def read_all(system: FileSystem) -> None:
    """Read every entry, and the start and the end of every file.

    A file that can't be read is no end: the next one may be what hangs.
    """
    for entry in system.walk():
        if entry.kind != "file":
            continue
        try:
            with entry.open() as content:
                content.read(BYTES_OF_A_FILE)
                content.seek(max(entry.size - 4096, 0))
                content.read(4096)
        except FormatError:
            continue
