"""A disk with something else written over it, longer or shorter than it was; nothing is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirror_custom_images.disks.disk import Disk


class Overlay:
    """`disk`, made `size` bytes long, with `patches` over it: pairs of an offset and bytes."""

    def __init__(self, disk: Disk, size: int, patches: Sequence[tuple[int, bytes]] = ()) -> None:
        self._disk = disk
        self._patches = sorted(patches)
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        """See `Disk.read`."""
        end = offset + size
        if offset < 0 or size < 0 or end > self.size:
            raise FormatError(f"is read beyond its end: {end:,} of {self.size:,} bytes")
        there = max(0, min(end, self._disk.size) - offset)
        data = self._disk.read(offset, there) if there else b""
        if there < size:
            data += bytes(size - there)
        for at, patch in self._patches:
            first, last = max(at, offset), min(at + len(patch), end)
            if first < last:
                middle = patch[first - at : last - at]
                data = data[: first - offset] + middle + data[last - offset :]
        return data

    def extents(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """See `Disk.extents`."""
        end = min(end, self.size)
        last = min(end, self._disk.size)
        below = self._disk.extents(start, last) if start < last else iter(())
        over = [(at, at + len(patch)) for at, patch in self._patches]
        yield from _merged(below, [(max(a, start), min(b, end)) for a, b in over], end)


def _merged(
    below: Iterator[tuple[int, int]], over: list[tuple[int, int]], end: int
) -> Iterator[tuple[int, int]]:
    """Yield both, in order; what overlaps or touches becomes one."""
    waiting = [each for each in over if each[0] < each[1]]
    current: tuple[int, int] | None = None
    for extent in below:
        while waiting and waiting[0][0] <= extent[0]:
            current, done = _joined(current, waiting.pop(0))
            if done:
                yield done
        current, done = _joined(current, (extent[0], min(extent[1], end)))
        if done:
            yield done
    for extent in waiting:
        current, done = _joined(current, extent)
        if done:
            yield done
    if current:
        yield current


def _joined(
    current: tuple[int, int] | None, extent: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """Return what is to be yielded later, and what can be now."""
    if current is None:
        return extent, None
    if extent[0] <= current[1]:
        return (current[0], max(current[1], extent[1])), None
    return extent, current
