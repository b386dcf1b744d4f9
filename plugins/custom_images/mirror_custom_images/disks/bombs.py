"""How much a file may expand to: what is there to fill a disk, or to keep us busy, is refused."""

from __future__ import annotations

from mirror.formats import FormatError

GIB = 1024**3

_DATA, _DATA_RATIO = GIB, 250
"""Data that is not zeros: log files and the like give 50 at most."""
_ALL, _ALL_RATIO = 16 * GIB, 4096
"""Zeros among it: they cost time only, and a disk image may have next to nothing else."""


def most_of(stored: int) -> int:
    """Return how many bytes of data a file of `stored` bytes may expand to."""
    return _DATA + _DATA_RATIO * stored


def check_ratio(data: int, stored: int, zeros: int = 0) -> None:
    """Raise `FormatError` where a file of `stored` bytes expands to more than any image does."""
    if data > most_of(stored) or data + zeros > _ALL + _ALL_RATIO * stored:
        raise FormatError(
            f"expands to far more than an image does: {data + zeros:,} bytes out of {stored:,}"
        )
