"""Whether a disk holds a Windows that MAAS can deploy: generalised, writable, with Cloudbase-Init.

Everything is read from the volume as it is; nothing is started, mounted or written.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from mirror.api import Finding, Severity
from mirror.formats import FormatError
from mirror_custom_images.checks.windows_config import cloudbase_findings, secret_findings
from mirror_custom_images.checks.windows_registry import read_registry
from mirror_custom_images.checks.windows_releases import release_findings, state_findings
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.filesystems.detect import kind_of
from mirror_custom_images.filesystems.ntfs import Ntfs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Product
    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.partitions import Partition, PartitionTable

_SOFTWARE = "Windows/System32/config/SOFTWARE"
_KERNEL = "Windows/System32/ntoskrnl.exe"
_MACHINES = {0x8664: "amd64", 0xAA64: "arm64", 0x14C: "i386"}
"""Debian's names for the machines of a PE file."""

_UNREADABLE = {
    "bitlocker": "is encrypted with BitLocker: decrypt it before the image is made "
    "(manage-bde -off), for neither curtin nor another machine can open it",
    "refs": "has ReFS, which Linux can't write: curtin can't hand anything to Windows there",
}


class Volume(NamedTuple):
    """The volume that Windows is on, and how findings name it (`partition 3`)."""

    files: Ntfs
    where: str

    def finding(self, severity: Severity, code: str, path: str, message: str) -> Finding:
        """Return a finding about something on the volume."""
        where = f"{self.where}: {path}" if path else self.where
        return Finding(severity, f"custom-images-windows-{code}", where, message)


def check_windows(table: PartitionTable, disk: Disk, product: Product) -> Iterator[Finding]:
    """Yield what is wrong with a disk image of Windows."""
    volume, faults = None, []
    for partition in table.partitions:
        found = _look_at(partition, disk)
        if isinstance(found, Finding):
            faults.append(found)
        elif found is not None:
            volume = found
    yield from faults
    if volume is not None:
        yield from _guarded(volume, product)
    elif not faults:
        message = (
            f"no NTFS volume has {_SOFTWARE}: there is no Windows on this disk, or it is an "
            "installer's; make the image of an installed system, as packer-maas does"
        )
        yield Finding(Severity.ERROR, "custom-images-windows-missing", "", message)


def _look_at(partition: Partition, disk: Disk) -> Volume | Finding | None:
    """Return the volume if Windows is on it, or why that can't be told."""
    where = f"partition {partition.number}"
    try:
        part = Part(disk, partition.start, partition.size)
        kind = kind_of(part)
        if kind in _UNREADABLE:
            code = f"custom-images-windows-{kind}"
            return Finding(Severity.ERROR, code, where, f"the volume {_UNREADABLE[kind]}")
        if kind != "ntfs":
            return None
        volume = Volume(Ntfs(part), where)
        return volume if volume.files.find(_SOFTWARE) is not None else None
    except FormatError as error:
        message = f"the volume {error}: run chkdsk /f on it, and make the image anew"
        return Finding(Severity.ERROR, "custom-images-windows-volume-damaged", where, message)


def _guarded(volume: Volume, product: Product) -> Iterator[Finding]:
    try:
        yield from _findings(volume, product)
    except FormatError as error:
        message = f"the volume {error}: run chkdsk /f on it, and make the image anew"
        yield volume.finding(Severity.ERROR, "volume-damaged", "", message)


def _findings(volume: Volume, product: Product) -> Iterator[Finding]:
    yield from _writable(volume)
    yield from _architecture(volume, product)
    registry, faults = read_registry(volume.files)
    for path, why in faults:
        message = f"{path} {why}: Windows may not start; make the image anew"
        yield volume.finding(Severity.WARNING, "registry-unreadable", path, message)
    yield from release_findings(volume, registry, product)
    yield from state_findings(volume, registry)
    yield from cloudbase_findings(volume, registry)
    yield from secret_findings(volume)


def _writable(volume: Volume) -> Iterator[Finding]:
    """Whether Linux will mount the volume to write what MAAS hands over."""
    if volume.files.is_hibernated:
        message = (
            "Windows sleeps on this volume (hibernated, or fast startup): Linux mounts it only to "
            "read, so curtin can't hand anything over; run `powercfg /h off` and shut down fully"
        )
        yield volume.finding(Severity.ERROR, "hibernated", "hiberfil.sys", message)
    if volume.files.is_dirty:
        message = (
            "the volume was not shut down cleanly: Windows checks it at its first start, and Linux "
            "may not write to it; run chkdsk /f, and let sysprep shut the machine down"
        )
        yield volume.finding(Severity.WARNING, "dirty", "", message)
    if volume.files.find("Windows/System32/Boot/winload.efi") is None:
        message = "winload.efi is missing: this Windows can't start by UEFI"
        path = "Windows/System32/Boot/winload.efi"
        yield volume.finding(Severity.WARNING, "no-efi-loader", path, message)


def _architecture(volume: Volume, product: Product) -> Iterator[Finding]:
    kernel = volume.files.find(_KERNEL)
    if kernel is None:
        message = "ntoskrnl.exe, the kernel of Windows, is missing: this can't start"
        yield volume.finding(Severity.ERROR, "no-kernel", _KERNEL, message)
        return
    machine = _machine_of(kernel.open().read(4096))
    arch = _MACHINES.get(machine, "")
    if arch and arch != product.arch:
        message = f"this Windows is for {arch}, and the image is to be for {product.arch}"
        yield volume.finding(Severity.ERROR, "wrong-architecture", _KERNEL, message)


def _machine_of(head: bytes) -> int:
    """Return the machine that a PE file is for; 0 where it is none."""
    if head[:2] != b"MZ" or len(head) < 0x40:
        return 0
    [at] = struct.unpack_from("<I", head, 0x3C)
    if at + 6 > len(head) or head[at : at + 4] != b"PE\0\0":
        return 0
    machine: int = struct.unpack_from("<H", head, at + 4)[0]
    return machine
