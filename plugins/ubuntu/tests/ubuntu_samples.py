"""Versions to look at: good ones of every architecture, of which a test spoils a file."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mirror_ubuntu.bootloaders import Bootloaders
from mirror_ubuntu.images import UbuntuImages

from mirror.api import Item, Product, Version
from mirror.testing import artefacts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mirror.api import Distribution, Finding

GA, HWE = "6.8.0-64-generic", "6.14.0-24-generic"
ARCHES = ("amd64", "arm64", "armhf", "i386", "ppc64el", "riscv64", "s390x")

NOBLE = {
    "arch": "amd64",
    "kflavor": "generic",
    "krel": "noble",
    "label": "stable",
    "os": "ubuntu",
    "release": "noble",
    "release_codename": "Noble Numbat",
    "release_title": "24.04 LTS",
    "subarch": "ga-24.04",
    "subarches": "generic,ga-22.04,ga-24.04",
    "support_eol": "2029-05-31",
    "support_esm_eol": "2034-04-25",
    "version": "24.04",
}


def image(versions: tuple[Version, ...] = (), /, **attributes: Any) -> Product:
    """Return a product of noble, with other attributes."""
    about = {**NOBLE, **attributes}
    name = f"com.ubuntu.maas.stable:v3:boot:{about['version']}:{about['arch']}:{about['subarch']}"
    return Product(name, "com.ubuntu.maas:stable:v3:download", about, versions)


def loader(os: str, firmware: str, arch: str, *, name: str = "") -> Product:
    about = {"arch": arch, "arches": arch, "bootloader-type": firmware, "label": "stable", "os": os}
    name = name or f"com.ubuntu.maas.stable:1:{os}:{firmware}:{arch}"
    return Product(name, "com.ubuntu.maas:stable:1:bootloader-download", about, ())


def version_of(*names: str, kpackage: str = "", folder: str = "noble/amd64/20250615") -> Version:
    items = []
    for name in names:
        about = {"kpackage": kpackage} if kpackage and name.startswith("boot-") else {}
        items.append(Item(name, name, f"{folder}/{name}", "0" * 64, 1, about))
    return Version("20250615", tuple(items))


def manifest(*kernels: str) -> bytes:
    packages = {f"linux-image-{kernel}": kernel.rpartition("-")[0] for kernel in kernels}
    return artefacts.dpkg_manifest({"base-files": "13ubuntu10.2", **packages})


@dataclass
class Subject:
    """A version, and the bytes of its files, by item name; change them, then ask for `codes`."""

    folder: Path
    distribution: Distribution
    product: Product
    files: dict[str, bytes]
    kpackage: str = "linux-generic"
    findings: list[Finding] = field(default_factory=list)

    def codes(self) -> list[str]:
        """Return the codes of what is found now, as `error ubuntu-squashfs`."""
        paths = {}
        for name, data in self.files.items():
            paths[name] = self.folder / f"blob-{name}"
            paths[name].write_bytes(data)
        version = version_of(*self.files, kpackage=self.kpackage)
        self.findings = list(self.distribution.validate(self.product, version, paths))
        for each in self.findings:
            assert each.message.isprintable()
            assert each.where.partition(":")[0] in {"", *self.files}
        return [f"{each.severity} {each.code}" for each in self.findings]

    @property
    def said(self) -> str:
        return "; ".join(each.message for each in self.findings)


def ubuntu(folder: Path, arch: str = "amd64", version: str = GA, **attributes: Any) -> Subject:
    """Return a good version."""
    files = {
        "boot-initrd": artefacts.initrd("initrd", 9000, version=version),
        "boot-kernel": artefacts.kernel("kernel", 9000, arch=arch, version=version),
        "manifest": manifest(version),
        "squashfs": artefacts.squashfs("root", 20_000),
    }
    return Subject(folder, UbuntuImages(), image(arch=arch, **attributes), files)


LOADERS = {
    "amd64": ("grub-efi-signed", "uefi", ("grub2-signed", "shim-signed")),
    "arm64": ("grub-efi", "uefi", ("grub2-signed", "shim-signed")),
    "ppc64el": ("grub-ieee1275", "open-firmware", ("grub2",)),
    "i386": ("pxelinux", "pxe", ("syslinux",)),
}


def bootloader(folder: Path, arch: str) -> Subject:
    """Return a good version of a bootloader."""
    os, firmware, packages = LOADERS[arch]
    files = {
        package: artefacts.bootloader(package, 20_000, arch=arch, package=package)
        for package in packages
    }
    return Subject(folder, Bootloaders(), loader(os, firmware, arch), files)


def members(archive: bytes) -> dict[str, bytes]:
    """Return the files of an archive, by name."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {each.name: opened.extractfile(each).read() for each in opened}


def tar_xz(files: Mapping[str, bytes]) -> bytes:
    return lzma.compress(artefacts.tar(files), preset=0)


def root_image(size: int = 100_000, *, blocks: int | None = None) -> bytes:
    """Return the head of an ext4 file system and zeros, packed with gzip."""
    data = bytearray(size)
    struct.pack_into("<I", data, 1024 + 4, size // 1024 if blocks is None else blocks)
    struct.pack_into("<H", data, 1024 + 56, 0xEF53)
    data[5000:6000] = artefacts.noise("root", 1000)
    return gzip.compress(bytes(data), mtime=0)
