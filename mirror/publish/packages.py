"""Which packages differ between two versions of an image.

What is in an image, the plugin that claims it lists, in a process of its own: it reads what a
publisher wrote, so nothing that it says is believed either.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from mirror.api import Package
from mirror.errors import BlobCorrupt, BlobMissing, ManifestUnreadable, NoManifest
from mirror.store.durable import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mirror.isolation.workshop import Workshop
    from mirror.model import Item, Product, Version
    from mirror.plugin_manager import Plugins
    from mirror.store.blobs import Blobs

CHECKED = 4 << 20
"""Bytes: of a file that is no larger, the digest is compared before a plugin reads it. A list of
packages has some 30 kB; whole images are what `mirror verify` is for."""

_MAX_PACKAGES = 50_000
_MAX_NAME = 300
"""Characters of a package's name, and of its version."""

Packages = dict[str, tuple[str, ...]]
"""package -> its versions: several of a kernel may be installed at once."""


class PackageChange(msgspec.Struct, frozen=True):
    """A package that two images have in different versions (several, with commas)."""

    name: str
    old: str
    new: str


class PackageDiff(msgspec.Struct, frozen=True, kw_only=True):
    """Which packages came, went and changed between two versions of a product."""

    product: str
    old: str
    new: str
    added: tuple[Package, ...]
    removed: tuple[Package, ...]
    changed: tuple[PackageChange, ...]
    same: int
    """How many packages are as they were."""


@dataclass(frozen=True)
class Lister:
    """Has the plugins list the packages of images, in a workshop that is open."""

    workshop: Workshop
    plugins: Plugins
    blobs: Blobs

    async def compare(self, product: Product, old: Version, new: Version) -> PackageDiff:
        """Compare the packages of two versions of a product.

        Raises `NoManifest`, `ManifestUnreadable`, what a plugin's failure raises, and `BlobMissing`
        or `BlobCorrupt` when a file is not the one that was signed.
        """
        before, after = await asyncio.gather(self.list(product, old), self.list(product, new))
        return compare_packages(product.name, (old.name, before), (new.name, after))

    async def list(self, product: Product, version: Version) -> Packages:
        """Return the packages of one version. Raises what `compare` does."""
        about = f"{product.name!r} {version.name}"
        distribution = self.plugins.claimant(product)
        if distribution is None:
            raise NoManifest(f"{about}: no plugin claims it, so nobody knows how to list packages")
        alone = msgspec.structs.replace(product, versions=(version,))
        files = await asyncio.to_thread(_files, version, self.blobs)
        listed = await self.workshop.packages(distribution.id, alone, version, files)
        if not listed:
            raise NoManifest(f"{about}: the plugin for {distribution.id!r} lists no packages in it")
        return sound_packages(listed, about)


def sound_packages(listed: Iterable[Package], about: str) -> Packages:
    """Return the packages by name; `about` names them in the error. Raises `ManifestUnreadable`."""
    packages: dict[str, set[str]] = {}
    for number, each in enumerate(listed, start=1):
        if number > _MAX_PACKAGES:
            raise ManifestUnreadable(f"{about}: there are more than {_MAX_PACKAGES:,} packages")
        for text in (each.name, each.version):
            if not (0 < len(text) <= _MAX_NAME and text.isprintable()):
                what = f"{text[:60]!a} is no package's name or version"
                raise ManifestUnreadable(f"{about}: package {number}: {what}")
        packages.setdefault(each.name, set()).add(each.version)
    return {name: tuple(sorted(versions)) for name, versions in packages.items()}


def compare_packages(
    product: str, old: tuple[str, Packages], new: tuple[str, Packages]
) -> PackageDiff:
    """Compare the packages of two versions, each given as (its name, its packages)."""
    (old_name, before), (new_name, after) = old, new
    both = before.keys() & after.keys()
    changed = sorted(name for name in both if before[name] != after[name])
    return PackageDiff(
        product=product,
        old=old_name,
        new=new_name,
        added=_listed(after, after.keys() - before.keys()),
        removed=_listed(before, before.keys() - after.keys()),
        changed=tuple(
            PackageChange(name, ", ".join(before[name]), ", ".join(after[name])) for name in changed
        ),
        same=len(both) - len(changed),
    )


def _listed(packages: Mapping[str, tuple[str, ...]], names: set[str]) -> tuple[Package, ...]:
    return tuple(Package(name, ", ".join(packages[name])) for name in sorted(names))


def _files(version: Version, blobs: Blobs) -> dict[str, Path]:
    """Return where the files of a version are. Raises `BlobMissing`, `BlobCorrupt`."""
    return {item.name: _file(item, blobs) for item in version.items}


def _file(item: Item, blobs: Blobs) -> Path:
    path, about = blobs.path(item.sha256), f"{item.path} (blob {item.sha256})"
    with disk_errors(path):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise BlobMissing(f"{about} is not in the store") from None
        with os.fdopen(fd, "rb") as file:
            whole = os.fstat(fd).st_size == item.size
            if whole and item.size <= CHECKED:
                whole = hashlib.file_digest(file, "sha256").hexdigest() == item.sha256
    if not whole:
        raise BlobCorrupt(f"{about} is damaged")
    return path
