"""What the upstream made of Debian's packages offers, in the shape of images.maas.io.

Nothing in it is made up but some names: what has a kernel of its own goes by `ubuntu`. The root
tarball is Debian's by its name too, and `debian_plugin` knows it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from debian_upstream import KERNELS

from mirror.testing.sample_products import (
    BOOTLOADERS,
    UBUNTU,
    SampleFile,
    SampleProduct,
    day,
)

if TYPE_CHECKING:
    from pathlib import Path

DEBIAN = "org.debian.maas:stable:debian-bases-download"


def debian_products(cache: Path) -> list[SampleProduct]:
    """Return what the built upstream offers, for `SampleUpstream.create(products=...)`."""
    return [
        *(_ubuntu(cache, subarch) for subarch in KERNELS),
        _bootloader(cache, "grub-efi-signed", "uefi", "amd64", ("shim-signed", "grub2-signed")),
        _bootloader(cache, "pxelinux", "pxe", "i386", ("syslinux",)),
        _root_tgz(cache),
    ]


def _ubuntu(cache: Path, subarch: str) -> SampleProduct:
    about = {
        **_image("ubuntu", "bookworm", "12", subarch),
        "kflavor": "generic",
        "krel": "bookworm",
        "release_codename": "Bookworm",
        "support_esm_eol": "2030-06-30",
    }
    name = f"com.ubuntu.maas.stable:v3:boot:12:amd64:{subarch}"
    return SampleProduct(name, UBUNTU, about, day, partial(_ubuntu_files, cache, subarch))


def _ubuntu_files(cache: Path, subarch: str, version: str, size: int) -> list[SampleFile]:
    base = f"bookworm/amd64/{version}"
    built = cache / version
    boot = [
        SampleFile(
            name,
            f"{base}/{subarch}/generic/{name}",
            (built / f"{subarch}.{name}").read_bytes(),
            attributes={"kpackage": KERNELS[subarch]},
        )
        for name in ("boot-initrd", "boot-kernel")
    ]
    return [
        *boot,
        SampleFile("manifest", f"{base}/squashfs.manifest", (built / "manifest").read_bytes()),
        SampleFile("squashfs", f"{base}/squashfs", (built / "squashfs").read_bytes()),
    ]


def _root_tgz(cache: Path) -> SampleProduct:
    about = _image("debian", "bookworm", "12", "generic")
    name = "org.debian.maas.stable:debian-bases:12:amd64"
    return SampleProduct(
        name, DEBIAN, about, partial(day, suffix="_01"), partial(_root_tgz_files, cache)
    )


def _root_tgz_files(cache: Path, version: str, size: int) -> list[SampleFile]:
    base = f"debian/bookworm/amd64/{version}"
    built = cache / version.removesuffix("_01")
    return [
        SampleFile("manifest", f"{base}/root-tgz.manifest", (built / "manifest").read_bytes()),
        SampleFile("root-tgz", f"{base}/root-tgz", (built / "root-tgz").read_bytes()),
    ]


def _image(os_name: str, release: str, version: str, subarch: str) -> dict[str, str]:
    return {
        "arch": "amd64",
        "label": "stable",
        "os": os_name,
        "release": release,
        "release_title": "Debian 12",
        "subarch": subarch,
        "subarches": "generic" if subarch == "generic" else f"generic,{subarch}",
        "support_eol": "2028-06-30",
        "version": version,
    }


def _bootloader(
    cache: Path, os_name: str, kind: str, arch: str, items: tuple[str, ...]
) -> SampleProduct:
    about = {
        "arch": arch,
        "arches": "i386,amd64" if arch == "i386" else arch,
        "bootloader-type": kind,
        "label": "stable",
        "os": os_name,
    }
    name = f"com.ubuntu.maas.stable:1:{os_name}:{kind}:{arch}"
    files = partial(_bootloader_files, cache, f"bootloaders/{kind}/{arch}", items)
    return SampleProduct(name, BOOTLOADERS, about, partial(day, suffix=".0"), files)


def _bootloader_files(
    cache: Path, base: str, items: tuple[str, ...], version: str, size: int
) -> list[SampleFile]:
    built = cache / "bootloaders"
    return [
        SampleFile(
            item,
            f"{base}/{version}/{item}.tar.xz",
            (built / f"{item}.tar.xz").read_bytes(),
            ftype="archive.tar.xz",
            attributes={
                "src_package": item,
                "src_release": "bookworm",
                "src_version": (built / f"{item}.version").read_text(),
            },
        )
        for item in items
    ]
