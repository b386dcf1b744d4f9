"""Makes a root-tgz of a disk: the root file system in it, with owners, attributes and all.

Nothing is mounted: that is how a vendor's image of a disk becomes one that curtin unpacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import BuildRefused, Finding, Severity
from mirror.formats import FormatError
from mirror_custom_images.building.disk_volumes import read_disk
from mirror_custom_images.building.mounts import find_mounts, find_root
from mirror_custom_images.building.root_entries import cleaned, merged
from mirror_custom_images.building.tar_writer import TarWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mirror.api import BuildOrder, Product
    from mirror_custom_images.building.disk_volumes import Volume
    from mirror_custom_images.building.tar_writer import Writable
    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.entries import Entry
    from mirror_custom_images.filesystems.filesystem import FileSystem

OPTIONS = frozenset({"clean", "root"})
"""What an order may say of it: `clean=yes`; `root=`, the partition or volume that is the root.

Others are for those who compress it, and who refuse what nobody knows.
"""

_REPORTED = 32 * 1024**2
"""Bytes after which progress is told."""
_MOST_TIMES, _MOST_MORE = 4, 1024**3
"""How much more may be in an archive than on its disk: files may share blocks, headers are big."""


def build_root_tgz(
    disk: Disk,
    product: Product,
    order: BuildOrder,
    out: Writable,
    report: Callable[[int, int], None],
) -> tuple[Finding, ...]:
    """Write the root file system of a disk as a tar archive; `out` is what compresses it.

    Raises `BuildRefused`, and `FormatError` where the disk is damaged.
    """
    del product
    clean = _check(order.options)
    volumes = read_disk(disk)
    root = find_root(volumes, order.options.get("root", ""))
    mounts, findings = find_mounts(root, volumes)
    systems = {path: _system(volume) for path, volume in mounts.items()}
    system = _system(root)
    entries = merged(system, systems)
    if clean:
        entries = cleaned(entries, lambda path: _find(path, system, systems))
    _write(entries, out, sum(end - start for start, end in disk.extents(0, disk.size)), report)
    return (_origin(root, mounts), *findings)


def _check(options: Mapping[str, str]) -> bool:
    """Say whether the image is to be cleaned."""
    clean = options.get("clean", "no")
    if clean not in ("yes", "no"):
        raise BuildRefused(f"clean={clean} is neither yes nor no", "Say clean=yes, or nothing.")
    return clean == "yes"


def _system(volume: Volume) -> FileSystem:
    """Return a volume's file system, which is whole: it was unmounted."""
    system = volume.system
    if system is None:
        raise FormatError(f"is damaged: {volume.name} {volume.why}")
    if getattr(system, "is_dirty", False):
        raise BuildRefused(
            f"{volume.name} was in use when the image was made: changes are in its journal only",
            "Start the system once and shut it down, or mount and unmount the file system; then "
            "build again.",
        )
    return system


def _write(
    entries: Iterator[Entry], out: Writable, on_disk: int, report: Callable[[int, int], None]
) -> None:
    writer = TarWriter(out)
    told = 0
    for entry in entries:
        writer.add(entry)
        if writer.size > _MOST_TIMES * on_disk + _MOST_MORE:
            raise FormatError("has more data in its files than is on the disk")
        if writer.size - told >= _REPORTED:
            told = writer.size
            report(min(told, on_disk), on_disk)
    writer.close()
    report(on_disk, on_disk)


def _find(path: str, root: FileSystem, mounts: Mapping[str, FileSystem]) -> Entry | None:
    """Return what is at a path, whichever file system it is in."""
    for base in sorted(mounts, reverse=True):
        if path.startswith(base + "/"):
            return mounts[base].find(path.removeprefix(base))
    return root.find(path)


def _origin(root: Volume, mounts: Mapping[str, Volume]) -> Finding:
    parts = [
        f"/ from {root.name}",
        *(f"/{path} from {mounts[path].name}" for path in sorted(mounts)),
    ]
    message = f"it was made of a disk: {', '.join(parts)}"
    return Finding(Severity.NOTE, "custom-images-made-of-disk", "root-tgz", message)
