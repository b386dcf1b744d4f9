"""A disk image: is it of the type that it is said to be, and would a machine start from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import UPLOAD_TYPES, FormatError
from mirror_custom_images.checks.curtin_on_disk import check_curtin
from mirror_custom_images.checks.efi import check_start
from mirror_custom_images.checks.linux_on_disk import check_linux
from mirror_custom_images.checks.on_disk import places_on
from mirror_custom_images.checks.root_tarball import fault_of_type
from mirror_custom_images.checks.seen import shown
from mirror_custom_images.disks.partitions import read_partitions
from mirror_custom_images.packages.memory import forget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mirror.api import Item, Product, Version
    from mirror_custom_images.checks.on_disk import Place
    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.partitions import PartitionTable
    from mirror_custom_images.packages.memory import Keep

FTYPES = tuple(each for each in UPLOAD_TYPES.values() if each.startswith("root-dd"))
"""The file types of disk images, as MAAS stores them."""
_GB = 1000**3
_MB = 1000**2
_MOST = 12
"""How many partitions are named in a note."""


def check(
    product: Product,
    version: Version,
    item: Item,
    file: Path,
    scratch: Path,
    *,
    keep: Keep = forget,
) -> Iterator[Finding]:
    """Say what is to be said of a disk image; it is expanded below `scratch`, once.

    `keep` gets the manifest of the Linux that is on it, with the item's sha256.
    """
    from mirror_custom_images.disks.containers import open_disk

    del version
    fault = fault_of_type(item, file)
    if fault is not None:
        yield fault
        return
    try:
        with open_disk(file, scratch) as disk:
            yield from look(product, item, disk, keep)
    except FormatError as error:
        what = f"the {item.name} {error}: the file is not whole, or not what its type says"
        yield Finding(Severity.ERROR, "custom-images-unreadable", item.name, what)


def look(product: Product, item: Item, disk: Disk, keep: Keep = forget) -> Iterator[Finding]:
    """Say what is to be said of what is on a disk. Raises `FormatError` where it can't be read."""
    table = read_partitions(disk)
    yield from _placed(item, table.problems)
    if not table.partitions:
        return
    places, unread = places_on(disk, table)
    yield from _placed(item, [_summary(disk, table, places), *unread])
    yield from _placed(item, check_curtin(places, product))
    if product.os != "esxi":  # what starts an ESXi is known where ESXi is
        yield from _placed(item, check_start(places, table, product))
    yield from _placed(item, _of_system(table, disk, product))
    yield from check_linux(places, product, item.name, lambda manifest: keep(item.sha256, manifest))


def _of_system(table: PartitionTable, disk: Disk, product: Product) -> Iterable[Finding]:
    """Ask who knows the operating system."""
    if product.os == "esxi":
        from mirror_custom_images.checks.esxi import check_esxi

        return check_esxi(table, disk, product)
    if product.os == "windows":
        from mirror_custom_images.checks.windows import check_windows

        return check_windows(table, disk, product)
    return ()


def _placed(item: Item, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Say which item they are about."""
    for each in findings:
        where = f"{item.name}: {each.where}" if each.where else item.name
        yield Finding(each.severity, each.code, where, each.message)


def _summary(disk: Disk, table: PartitionTable, places: Sequence[Place]) -> Finding:
    """Say how large a machine's disk must be, and what goes to it."""
    named = [
        f"{each.name} ({shown(each.kind) or 'nothing known'}, {_size(each.disk.size)})"
        for each in places
    ]
    more = f" and {len(named) - _MOST} more" if len(named) > _MOST else ""
    what = (
        f"a machine's disk must have at least {_size(disk.size)}; in its {table.scheme.upper()}: "
        f"{', '.join(named[:_MOST])}{more}"
    )
    return Finding(Severity.NOTE, "custom-images-disk-size", "", what)


def _size(size: int) -> str:
    """Return bytes as GB, up to the next tenth, or MB: a disk with fewer is too small."""
    if size < _GB:
        return f"{-(-size // _MB)} MB"
    return f"{-(-size * 10 // _GB) / 10:,.1f} GB"
