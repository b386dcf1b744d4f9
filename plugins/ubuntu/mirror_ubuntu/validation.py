"""Look into the files of an image: each by itself, and do they belong together.

Each file is read as a stream, in constant memory, without root. What the kernel says of itself is
compared with its package, with the modules in the initrd and with the manifest.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mirror.formats import FormatError, check_content
from mirror_ubuntu.boot import check_initrd, check_kernel
from mirror_ubuntu.codes import finding, shown
from mirror_ubuntu.manifest import kernels_in, manifest_text, parse_manifest
from mirror_ubuntu.root import check_root_image, check_squashfs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mirror.api import Finding, Product, Version
    from mirror.formats import KernelImage

_DTB = struct.Struct(">II")
_DTB_MAGIC = 0xD00DFEED


def validate_image(
    product: Product, version: Version, files: Mapping[str, Path]
) -> Iterable[Finding]:
    """Yield what is wrong with the files, by item name; one that is not there is not looked at."""
    kernel: KernelImage | None = None
    if "boot-kernel" in files:
        kernel, findings = check_kernel(product, version, files["boot-kernel"])
        yield from findings
    if "boot-initrd" in files:
        yield from check_initrd(version, files["boot-initrd"], kernel)
    if "boot-dtb" in files:
        yield from _check_dtb(files["boot-dtb"])
    if "squashfs" in files:
        yield from check_squashfs(files["squashfs"], kernel)
    if "root-image.gz" in files:
        yield from check_root_image(files["root-image.gz"])
    if "manifest" in files:
        yield from _check_manifest(files["manifest"], kernel)


def _check_manifest(file: Path, kernel: KernelImage | None) -> Iterable[Finding]:
    try:
        text = manifest_text(file)
    except FormatError as error:
        yield finding("ubuntu-manifest", "manifest", f"the manifest {error}")
        return
    try:
        packages = parse_manifest(text)
    except FormatError as error:
        # Machines boot without it: nobody but people reads a manifest.
        yield finding("ubuntu-manifest-unread", "manifest", f"the manifest {error}")
        return
    listed = kernels_in(packages)
    if kernel and kernel.version and listed and kernel.version not in listed:
        some = ", ".join(shown(each)[1:-1] for each in sorted(listed)[:3])
        yield finding(
            "ubuntu-kernel-unlisted",
            "manifest",
            f"the manifest lists the kernels {some}, not {kernel.version}",
        )


def _check_dtb(file: Path) -> Iterable[Finding]:
    try:
        check_content(file)
        with file.open("rb") as stream:
            head = stream.read(_DTB.size)
        _check_dtb_head(head, file.stat().st_size)
    except FormatError as error:
        yield finding("ubuntu-boot-dtb", "boot-dtb", f"the boot-dtb {error}")


def _check_dtb_head(head: bytes, size: int) -> None:
    if len(head) < _DTB.size:
        raise FormatError("is no device tree")
    magic, total = _DTB.unpack(head)
    if magic != _DTB_MAGIC:
        raise FormatError("is no device tree")
    if total > size:
        raise FormatError(f"is cut: {size} bytes of {total}")
