"""The partitions of a disk, whichever table it has, and what is wrong with the table.

What is seen is what Linux sees: the table that its kernel would take decides. A problem is a
`Finding` of which `where` is '' or the partition (`partition 3`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror_custom_images.disks.gpt import has_signature
from mirror_custom_images.disks.gpt_table import gpt_table, sectors_with_gpt
from mirror_custom_images.disks.mbr import (
    EXTENDED,
    NO_MBR,
    PROTECTIVE,
    SECTOR,
    read_chain,
    read_mbr,
)
from mirror_custom_images.disks.table import (
    MAX_PARTITIONS,
    Partition,
    PartitionTable,
    misplaced,
    problem,
    too_many,
)

if TYPE_CHECKING:
    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.mbr import Mbr, MbrEntry

__all__ = ["Partition", "PartitionTable", "read_partitions"]


def read_partitions(disk: Disk) -> PartitionTable:
    """Return the partition table of a disk, whatever is on it.

    Raises `FormatError` only where the disk itself can't be read.
    """
    mbr = read_mbr(disk.read(0, min(SECTOR, disk.size)).ljust(SECTOR, b"\0")) or NO_MBR
    protected = any(each.kind == PROTECTIVE for each in mbr.entries)
    if mbr.entries and not protected:
        return _of_mbr(disk, mbr)
    sectors = sectors_with_gpt(disk, protected=protected)
    if sectors or protected:
        return gpt_table(disk, sectors or [SECTOR], mbr)
    message = "it has no partition table: neither a GPT nor an MBR with a partition in it"
    none = problem(Severity.ERROR, "no-partition-table", message)
    return PartitionTable(scheme="none", problems=(none,), boot_code=mbr.boot_code)


def _of_mbr(disk: Disk, mbr: Mbr) -> PartitionTable:
    problems: list[Finding] = []
    entries = [each for each in mbr.entries if each.kind not in EXTENDED]
    logical: list[MbrEntry] = []
    for extended in (each for each in mbr.entries if each.kind in EXTENDED):
        more, fault = read_chain(disk, extended, 5 + len(logical))
        logical += more
        if fault:
            message = f"it is an extended partition of which the chain {fault}: make the image anew"
            problems.append(
                problem(Severity.ERROR, "extended-partition-broken", message, extended.number)
            )
    if has_signature(disk, SECTOR, 1):
        message = (
            "it has a GPT as well, which its MBR does not protect: Linux looks at the MBR only; "
            "erase it with `sgdisk --zap`, or convert the MBR with `sgdisk --mbrtogpt`"
        )
        problems.append(problem(Severity.WARNING, "stale-gpt", message))
    partitions = tuple(
        Partition(
            each.number,
            each.first * SECTOR,
            each.sectors * SECTOR,
            f"0x{each.kind:02X}",
            attributes=each.status,
        )
        for each in (*entries, *logical)
    )
    problems += [*misplaced(disk, partitions[:MAX_PARTITIONS]), *too_many(partitions)]
    problems += [
        problem(Severity.ERROR, "partition-over-table", "it begins at sector 0", each.number)
        for each in partitions
        if not each.start
    ]
    return PartitionTable(
        scheme="mbr",
        partitions=partitions[:MAX_PARTITIONS],
        problems=tuple(problems),
        boot_code=mbr.boot_code,
    )
