"""Judge the kernels of a root tarball: each with its modules and its initramfs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import FormatError
from mirror_centos.root import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Product
    from mirror_centos.root import Root

_ARCHES = {"amd64", "arm64", "armhf", "i386", "ppc64", "ppc64el", "riscv64", "s390x"}
"""Those of which we know what programs and kernels call them."""
_ALSO = {"i386": {"amd64"}, "ppc64": {"powerpc"}, "ppc64el": {"powerpc"}}
"""Kernels of amd64 run the programs of i386; what is wrapped around those of POWER may be older."""


def check_kernels(product: Product, name: str, root: Root) -> Iterator[Finding]:
    """Check that a kernel is one of the product's architecture, of the version that it is named.

    One must have modules of its version (CentOS has the drivers of disks in modules), and an
    initramfs or dracut, with which curtin makes one. An image with hooks may do all of that itself.
    """
    where = f"{name}: boot"
    if not root.kernels:
        if root.other_kernels or root.hooks is not None:
            what = "there is no boot/vmlinuz-*, where curtin looks for a kernel"
            yield Finding(Severity.WARNING, "centos-kernel-incomplete", where, what)
        else:
            what = "there is no boot/vmlinuz-*: nothing installs a kernel later"
            yield Finding(Severity.ERROR, "centos-no-kernel", where, what)
        return
    faults = {version: _fault(product, root, version) for version in root.kernels}
    lacking = {version: _lacking(root, version) for version in root.kernels}
    certain = root.hooks is None and not any(
        not faults[version] and _may_boot(root, lacking[version]) for version in root.kernels
    )
    severity = Severity.ERROR if certain else Severity.WARNING
    for version in root.kernels:
        where = f"{name}: boot/vmlinuz-{shown(version)}"
        if faults[version]:
            code = "centos-kernel" if certain else "centos-kernel-incomplete"
            yield Finding(severity, code, where, f"the kernel {faults[version]}")
        if lacking[version]:
            what = f"kernel {shown(version)} has no {' and no '.join(lacking[version])}"
            code = "centos-no-kernel" if certain else "centos-kernel-incomplete"
            yield Finding(severity, code, where, f"{what} of its version")
    for version, fault in root.initramfs.items():
        if fault:
            where = f"{name}: boot/initramfs-{shown(version)}.img"
            yield Finding(Severity.WARNING, "centos-initramfs", where, f"the initramfs {fault}")


def is_other(arch: str, found: str) -> bool:
    """Say whether what was found is certainly not for an architecture."""
    return found not in {arch, ""} and arch in _ARCHES


def _may_boot(root: Root, lacking: list[str]) -> bool:
    return not lacking or (lacking == ["initramfs"] and "dracut" in root.programs)


def _names(root: Root, version: str) -> set[str]:
    """Return the version in a kernel's name, and the one that it says itself."""
    kernel = root.kernels[version]
    return {version, getattr(kernel, "version", "") or version}


def _lacking(root: Root, version: str) -> list[str]:
    names = _names(root, version)
    good = {each for each, fault in root.initramfs.items() if not fault}
    return [
        what
        for what, there in (("modules", root.modules), ("initramfs", good))
        if not names & there
    ]


def _fault(product: Product, root: Root, version: str) -> str:
    kernel = root.kernels[version]
    if isinstance(kernel, FormatError):
        return str(kernel)
    if kernel is None:
        return ""
    if is_other(product.arch, kernel.arch) and kernel.arch not in _ALSO.get(product.arch, ()):
        return f"is for {kernel.arch}, not {product.arch}"
    if kernel.version and kernel.version != version and kernel.version not in root.modules:
        return f"is version {shown(kernel.version)}, not the one of its name"
    return ""
