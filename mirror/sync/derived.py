"""Take the files that plugins made into the store.

Nothing that a plugin says of them is believed. The bytes that are hashed are the bytes that are
stored, in a file that the plugin never had: it may be running still, and have its own open.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.validations import Key, content_digest
from mirror.errors import DerivedRefused, UnsafePath
from mirror.isolation.process import remove_tree
from mirror.model import Item
from mirror.simplestreams.conflicts import conflicting_path, conflicting_paths
from mirror.simplestreams.paths import check_item_path
from mirror.store.durable import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from mirror.api import Derived
    from mirror.isolation.workshop import Inspected
    from mirror.model import Version
    from mirror.store.blobs import WritableBlobs
    from mirror.sync.plan import Planned

_PIECE = 1 << 20
_MAX_NAME = 250


def store_derived(
    inspected: Inspected, version: Version, blobs: WritableBlobs, about: str
) -> tuple[Item, ...]:
    """Store what was derived from a version, and return it as items; its folder goes.

    Raises `DerivedRefused`, which begins with `about`, and the errors of the disk.
    """
    folder = inspected.folder
    if folder is None:
        return ()
    try:
        _check_names(inspected.derived, version, about)
        return tuple(_stored(each, folder, blobs, about) for each in inspected.derived)
    finally:
        remove_tree(folder)


def clashing_derived(planned: Iterable[Planned]) -> Iterator[tuple[Key, str]]:
    """Yield each version of which a derived item has a path that is taken, and that path."""
    planned = tuple(planned)
    conflicts = conflicting_paths(each.product for each in planned)
    for each in planned if conflicts else ():
        for version in each.product.versions:
            path = conflicting_path(_only_derived(version), conflicts)
            if path:
                yield (each.product.name, version.name, content_digest(version)), path


def _only_derived(version: Version) -> Version:
    derived = tuple(item for item in version.items if item.derived)
    return msgspec.structs.replace(version, items=derived)


def _check_names(derived: Iterable[Derived], version: Version, about: str) -> None:
    taken = {item.name for item in version.items}
    for each in derived:
        for name in (each.name, each.ftype):
            if not name.isprintable() or not 0 < len(name) <= _MAX_NAME:
                raise DerivedRefused(f"{about}: unusable name of a derived item: {name[:60]!r}")
        if each.name in taken:
            raise DerivedRefused(f"{about}: there is an item {each.name!r} already")
        taken.add(each.name)
        try:
            check_item_path(each.path)
        except UnsafePath as error:
            raise DerivedRefused(f"{about}: derived item {each.name!r}: {error.what}") from None


def _stored(derived: Derived, folder: Path, blobs: WritableBlobs, about: str) -> Item:
    copy = folder.with_name(f"{folder.name}.copy")
    try:
        with _opened(derived.file, folder) as source, disk_errors(copy), copy.open("xb") as target:
            sha256, size = _copied(source, target)
        blobs.adopt(copy, sha256)
    except _NotAFile:
        what = f"{about}: derived item {derived.name!r} is not a file in its scratch directory"
        raise DerivedRefused(what) from None
    finally:
        copy.unlink(missing_ok=True)
    return Item(
        derived.name, derived.ftype, derived.path, sha256, size, derived.attributes, derived=True
    )


class _NotAFile(Exception):
    """There is no plain file below the directory."""


def _opened(file: Path, folder: Path) -> BinaryIO:
    """Open a plain file, if it is below the directory, whatever links there may be on the way."""
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise _NotAFile from None
    real = Path(os.readlink(f"/proc/self/fd/{opened}"))  # noqa: PTH115  (it may name no file)
    if stat.S_ISREG(os.fstat(opened).st_mode) and real.is_relative_to(folder.resolve()):
        return os.fdopen(opened, "rb")
    os.close(opened)
    raise _NotAFile


def _copied(source: BinaryIO, target: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while piece := source.read(_PIECE):
        digest.update(piece)
        size += target.write(piece)
    return digest.hexdigest(), size
