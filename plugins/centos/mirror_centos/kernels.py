"""Judge the kernels of a root tarball: each with its modules and its initramfs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import FormatError
from mirror_centos.root import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Product
    from mirror.formats import KernelImage
    from mirror_centos.root import Root


def check_kernels(product: Product, name: str, root: Root) -> Iterator[Finding]:
    """Check that each kernel is one of the product's architecture and of the version it is named.

    One of them must have modules and an initramfs of its version: CentOS has the drivers of disks
    and file systems in modules.
    """
    if not root.kernels:
        what = "there is no boot/vmlinuz-*: nothing installs a kernel later"
        yield Finding(Severity.ERROR, "centos-no-kernel", f"{name}: boot", what)
        return
    lacking = {version: _lacking(root, version) for version in root.kernels}
    usable = [version for version, what in lacking.items() if not what]
    for version, kernel in root.kernels.items():
        where = f"{name}: boot/vmlinuz-{shown(version)}"
        fault = _fault(product, version, kernel)
        if fault:
            yield Finding(Severity.ERROR, "centos-kernel", where, f"the kernel {fault}")
        if lacking[version]:
            what = (
                f"kernel {shown(version)} has no {' and no '.join(lacking[version])} of its version"
            )
            severity = Severity.WARNING if usable else Severity.ERROR
            code = "centos-kernel-incomplete" if usable else "centos-no-kernel"
            yield Finding(severity, code, where, what)
    for version, fault in root.initramfs.items():
        if fault:
            where = f"{name}: boot/initramfs-{shown(version)}.img"
            yield Finding(Severity.ERROR, "centos-initramfs", where, f"the initramfs {fault}")


def _lacking(root: Root, version: str) -> list[str]:
    return [
        what
        for what, there in (("modules", root.modules), ("initramfs", root.initramfs))
        if version not in there
    ]


def _fault(product: Product, version: str, kernel: KernelImage | FormatError | None) -> str:
    if isinstance(kernel, FormatError):
        return str(kernel)
    if kernel is None:
        return ""
    if kernel.arch not in {product.arch, ""}:
        return f"is for {kernel.arch}, not {product.arch}"
    if kernel.version and kernel.version != version:
        return f"is version {kernel.version}, not the one of its name"
    return ""
