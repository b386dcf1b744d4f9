"""The kernel and the initrd of an image: are they what the stream says, and of one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.formats import FormatError, KernelImage, read_initrd, read_kernel
from mirror_ubuntu.codes import finding, shown
from mirror_ubuntu.kernels import agree, package_flavour, package_version, version_flavour

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mirror.api import Finding, Product, Version

_ARCHES = {"amd64", "arm64", "armhf", "i386", "ppc64", "ppc64el", "riscv64", "s390x"}
_ALSO = {"i386": {"amd64"}, "ppc64": {"powerpc"}, "ppc64el": {"powerpc"}}
"""Kernels of amd64 run the programs of i386; what is wrapped around those of POWER may be older."""


def check_kernel(
    product: Product, version: Version, file: Path
) -> tuple[KernelImage | None, list[Finding]]:
    """Return what the kernel is (None: it can't be read), and what is wrong with it."""
    try:
        kernel = read_kernel(file)
    except FormatError as error:
        said = f"the boot-kernel {error}"
        return None, [finding("ubuntu-boot-kernel", "boot-kernel", said)]
    findings = [*_check_arch(kernel, product.arch)]
    findings += _check_package(kernel, _kpackage(version, "boot-kernel"))
    return kernel, findings


def check_initrd(version: Version, file: Path, kernel: KernelImage | None) -> Iterable[Finding]:
    """Yield what is wrong with the initrd, beside its kernel."""
    try:
        initrd = read_initrd(file)
    except FormatError as error:
        yield finding("ubuntu-boot-initrd", "boot-initrd", f"the boot-initrd {error}")
        return
    if not initrd.kernels:
        said = "the boot-initrd has no modules of any kernel"
        if initrd.unread:
            said = f"the boot-initrd is packed with {initrd.unread}: its modules were not looked at"
        yield finding("ubuntu-initrd-modules", "boot-initrd", said)
        return
    if initrd.unread:
        return
    where = "boot-initrd: lib/modules"
    some = ", ".join(shown(each) for each in sorted(initrd.kernels)[:3])
    if kernel and kernel.version:
        if kernel.version not in initrd.kernels:
            said = f"the boot-initrd has modules for {some}, not for {shown(kernel.version)}"
            yield finding("ubuntu-initrd-kernel", where, said)
        return
    # The kernel does not say which it is: its package says at least the flavour.
    package = _kpackage(version, "boot-initrd") or _kpackage(version, "boot-kernel")
    flavour = package_flavour(package)
    if all(agree(flavour, version_flavour(each)) is False for each in initrd.kernels):
        said = f"the boot-initrd has modules for {some}, none of which {shown(package)} brings"
        yield finding("ubuntu-initrd-kernel", where, said)


def _check_arch(kernel: KernelImage, arch: str) -> Iterable[Finding]:
    # Some kernels don't say what they are for, and of some architectures we don't know the names.
    fits = kernel.arch in {arch, ""} or arch not in _ARCHES or kernel.arch in _ALSO.get(arch, ())
    if not fits:
        said = f"the boot-kernel is for {kernel.arch} ({kernel.form}), not for {shown(arch)}"
        yield finding("ubuntu-kernel-arch", "boot-kernel", said)


def _check_package(kernel: KernelImage, package: str) -> Iterable[Finding]:
    if not kernel.version:
        return
    said = f"the boot-kernel is {shown(kernel.version)}, and its package {shown(package)}"
    only = package_version(package)
    if only and only != kernel.version:
        yield finding("ubuntu-kernel-version", "boot-kernel", said)
        return
    agreed = agree(package_flavour(package), version_flavour(kernel.version))
    if agreed is False:
        yield finding("ubuntu-kernel-flavour", "boot-kernel", said)
    elif agreed is None:
        yield finding("ubuntu-kernel-package", "boot-kernel", said)


def _kpackage(version: Version, name: str) -> str:
    item = next((item for item in version.items if item.name == name), None)
    package = item.attributes.get("kpackage", "") if item else ""
    return package if isinstance(package, str) else ""
