"""The disk with its partition table right for its size: mended, shrunk, or as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import BuildRefused, Finding, Severity
from mirror.formats import FormatError
from mirror_custom_images.building.overlay import Overlay
from mirror_custom_images.disks.gpt import moved, shrunk
from mirror_custom_images.disks.partitions import read_partitions

if TYPE_CHECKING:
    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.gpt import Gpt
    from mirror_custom_images.disks.partitions import PartitionTable

_MIB = 1024**2
_MOST_MORE = 16 * _MIB
"""Bytes by which a disk may grow, so that it has room for the backup of its table."""
_MENDABLE = frozenset(
    f"custom-images-gpt-{what}"
    for what in (
        "damaged",
        "not-protected",
        "backup-missing",
        "backup-differs",
        "backup-not-at-end",
    )
)
"""What is right again when both tables and the protective MBR are written anew."""


def fitted(disk: Disk, *, shrink: bool, mend: bool) -> tuple[Disk, list[Finding]]:
    """Return the disk as it is to be written, and notes on what is different.

    Raises `FormatError` where it was cut, or the table is no honest one; `BuildRefused` where it
    can't be shrunk.
    """
    if not (shrink or mend):
        return disk, []
    table = read_partitions(disk)
    _check_whole(disk, table)
    if shrink:
        return _shrunk(disk, table)
    wrong = [each for each in table.problems if each.code in _MENDABLE]
    if table.gpt is None or not wrong:
        return disk, []
    size = max(disk.size + -disk.size % table.gpt.sector_size, shrunk(table.gpt))
    patches = _patches(disk, table.gpt, size)
    if not patches:
        return disk, []
    what = wrong[0].message.partition("`mirror image build`")[0].rstrip(" ;:")
    return Overlay(disk, size, patches), [
        _note("gpt-mended", f"its GPT was written anew, as {what}")
    ]


def _check_whole(disk: Disk, table: PartitionTable) -> None:
    ends = {each.number: each.end for each in table.partitions}
    if table.gpt is not None:
        sector = table.gpt.sector_size
        ends |= {each.number: (each.last + 1) * sector for each in table.gpt.partitions()}
    for number, end in ends.items():
        if end > disk.size:
            raise FormatError(
                f"is cut: partition {number} ends at byte {end:,}, and the disk at {disk.size:,}"
            )


def _shrunk(disk: Disk, table: PartitionTable) -> tuple[Disk, list[Finding]]:
    if not table.partitions:
        raise BuildRefused(
            "it can't be shrunk: there is no partition on it that says where it ends",
            "Leave out shrink=yes.",
        )
    if table.gpt is None:
        end = max(each.end for each in table.partitions)
        size, patches = min(end + -end % _MIB, disk.size), []
    else:
        size = shrunk(table.gpt)
        patches = _patches(disk, table.gpt, size)
        if not patches:
            raise BuildRefused(
                "it can't be shrunk: it has an MBR of other partitions in front of its GPT",
                "Leave out shrink=yes, or make the partition table anew with sgdisk.",
            )
    said = f"shrunk from {_mib(disk.size)} MiB to {_mib(size)}: it ends behind its last partition"
    return Overlay(disk, size, patches), [_note("disk-shrunk", said)]


def _patches(disk: Disk, gpt: Gpt, size: int) -> list[tuple[int, bytes]]:
    """Return what makes the table right for a disk of that size; nothing where an MBR forbids."""
    if size > disk.size + _MOST_MORE:
        raise FormatError(f"has a GPT that is damaged: it asks for a disk of {size:,} bytes")
    try:
        return moved(gpt, size, disk.read(0, min(512, disk.size)))
    except FormatError:
        return []


def _note(what: str, message: str) -> Finding:
    return Finding(Severity.NOTE, f"custom-images-{what}", "", message)


def _mib(size: int) -> str:
    return f"{size / _MIB:,.0f}"
