"""The packages of an image, from its manifest: what a publisher wrote, so nothing is believed.

Known are the manifests of Ubuntu and Debian (`package<TAB>version`, `package:arch<TAB>version`,
`snap:name<TAB>track<TAB>revision`, or the same with spaces) and those of `rpm -qa` (one
`name-version-release.arch` a line).
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import BlobCorrupt, BlobMissing, ManifestUnreadable
from mirror.store.durable import disk_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.model import Item, Version
    from mirror.store.blobs import Blobs

MAX_SIZE = 4 << 20
"""Bytes: a server's manifest has some 30 kB."""

_MAX_PACKAGES = 50_000
_MAX_LINE = 1000

_RPM = re.compile(r"(?P<name>.+)-(?P<version>[^-]+-[^-]+?)(?P<arch>\.[a-z]\w+)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~_-]*")
_WORDS = re.compile(r"[\t ]+")

Packages = dict[str, tuple[str, ...]]
"""package -> its versions: several of a kernel may be installed at once."""


class Package(msgspec.Struct, frozen=True):
    """A package of one image and its version (several, with commas, where it is there twice)."""

    name: str
    version: str


class PackageChange(msgspec.Struct, frozen=True):
    """A package that two images have in different versions."""

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


def manifest_of(version: Version) -> Item | None:
    """Return the file of a version that lists its packages."""
    named = [item for item in version.items if "manifest" in (item.name, item.ftype)]
    return named[0] if named else None


def read_packages(blobs: Blobs, item: Item) -> Packages:
    """Return the packages that a manifest lists.

    Raises `ManifestUnreadable`, and `BlobMissing` or `BlobCorrupt` when the file is not the one
    that was signed.
    """
    if item.size > MAX_SIZE:
        raise ManifestUnreadable(f"{item.path} has {item.size:,} bytes; at most {MAX_SIZE:,}")
    path = blobs.path(item.sha256)
    with disk_errors(path):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise BlobMissing(f"{item.path} (blob {item.sha256}) is not in the store") from None
        with os.fdopen(fd, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    if hashlib.sha256(data).hexdigest() != item.sha256:
        raise BlobCorrupt(f"{item.path} (blob {item.sha256}) is damaged")
    return parse_packages(data, item.path)


def parse_packages(data: bytes, where: str) -> Packages:
    """Read a manifest; `where` names it in the error. Raises `ManifestUnreadable`."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ManifestUnreadable(f"{where} is not UTF-8 text") from None
    packages: dict[str, set[str]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip(" \t\r")
        if not stripped:
            continue
        name, version = _parse_line(stripped, f"{where}, line {number}")
        packages.setdefault(name, set()).add(version)
        if len(packages) > _MAX_PACKAGES:
            raise ManifestUnreadable(f"{where} lists more than {_MAX_PACKAGES:,} packages")
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


def _parse_line(line: str, where: str) -> tuple[str, str]:
    if len(line) > _MAX_LINE or not line.replace("\t", " ").isprintable():
        raise ManifestUnreadable(f"{where}: it is too long, or has characters that are no text")
    name, *version = _WORDS.split(line)
    rpm = None if version else _RPM.fullmatch(line)
    if rpm is not None:
        name, version = rpm["name"] + (rpm["arch"] or ""), [rpm["version"]]
    if not (1 <= len(version) <= 2 and _NAME.fullmatch(name)):
        raise ManifestUnreadable(f"{where} is no package and its version: {line[:60]!r}")
    return name, " ".join(version)


def _listed(packages: Mapping[str, tuple[str, ...]], names: set[str]) -> tuple[Package, ...]:
    return tuple(Package(name, ", ".join(packages[name])) for name in sorted(names))
