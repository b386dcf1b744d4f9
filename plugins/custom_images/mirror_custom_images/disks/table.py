"""What a partition table says, whichever kind it is, and what is wrong with any kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mirror.api import Finding, Severity
from mirror_custom_images.disks.mbr import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.gpt import Gpt

Scheme = Literal["gpt", "mbr", "none"]

MAX_PARTITIONS = 128
"""How many are looked at; no image has as many."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: `start` and `size` are bytes.

    `kind` is a GUID in capitals, or a type of MBR as `0x0C`. `attributes` are GPT's 64 bits, or the
    status of an MBR (0x80: active).
    """

    number: int
    start: int
    size: int
    kind: str
    name: str = ""
    attributes: int = 0

    @property
    def end(self) -> int:
        """The byte after the last."""
        return self.start + self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionTable:
    """The partitions, by number, and what is wrong.

    `scheme` `none`: there is no table (a bare file system, say). `gpt` is what a GPT was read from:
    the primary one, or the backup where only that is good. `boot_code`: a BIOS finds something to
    run in the first sector.
    """

    scheme: Scheme
    sector_size: int = SECTOR
    partitions: tuple[Partition, ...] = ()
    problems: tuple[Finding, ...] = ()
    gpt: Gpt | None = None
    boot_code: bool = False


def problem(severity: Severity, code: str, message: str, number: int = 0) -> Finding:
    """Return a finding about a partition, or (0) about the table as a whole."""
    where = f"partition {number}" if number else ""
    return Finding(severity, f"custom-images-{code}", where, message)


def too_many(partitions: Sequence[Partition]) -> Iterator[Finding]:
    """Say so, where a table has more partitions than are looked at."""
    if len(partitions) > MAX_PARTITIONS:
        message = f"it has {len(partitions):,} partitions: only {MAX_PARTITIONS} are looked at"
        yield problem(Severity.WARNING, "too-many-partitions", message)


def misplaced(disk: Disk, partitions: Iterable[Partition]) -> Iterator[Finding]:
    """Say which partitions are not on the disk, or lie over each other."""
    before: Partition | None = None
    for each in sorted(partitions, key=lambda each: (each.start, each.number)):
        if not each.size:
            message = "it ends before it begins: make the image anew"
            yield problem(Severity.ERROR, "partition-empty", message, each.number)
            continue
        if each.end > disk.size:
            message = (
                f"it ends at byte {each.end:,}, and the disk at {disk.size:,}: the image was cut"
            )
            yield problem(Severity.ERROR, "partition-beyond-disk", message, each.number)
        if before is not None and each.start < before.end:
            message = f"it lies over partition {before.number}: make the image anew"
            yield problem(Severity.ERROR, "partitions-overlap", message, each.number)
        if before is None or each.end > before.end:
            before = each
