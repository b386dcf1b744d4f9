"""GUID partition tables as partitions, and what is wrong with one."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import FormatError
from mirror_custom_images.disks.gpt import SECTOR_SIZES, Gpt, has_signature, read_gpt
from mirror_custom_images.disks.mbr import PROTECTIVE, SECTOR
from mirror_custom_images.disks.table import (
    MAX_PARTITIONS,
    Partition,
    PartitionTable,
    misplaced,
    problem,
    too_many,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.mbr import Mbr

_MEND = "`mirror image build` mends it"


def sectors_with_gpt(disk: Disk, *, protected: bool) -> list[int]:
    """Return the sizes of sector with which there is a header: or, where protected, a backup."""
    return [
        sector
        for sector in SECTOR_SIZES
        if has_signature(disk, sector, 1)
        or (protected and has_signature(disk, sector, disk.size // sector - 1))
    ]


def gpt_table(disk: Disk, sectors: Sequence[int], mbr: Mbr) -> PartitionTable:
    """Return the partitions of a GPT with such sectors, which has `mbr` in front of it."""
    problems = []
    if not any(each.kind == PROTECTIVE and each.first == 1 for each in mbr.entries):
        message = (
            f"it has a GPT without a protective MBR: Linux does not see its partitions; {_MEND}"
        )
        problems.append(problem(Severity.ERROR, "gpt-not-protected", message))
    elif len(mbr.entries) > 1:
        message = (
            "it has an MBR with partitions beside its GPT: Linux looks at the GPT only, "
            "others may not"
        )
        problems.append(problem(Severity.NOTE, "hybrid-mbr", message))
    gpt, damage = _best(disk, sectors)
    problems += damage
    if gpt is None:
        return PartitionTable(scheme="gpt", problems=tuple(problems), boot_code=mbr.boot_code)
    everything = tuple(_gpt_partitions(gpt))
    partitions = everything[:MAX_PARTITIONS]
    problems += [*_sectors(gpt, disk), *misplaced(disk, partitions), *_usable(gpt)]
    return PartitionTable(
        scheme="gpt",
        sector_size=gpt.sector_size,
        partitions=partitions,
        problems=(*problems, *too_many(everything)),
        gpt=gpt,
        boot_code=mbr.boot_code,
    )


def _best(disk: Disk, sectors: Sequence[int]) -> tuple[Gpt | None, list[Finding]]:
    """Return the primary table, or the backup where only that is good; and what is wrong."""
    reasons = []
    for sector in sectors:
        try:
            primary = read_gpt(disk, sector, 1)
        except FormatError as error:
            reasons.append(str(error))
        else:
            return primary, _backup(disk, primary)
    reason = reasons[0]
    for sector in sectors:
        try:
            backup = read_gpt(disk, sector, disk.size // sector - 1)
        except FormatError:
            continue
        message = (
            f"it has a primary GPT that {reason}: Linux does not see its partitions; the backup at "
            f"its end is good: {_MEND}"
        )
        return backup, [problem(Severity.ERROR, "gpt-damaged", message)]
    message = f"it has a GPT that {reason}, and no good backup at its end: make the image anew"
    return None, [problem(Severity.ERROR, "gpt-damaged", message)]


def _backup(disk: Disk, primary: Gpt) -> list[Finding]:
    """Say what is wrong with the backup of a good table."""
    sector = primary.sector_size
    end = disk.size // sector - 1
    try:
        backup = read_gpt(disk, sector, primary.other)
    except FormatError as error:
        message = f"it has no good backup of its GPT: it {error}; {_MEND}"
        return [problem(Severity.WARNING, "gpt-backup-missing", message)]
    if (backup.entries, backup.disk_guid) != (primary.entries, primary.disk_guid):
        message = f"it has a backup of its GPT that lists other partitions; {_MEND}"
        return [problem(Severity.WARNING, "gpt-backup-differs", message)]
    if primary.other != end:
        message = (
            f"it has the backup of its GPT at sector {primary.other:,}, not in its last one, "
            f"{end:,}; {_MEND}"
        )
        return [problem(Severity.WARNING, "gpt-backup-not-at-end", message)]
    return []


def _gpt_partitions(gpt: Gpt) -> Iterator[Partition]:
    for each in gpt.partitions():
        yield Partition(
            each.number,
            each.first * gpt.sector_size,
            max(0, each.last + 1 - each.first) * gpt.sector_size,
            each.kind,
            each.name,
            each.attributes,
        )


def _sectors(gpt: Gpt, disk: Disk) -> Iterator[Finding]:
    if gpt.sector_size != SECTOR:
        yield problem(
            Severity.WARNING,
            "sectors-of-4096",
            f"it is made for disks with sectors of {gpt.sector_size:,} bytes: on a machine whose "
            f"disk has {SECTOR}, its partitions are not found; make it with sectors of {SECTOR}",
        )
    if disk.size % gpt.sector_size:
        yield problem(
            Severity.WARNING,
            "size-not-whole-sectors",
            f"it is of {disk.size:,} bytes, no whole number of sectors: it may have been cut",
        )


def _usable(gpt: Gpt) -> Iterator[Finding]:
    """Say which partitions are where the GPT is, or where it says that there are none."""
    table = max(1, gpt.entries_at + gpt.table_sectors - 1) if gpt.at == 1 else 1
    for each in islice(gpt.partitions(), MAX_PARTITIONS):
        if each.last < each.first:
            continue  # said already
        if each.first <= table:
            message = "it lies over the partition table: make the image anew"
            yield problem(Severity.ERROR, "partition-over-table", message, each.number)
        elif each.first < gpt.first_usable or each.last > gpt.last_usable:
            message = (
                f"it is not between sectors {gpt.first_usable:,} and {gpt.last_usable:,}, where "
                "the GPT says that partitions are"
            )
            yield problem(Severity.WARNING, "partition-not-usable", message, each.number)
