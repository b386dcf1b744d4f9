"""What is on a disk that may hold files: its partitions, and its logical volumes."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.formats import FormatError
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.disks.partitions import read_partitions
from mirror_custom_images.disks.volumes import read_volumes
from mirror_custom_images.filesystems.detect import kind_of, open_filesystem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.partitions import PartitionTable
    from mirror_custom_images.filesystems.filesystem import FileSystem


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A partition, a logical volume, or a disk without partitions.

    `key` tells it apart (`2`, `rhel/root`, `disk`), `ids` are the ways in which etc/fstab may name
    it. `system` is None where there is none that can be read; `why` then says what there is, as a
    clause after the name.
    """

    name: str
    key: str
    disk: Disk
    ids: frozenset[str]
    system: FileSystem | None = None
    why: str = ""


def read_disk(disk: Disk) -> list[Volume]:
    """Return all of them. Raises `FormatError` where the disk can't be read, or LVM's text."""
    table = read_partitions(disk)
    if not table.partitions:
        return list(_opened("the disk", "disk", disk, set()))
    found: list[Volume] = []
    physical: list[Disk] = []
    for each in table.partitions:
        if each.size <= 0 or each.end > disk.size:
            continue
        part = Part(disk, each.start, each.size)
        ids = {f"PARTLABEL={each.name}"} if each.name else set()
        unique = _unique_id(table, each.number)
        ids |= {f"PARTUUID={unique}"} if unique else set()
        if kind_of(part) == "lvm2":
            physical.append(part)
        found += _opened(f"partition {each.number}", str(each.number), part, ids)
    return found + (_logical(physical) if physical else [])


def _logical(physical: list[Disk]) -> list[Volume]:
    found: list[Volume] = []
    for each in read_volumes(physical):
        group, _, name = each.name.partition("/")
        mapped = f"{group.replace('-', '--')}-{name.replace('-', '--')}"
        ids = {f"/dev/mapper/{mapped}", f"/dev/{each.name}"}
        if each.disk is not None:
            found += _opened(f"volume {each.name}", each.name, each.disk, ids)
        else:
            nothing = Part(physical[0], 0, 0)
            found.append(
                Volume(
                    name=f"volume {each.name}",
                    key=each.name,
                    disk=nothing,
                    ids=frozenset(ids),
                    why=each.why,
                )
            )
    return found


def _opened(name: str, key: str, disk: Disk, ids: set[str]) -> Iterator[Volume]:
    kind = kind_of(disk)
    system, why = None, f"is {kind or 'empty, or of no kind that is known'}"
    if kind:
        try:
            system = open_filesystem(disk)
            if system is not None:
                why = ""
                ids = ids | _ids_of(disk, kind, system.label)
        except FormatError as error:
            why = f"({kind}) {error}"
    yield Volume(name=name, key=key, disk=disk, ids=frozenset(ids), system=system, why=why)


def _ids_of(disk: Disk, kind: str, label: str) -> set[str]:
    found = {f"LABEL={label}"} if label else set()
    head = disk.read(0, min(disk.size, 2048))
    if kind.startswith("ext"):
        found.add(f"UUID={uuid.UUID(bytes=head[1128:1144])}")
    elif kind == "xfs":
        found.add(f"UUID={uuid.UUID(bytes=head[32:48])}")
    elif kind == "vfat":
        wide = head[82:87] == b"FAT32"
        serial = struct.unpack_from("<I", head, 67 if wide else 39)[0]
        found.add(f"UUID={serial >> 16:04x}-{serial & 0xFFFF:04x}")
    return found


def _unique_id(table: PartitionTable, number: int) -> str:
    """Return a partition's own GUID, as etc/fstab has it; '' where there is none."""
    if table.gpt is None:
        return ""
    step = len(table.gpt.entries) // max(table.gpt.count, 1)
    raw = table.gpt.entries[(number - 1) * step + 16 :][:16]
    return str(uuid.UUID(bytes_le=raw)) if len(raw) == 16 else ""
