"""Collect what a manifest lists, from the entries of an image, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.formats import FormatError
from mirror_custom_images.packages.dpkg import apk_packages, dpkg_packages, pacman_package
from mirror_custom_images.packages.manifest import (
    MAX_FILES,
    MAX_PACKAGES,
    Manifest,
    file_manifest,
    package_manifest,
)
from mirror_custom_images.packages.rpm import packages_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO

    from mirror.api import Package
    from mirror_custom_images.entries import Entry


def _rpm(stream: BinaryIO) -> Iterable[Package]:
    from mirror_custom_images.packages.rpm_databases import rpm_headers

    return packages_of(rpm_headers(stream))


_RPM_FILES = ("rpmdb.sqlite", "Packages.db", "Packages")
_RPM_FOLDERS = ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
"""Where rpm keeps its database: up to EL 9, in EL 10 and SUSE, in images of ostree."""

_DATABASES: dict[str, Callable[[BinaryIO], Iterable[Package]]] = {
    "var/lib/dpkg/status": dpkg_packages,
    "lib/apk/db/installed": apk_packages,
    "usr/lib/apk/db/installed": apk_packages,
    **{f"{folder}/{name}": _rpm for folder in _RPM_FOLDERS for name in _RPM_FILES},
}
_JOURNALS = frozenset(f"{folder}/rpmdb.sqlite-wal" for folder in _RPM_FOLDERS)
"""What SQLite has not put into the database yet; rpm leaves none behind unless it is killed."""
_PACMAN = "var/lib/pacman/local/"


class ManifestCollector:
    """Sees each entry of an image once; keeps packages, and names of files while it has none."""

    def __init__(self) -> None:
        self._packages: set[Package] = set()
        self._faults: dict[str, str] = {}
        self._files: list[tuple[str, int]] = []
        self._more = 0

    @property
    def faults(self) -> dict[str, str]:
        """What could not be read: path -> a clause."""
        return self._faults

    def see(self, entry: Entry) -> None:
        """Take what an entry says; the content is read of those that list packages."""
        path = entry.path
        if entry.kind == "file" and path[:4] in {"var/", "usr/", "lib/"}:
            if path in _DATABASES:
                self._read(path, entry)
            elif path in _JOURNALS and entry.size:
                self._faults[path] = "is not empty: what was installed last may not be in the list"
            elif path.startswith(_PACMAN):
                self._see_pacman(path)
        if self._packages or entry.kind == "dir":
            return
        if len(self._files) < MAX_FILES:
            self._files.append((path, entry.size))
        else:
            self._more += 1

    def manifest(self) -> Manifest:
        """Return the manifest, when everything was seen."""
        if self._packages:
            return Manifest(package_manifest(self._packages), len(self._packages), self._faults)
        return Manifest(file_manifest(self._files, more=self._more), 0, self._faults)

    def _read(self, path: str, entry: Entry) -> None:
        found: set[Package] = set()
        try:
            for package in _DATABASES[path](entry.open()):
                found.add(package)
                if len(found) > MAX_PACKAGES:
                    raise FormatError(f"lists more than {MAX_PACKAGES:,} packages")
        except FormatError as error:
            # A part of the list would pass for all of it.
            self._faults[path] = str(error)
            return
        self._take(found)

    def _see_pacman(self, path: str) -> None:
        try:
            package = pacman_package(path)
        except FormatError as error:
            self._faults[path] = str(error)
            return
        if package is not None and len(self._packages) < MAX_PACKAGES:
            self._take({package})

    def _take(self, found: set[Package]) -> None:
        self._packages |= found
        if self._packages:
            self._files, self._more = [], 0
