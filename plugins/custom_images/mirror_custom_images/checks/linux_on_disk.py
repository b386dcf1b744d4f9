"""The Linux that is on a disk: its root, with /boot where that is a file system of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import FormatError
from mirror_custom_images.checks.efi import ESP_KINDS
from mirror_custom_images.checks.on_disk import UNIX
from mirror_custom_images.checks.root_files import RootCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirror.api import Product
    from mirror_custom_images.checks.on_disk import Place
    from mirror_custom_images.filesystems.filesystem import FileSystem
    from mirror_custom_images.packages.manifest import Manifest

_OF_A_TARBALL = frozenset(
    f"custom-images-{code}"
    for code in ("boot-parts", "curtin-hooks", "efi-directory", "fstab", "no-boot-efi")
)
"""What is wrong in a root tarball only, or is looked for on the disk as a whole."""


def check_linux(
    places: Sequence[Place], product: Product, item: str, keep: Callable[[Manifest], None]
) -> Iterator[Finding]:
    """Check the root file system, where there is exactly one; `keep` gets its manifest.

    Findings name the whole place: `root-dd.gz: partition 2: etc/machine-id`.
    """
    roots = [each for each in places if each.kind in UNIX and each.files and _has_root(each.files)]
    if len(roots) != 1:
        return
    root = roots[0]
    check = RootCheck(product, lambda path: f"{item}: {root.where(path)}")
    for prefix, place in [("", root), *_mounted(places, root)]:
        try:
            _see(check, place.files, prefix)
        except FormatError as error:
            what = f"the {place.kind} on it {error}: only a part of it is checked"
            where = f"{item}: {place.name}"
            yield Finding(Severity.WARNING, "custom-images-filesystem-unread", where, what)
            return
    keep(check.manifest())
    for finding in check.findings():
        if finding.code not in _OF_A_TARBALL:
            yield finding


def _has_root(files: FileSystem) -> bool:
    try:
        return all(_is_folder(files, name) for name in ("etc", "usr"))
    except FormatError:
        return False  # said where curtin's directory is looked for


def _is_folder(files: FileSystem, path: str) -> bool:
    entry = files.find(path)
    return entry is not None and entry.kind == "dir"


def _mounted(places: Sequence[Place], root: Place) -> Iterator[tuple[str, Place]]:
    """Yield what is mounted in the root, as far as one can tell, and where."""
    for each in places:
        if each is root or each.files is None:
            continue
        if each.partition.kind in ESP_KINDS:
            yield "boot/efi/", each
        elif each.kind in UNIX and _is_boot(each.files):
            yield "boot/", each


def _is_boot(files: FileSystem) -> bool:
    try:
        return any(each.path.startswith(("vmlinuz-", "Image-", "grub")) for each in files.list(""))
    except FormatError:
        return False


def _see(check: RootCheck, files: FileSystem | None, prefix: str) -> None:
    if files is None:
        return
    for entry in files.walk():
        if not prefix:
            check.see(entry)
        elif entry.path != ".":
            check.see(replace(entry, path=prefix + entry.path))
