"""Where the root of an installed system is on its disk, and what is mounted into it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.api import BuildRefused, Finding, Severity
from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror_custom_images.building.disk_volumes import Volume
    from mirror_custom_images.filesystems.filesystem import FileSystem

_NUMBERED = re.compile(r"/dev/(?:(?:sd|vd|xvd|hd)a|nvme0n1p|mmcblk0p)(\d+)")
_BY = {
    "by-uuid": "UUID",
    "by-label": "LABEL",
    "by-partuuid": "PARTUUID",
    "by-partlabel": "PARTLABEL",
}
_ESCAPED = re.compile(r"\\([0-7]{3})")
_MAX_FSTAB = 1024**2
_UNIX = ("ext2", "ext3", "ext4", "xfs")
_NOT_OF_A_DISK = frozenset({"swap", "tmpfs", "proc", "sysfs", "devpts", "devtmpfs", "nfs", "cifs"})
_NEVER = frozenset({"noauto", "bind", "rbind"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of etc/fstab: `path` is relative to the root."""

    device: str
    path: str


def find_root(volumes: Sequence[Volume], wanted: str) -> Volume:
    """Return the volume with the root file system; `wanted` is its key, '': the only one.

    Raises `BuildRefused` where there is none, or several.
    """
    roots = [each for each in volumes if _is_root(each)]
    if wanted:
        chosen = [each for each in volumes if each.key == wanted]
        if not chosen:
            keys = ", ".join(each.key for each in volumes) or "nothing"
            raise BuildRefused(
                f"there is no partition or volume {wanted!r}", f"Say one that there is: {keys}."
            )
        if chosen[0] not in roots:
            raise BuildRefused(
                f"{chosen[0].name} {chosen[0].why or 'holds no root file system'}",
                "Say another one, or leave root out: it is found by what is in it.",
            )
        return chosen[0]
    if not roots:
        there = "; ".join(f"{each.name} {each.why or 'holds no root'}" for each in volumes)
        raise BuildRefused(
            f"no root file system that can be read is on the disk: {there or 'it is empty'}",
            "Only ext2, ext3, ext4 and XFS are read, on partitions or linear logical volumes: "
            "install the system onto one of them.",
        )
    if len(roots) > 1:
        names = ", ".join(f"root={each.key}" for each in roots)
        raise BuildRefused(
            f"{len(roots)} root file systems are on the disk", f"Say which one is meant: {names}."
        )
    return roots[0]


def find_mounts(
    root: Volume, volumes: Sequence[Volume]
) -> tuple[dict[str, Volume], tuple[Finding, ...]]:
    """Return what is mounted into the root, by path, and what a person should know of it.

    etc/fstab decides; what it does not say of /boot and /boot/efi is told by what is in a volume.
    Raises `BuildRefused` where something is in a file system that can't be read.
    """
    mounts: dict[str, Volume] = {}
    findings: list[Finding] = []
    for line in read_fstab(root):
        volume = _named(line.device, volumes)
        if volume is None:
            findings.append(
                Finding(
                    Severity.WARNING,
                    "custom-images-mount-not-on-disk",
                    "root-tgz: etc/fstab",
                    f"it mounts {line.device} at /{line.path}, which is not on the disk: what was "
                    "there is not in the image",
                )
            )
        elif volume.system is None:
            raise BuildRefused(
                f"/{line.path} is on {volume.name}, which {volume.why}",
                "Make the image anew, with this directory on ext4 or XFS.",
            )
        elif volume is not root:
            mounts[line.path] = volume
    mounts.update(dict(_by_content(root, volumes, mounts)))
    return mounts, tuple(findings)


def read_fstab(root: Volume) -> Iterator[Line]:
    """Yield what is mounted at every start, from a disk, beside the root and swap."""
    entry = root.system.find("etc/fstab") if root.system else None
    if entry is None or entry.kind != "file":
        return
    if entry.size > _MAX_FSTAB:
        raise FormatError(f"has an etc/fstab of {entry.size:,} bytes")
    for text in entry.open().read().decode("utf-8", "replace").splitlines():
        words = [_plain(each) for each in text.partition("#")[0].split()]
        if len(words) < 3:
            continue
        device, path, kind, options = words[0], words[1].strip("/"), words[2], words[3:4]
        flags = options[0].split(",") if options else []
        local = "=" in device or device.startswith("/dev/")
        at_start = local and kind not in _NOT_OF_A_DISK and _NEVER.isdisjoint(flags)
        if path and words[1].startswith("/") and at_start:
            yield Line(device, path)


def _plain(word: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), word)


def _named(device: str, volumes: Sequence[Volume]) -> Volume | None:
    """Return the volume that etc/fstab means."""
    words = device.split("/")
    if device.startswith("/dev/disk/") and len(words) == 5 and words[3] in _BY:
        device = f"{_BY[words[3]]}={words[4]}"
    tag, equals, value = device.partition("=")
    if equals:
        value = value.strip('"')
        value = value if tag.endswith("LABEL") else value.lower()
        device = f"{tag}={value}"
    numbered = _NUMBERED.fullmatch(device)
    for each in volumes:
        if device in each.ids or (numbered and each.key == numbered[1]):
            return each
    return None


def _by_content(
    root: Volume, volumes: Sequence[Volume], mounts: Mapping[str, Volume]
) -> Iterator[tuple[str, Volume]]:
    """Yield what must be /boot and /boot/efi: a volume that nothing else is known of."""
    free = [each for each in volumes if each is not root and each not in mounts.values()]
    if "boot" not in mounts and not _has_kernel(root.system, "boot"):
        found = [each for each in free if _is_unix(each) and _has_kernel(each.system, ".")]
        if len(found) == 1:
            yield "boot", found[0]
    if not {"boot/efi", "efi"} & mounts.keys():
        found = [each for each in free if _is_esp(each)]
        if len(found) == 1:
            yield "boot/efi", found[0]


def _is_root(volume: Volume) -> bool:
    if not _is_unix(volume) or volume.system is None:
        return False
    try:
        names = {entry.path for entry in volume.system.list(".")}
        if "etc" not in names:
            return False
        return "bin" in names or volume.system.find("etc/os-release") is not None
    except FormatError:
        return False


def _is_unix(volume: Volume) -> bool:
    return volume.system is not None and volume.system.kind in _UNIX


def _is_esp(volume: Volume) -> bool:
    if volume.system is None or volume.system.kind != "vfat":
        return False
    return volume.system.find("EFI") is not None


def _has_kernel(system: FileSystem | None, folder: str) -> bool:
    if system is None:
        return False
    names = (entry.path.rpartition("/")[2] for entry in system.list(folder))
    return any(name.startswith(("vmlinuz", "vmlinux", "Image")) for name in names)
