"""What is on a disk: each partition and each logical volume, with the file system in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import FormatError
from mirror_custom_images.checks.seen import shown
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.disks.volumes import read_volumes
from mirror_custom_images.filesystems.detect import kind_of, open_filesystem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.partitions import Partition, PartitionTable
    from mirror_custom_images.filesystems.filesystem import FileSystem

MOUNTED = frozenset(("btrfs", "ext2", "ext3", "ext4", "ntfs", "vfat", "xfs"))
"""The file systems in which curtin finds something: those that its Linux mounts."""
UNIX = MOUNTED - {"ntfs", "vfat"}
"""Those in which a file has an owner and a mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A partition, or a logical volume in one, and what is on it.

    `name` is `partition 2`, or `partition 3, volume vg0/root`. `kind` is as `kind_of` has it;
    `files` is the file system, None where there is none that can be read, and `fault` why not, as a
    clause about it ('' where its kind is not one of ours).
    """

    name: str
    partition: Partition
    disk: Disk
    kind: str
    files: FileSystem | None = None
    fault: str = ""

    def where(self, path: str = "") -> str:
        """Return how a finding names a path in it."""
        return f"{self.name}: {shown(path)}" if path else self.name


def places_on(disk: Disk, table: PartitionTable) -> tuple[list[Place], list[Finding]]:
    """Return what is on the partitions that are on the disk; and which of it can't be read."""
    places: list[Place] = []
    physical: list[Place] = []
    findings: list[Finding] = []
    for each in table.partitions:
        if each.size <= 0 or each.end > disk.size:
            continue  # the table's problems say so
        place = _place(f"partition {each.number}", each, Part(disk, each.start, each.size))
        places.append(place)
        if place.kind == "lvm2":
            physical.append(place)
        findings += _told(place)
    for found in _logical(physical):
        if isinstance(found, Finding):
            findings.append(found)
        else:
            places.append(found)
            findings += _told(found)
    return places, findings


def _place(name: str, partition: Partition, part: Disk) -> Place:
    kind = ""
    try:
        kind = kind_of(part)
        files = open_filesystem(part)
    except FormatError as error:
        return Place(name=name, partition=partition, disk=part, kind=kind, fault=str(error))
    return Place(name=name, partition=partition, disk=part, kind=kind, files=files)


def _logical(physical: Sequence[Place]) -> Iterator[Place | Finding]:
    """Yield the logical volumes in all the physical ones, and what can't be read of them."""
    if not physical:
        return
    name, partition = physical[0].name, physical[0].partition
    try:
        volumes = read_volumes([each.disk for each in physical])
    except FormatError as error:
        yield _unread(name, f"the physical volume of LVM on it {error}")
        return
    for each in volumes:
        where = f"{name}, volume {shown(each.name)}"
        if each.disk is None:
            yield _unread(where, f"the volume {each.why}")
        else:
            yield _place(where, partition, each.disk)


def _told(place: Place) -> Iterator[Finding]:
    """Say what can't be looked into: what is damaged, or locked."""
    if place.fault:
        yield _unread(place.name, f"the {place.kind or 'file system'} on it {place.fault}")
    elif place.kind == "luks":
        what = "it is encrypted (LUKS): curtin can't open it, nor a machine without a passphrase"
        yield _unread(place.name, what)


def _unread(where: str, what: str) -> Finding:
    message = f"{what}: what is in it is not checked"
    return Finding(Severity.WARNING, "custom-images-filesystem-unread", where, message)
