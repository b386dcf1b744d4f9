"""Kernels in a root file system: whole, of the architecture, with initramfs and modules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.api import Severity
from mirror.formats import (
    FormatError,
    Initrd,
    KernelImage,
    compression_of,
    read_initrd_stream,
    read_kernel_stream,
)
from mirror_custom_images.checks.seen import Image, Seen, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Finding

ALSO = {"i386": {"amd64"}, "ppc64": {"powerpc"}, "ppc64el": {"powerpc"}, "armhf": {"arm64"}}
"""Kernels of amd64 run the programs of i386; what is wrapped around those of POWER may be older."""
ARCHES = frozenset(("amd64", "arm64", "armhf", "i386", "ppc64", "ppc64el", "riscv64", "s390x"))

_KERNEL = re.compile(r"(?:vmlinu[xz]|[Ii]mage|kernel)-(.+)")
_INITRD = re.compile(r"(?:initramfs|initrd(?:\.img)?)-(.+?)(?:\.img)?")
_BLS = re.compile(r"boot/(?:efi/)?[^/]+/([^/]+)/(linux|initrd)")
_OTHER = ("rescue", "kdump", ".hmac", ".sig")
_MOST = 16
_MOST_READ = 512 << 20
"""Bytes of an initramfs that is read to its end."""
_CPIO = (b"070701", b"070702", b"070707", b"\xc7\x71", b"\x89LZO")


@dataclass
class _Kernel:
    path: str
    image: KernelImage | FormatError | None = None
    """None for one that was not read."""


@dataclass
class _Initramfs:
    path: str
    content: Initrd | None = None
    fault: str = ""


class Kernels:
    """Sees /boot and the directories of modules; one kernel and one initramfs are read whole."""

    places = ("boot", "lib")

    def __init__(self) -> None:
        self._kernels: dict[str, _Kernel] = {}
        self._initramfs: dict[str, _Initramfs] = {}
        self._modules: set[str] = set()
        self._read: set[str] = set()

    def see(self, seen: Seen) -> None:
        """Take a kernel, an initramfs, or a module."""
        path = seen.path
        if path.startswith("lib/"):
            if path.startswith("lib/modules/"):
                self._see_module(seen, path)
        elif path.startswith("boot/") and seen.entry.kind in {"file", "hardlink", "symlink"}:
            self._see_boot(seen, path)

    def _see_module(self, seen: Seen, path: str) -> None:
        parts = path.split("/", 4)
        if len(parts) < 4:
            return
        if parts[3] == "vmlinuz" and len(parts) == 4 and seen.entry.kind != "symlink":
            self._see_kernel(seen, path, parts[2])
        # A directory alone is no modules: packages of drivers leave theirs behind.
        elif parts[3] in {"kernel", "modules.dep"} and len(self._modules) < _MOST:
            self._modules.add(parts[2])

    def _see_boot(self, seen: Seen, path: str) -> None:
        parent, _, base = path.rpartition("/")
        if any(each in base for each in _OTHER):
            return
        if parent != "boot":
            if found := _BLS.fullmatch(path):
                self._see_part(seen, path, found[1], kernel=found[2] == "linux")
        elif found := _KERNEL.fullmatch(base):
            self._see_part(seen, path, found[1], kernel=True)
        elif found := _INITRD.fullmatch(base):
            self._see_part(seen, path, found[1], kernel=False)

    def _see_part(self, seen: Seen, path: str, version: str, *, kernel: bool) -> None:
        if kernel:
            self._see_kernel(seen, path, version)
        elif len(self._initramfs) < _MOST:
            self._initramfs[version] = self._initramfs_of(seen, path)

    def _see_kernel(self, seen: Seen, path: str, version: str) -> None:
        if len(self._kernels) >= _MOST:
            return
        known = self._kernels.setdefault(version, _Kernel(path))
        if seen.entry.kind == "file" and known.image is None and "kernel" not in self._read:
            self._read.add("kernel")
            known.path = path
            try:
                known.image = read_kernel_stream(seen.stream())
            except FormatError as error:
                known.image = error

    def _initramfs_of(self, seen: Seen, path: str) -> _Initramfs:
        if seen.entry.kind != "file":
            return _Initramfs(path)
        if "initramfs" in self._read or seen.entry.size > _MOST_READ:
            return _Initramfs(path, fault=_fault_of_head(seen.head(4096)))
        self._read.add("initramfs")
        try:
            return _Initramfs(path, read_initrd_stream(seen.stream()))
        except FormatError as error:
            return _Initramfs(path, fault=str(error))

    def findings(self, image: Image) -> Iterator[Finding]:
        """Say what is missing, broken, or of another architecture."""
        if not self._kernels:
            yield _no_kernel(image)
            return
        for version, kernel in self._kernels.items():
            yield from _judged(image, version, kernel, self._modules)
        names = {name for version in self._kernels for name in self._names(version)}
        if not names & self._modules:
            what = f"there are no modules (lib/modules) of the kernel {_some(self._kernels)}"
            yield image.warning("no-modules", "lib/modules", f"{what}: disks may have no driver")
        if not names & self._initramfs.keys():
            what = f"there is no initramfs of the kernel {_some(self._kernels)} in boot"
            remedy = "unless a hook or curtin makes one, the machine can't mount its root"
            yield image.warning("no-initramfs", "boot", f"{what}: {remedy}")
        for version, initramfs in self._initramfs.items():
            yield from _judged_initramfs(image, version, initramfs)

    def _names(self, version: str) -> set[str]:
        """Return the version in a kernel's name, and the one that it says itself."""
        read = self._kernels[version].image
        return {version, getattr(read, "version", "") or version}


def _no_kernel(image: Image) -> Finding:
    what = "there is no kernel: no boot/vmlinuz-* and no lib/modules/*/vmlinuz"
    if image.system.family == "debian":
        return image.note("no-kernel", "boot", f"{what}; curtin installs one, from an archive")
    if image.hooks:
        return image.warning("no-kernel", "boot", f"{what}; only the hooks can install one")
    severity = Severity.ERROR if image.system.family == "redhat" else Severity.WARNING
    return image.finding(severity, "no-kernel", "boot", f"{what}, and nothing installs one later")


def _judged(image: Image, version: str, kernel: _Kernel, modules: set[str]) -> Iterator[Finding]:
    found, arch = kernel.image, image.product.arch
    if isinstance(found, FormatError):
        yield image.warning("kernel", kernel.path, f"the kernel {found}")
    elif found is None:
        return
    elif found.arch not in {arch, ""} and arch in ARCHES and found.arch not in ALSO.get(arch, ()):
        what = f"the kernel is for {found.arch}, not {arch}: the image is of another architecture"
        yield image.error("kernel-arch", kernel.path, what)
    elif found.version and found.version != version and found.version not in modules:
        what = f"the kernel is version {shown(found.version)}, not the one of its name"
        yield image.warning("kernel", kernel.path, what)


def _judged_initramfs(image: Image, version: str, initramfs: _Initramfs) -> Iterator[Finding]:
    if initramfs.fault:
        yield image.warning("initramfs", initramfs.path, f"the initramfs {initramfs.fault}")
    elif initramfs.content and initramfs.content.kernels:
        kernels = initramfs.content.kernels
        if version not in kernels:
            what = f"the initramfs has modules for {_some(sorted(kernels))}, not for {version}"
            yield image.warning("initramfs", initramfs.path, shown(what))


def _fault_of_head(head: bytes) -> str:
    if not head.strip(b"\0"):
        return "begins with zeros and nothing else" if head else "is empty"
    known = compression_of(head[:16]) or head.startswith(_CPIO)
    return "" if known else "is neither a cpio archive nor a compressed one"


def _some(names: object) -> str:
    some = [shown(str(each)) for each in list(names)[:3]]  # type: ignore[call-overload]
    return ", ".join(some)
