"""Logical volumes of LVM2, as disks: those that are pieces of physical ones, one after the other.

Others (striped, mirrored, thin, cached ...) need the device mapper; they are told, not read.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.formats import FormatError
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.disks.lvm_label import SECTOR, read_physical

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.lvm_label import PhysicalVolume
    from mirror_custom_images.disks.lvm_text import Section

_MAX_VOLUMES = 256
_MAX_SEGMENTS = 65_536
_LINEAR = frozenset({"linear", "striped"})
"""A volume in one piece is written as one with a single stripe."""


class Pieces:
    """A disk that is made of parts of others, one after the other."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = list(parts)
        self._starts: list[int] = []
        self.size = 0
        for part in parts:
            self._starts.append(self.size)
            self.size += part.size

    def read(self, offset: int, size: int) -> bytes:
        """See `Disk.read`."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError(f"is read beyond its end: {offset + size:,} of {self.size:,} bytes")
        return b"".join(
            part.read(begin - start, end - begin)
            for start, part, begin, end in self._within(offset, offset + size)
        )

    def extents(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """See `Disk.extents`."""
        for at, part, begin, finish in self._within(start, min(end, self.size)):
            for first, last in part.extents(begin - at, finish - at):
                yield at + first, at + last

    def _within(self, begin: int, end: int) -> Iterator[tuple[int, Part, int, int]]:
        """Yield the parts that a range goes over: where each starts, and its share of the range."""
        index = max(0, bisect_right(self._starts, begin) - 1)
        while index < len(self._parts) and begin < end:
            start, part = self._starts[index], self._parts[index]
            finish = min(end, start + part.size)
            yield start, part, begin, finish
            begin, index = finish, index + 1


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """A logical volume: `name` is `GROUP/VOLUME`.

    `disk` is None where it can't be read, and `why` the reason, as a clause that follows the name.
    """

    name: str
    disk: Disk | None
    why: str = ""


def read_volumes(disks: Sequence[Disk]) -> list[LogicalVolume]:
    """Return the logical volumes on these physical ones, in the order of their names.

    Raises `FormatError` where a label or the description of a group is damaged.
    """
    physical = [read_physical(disk) for disk in disks]
    groups: dict[str, Section] = {}
    for group in (each.group for each in physical if each.group is not None):
        for name, section in group.sections.items():
            older = groups.get(name)
            if older is None or older.number("seqno") < section.number("seqno"):
                groups[name] = section
    return [
        volume
        for name, section in sorted(groups.items())
        for volume in _volumes(name, section, physical)
    ]


def _volumes(
    name: str, group: Section, physical: Sequence[PhysicalVolume]
) -> Iterator[LogicalVolume]:
    extent = group.number("extent_size") * SECTOR
    if not extent:
        raise FormatError("is damaged: its extents have no size")
    by_uuid = {each.uuid: each.disk for each in physical}
    bodies = {
        each: (by_uuid.get(section.string("id").replace("-", "")), section.number("pe_start"))
        for each, section in group.section("physical_volumes").sections.items()
    }
    volumes = group.section("logical_volumes").sections
    if len(volumes) > _MAX_VOLUMES:
        raise FormatError(f"has {len(volumes):,} logical volumes: {_MAX_VOLUMES} at most are read")
    for each, section in sorted(volumes.items()):
        if "VISIBLE" in section.items("status"):
            try:
                disk = Pieces(_parts(section, extent, bodies))
            except FormatError as error:
                yield LogicalVolume(f"{name}/{each}", None, str(error))
            else:
                yield LogicalVolume(f"{name}/{each}", disk)


def _parts(volume: Section, extent: int, bodies: dict[str, tuple[Disk | None, int]]) -> list[Part]:
    """Return the parts that a volume is made of, in order."""
    count = volume.number("segment_count")
    if count > _MAX_SEGMENTS:
        raise FormatError(f"is in {count:,} pieces: {_MAX_SEGMENTS:,} at most are read")
    parts: list[Part] = []
    end = 0
    for number in range(1, count + 1):
        segment = volume.section(f"segment{number}")
        if segment.number("start_extent") != end:
            raise FormatError("is damaged: its pieces do not follow one another")
        end += segment.number("extent_count")
        parts.append(_part(segment, extent, bodies))
    return parts


def _part(segment: Section, extent: int, bodies: dict[str, tuple[Disk | None, int]]) -> Part:
    kind = segment.string("type")
    if kind not in _LINEAR:
        raise FormatError(f"is of type {kind[:20]!r}: only linear volumes can be read")
    stripes = segment.number("stripe_count")
    if stripes != 1:
        raise FormatError(f"is striped over {stripes:,} parts: only linear volumes can be read")
    match segment.items("stripes"):
        case [str(name), int(first)] if name in bodies and first >= 0:
            disk, start = bodies[name]
        case _:
            raise FormatError("is damaged: it is on no physical volume of its group")
    if disk is None:
        raise FormatError("is on a physical volume that is not in the image")
    begin, size = start * SECTOR + first * extent, segment.number("extent_count") * extent
    if begin + size > disk.size:
        raise FormatError("goes beyond the end of its physical volume")
    return Part(disk, begin, size)
