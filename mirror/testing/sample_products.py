"""What a sample upstream offers: products named, shaped and placed as images.maas.io has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from mirror.testing import artefacts
from mirror.testing.root_tarballs import rpms

if TYPE_CHECKING:
    from collections.abc import Callable

UBUNTU = "com.ubuntu.maas:stable:v3:download"
BOOTLOADERS = "com.ubuntu.maas:stable:1:bootloader-download"
CENTOS = "com.ubuntu.maas:stable:centos-bases-download"

FIRST_VERSION = datetime(2025, 6, 15, tzinfo=UTC)


@dataclass(frozen=True)
class SampleFile:
    """One item of a version: what the products file says of it, and its bytes."""

    name: str
    path: str
    data: bytes
    ftype: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SampleProduct:
    """One product: `version(n)` names its n-th version (from 0); `files(version, size)` makes it.

    `size` is that of a root file system in bytes; everything else is in proportion.
    """

    name: str
    content_id: str
    attributes: dict[str, Any]
    version: Callable[[int], str]
    files: Callable[[str, int], list[SampleFile]]


def sample_products() -> list[SampleProduct]:
    """Return the default sample: Ubuntu (two releases, two kernels), bootloaders, CentOS."""
    return [*ubuntu_products(), *bootloader_products(), *centos_products()]


def day(number: int, suffix: str = "") -> str:
    """Return the name of the n-th version: a date, a month apart."""
    return f"{FIRST_VERSION + timedelta(days=30 * number):%Y%m%d}{suffix}"


@dataclass(frozen=True)
class _Release:
    codename: str
    full_codename: str
    version: str
    kernels: dict[str, str]
    eol: str
    esm_eol: str
    subarches: str

    @property
    def attributes(self) -> dict[str, str]:
        return {
            "krel": self.codename,
            "label": "stable",
            "os": "ubuntu",
            "release": self.codename,
            "release_codename": self.full_codename,
            "release_title": f"{self.version} LTS",
            "support_eol": self.eol,
            "support_esm_eol": self.esm_eol,
            "version": self.version,
        }


_KERNELS_UP_TO = {
    "22.04": "generic,hwe-p,hwe-q,hwe-r,hwe-s,hwe-t,hwe-u,hwe-v,hwe-w,ga-16.04,ga-16.10,ga-17.04,"
    "ga-17.10,ga-18.04,ga-18.10,ga-19.04,ga-19.10,ga-20.04,ga-20.10,ga-21.04,ga-21.10,ga-22.04",
}
_KERNELS_UP_TO["24.04"] = f"{_KERNELS_UP_TO['22.04']},ga-22.10,ga-23.04,ga-23.10,ga-24.04"
RELEASES = (
    _Release(
        codename="jammy",
        full_codename="Jammy Jellyfish",
        version="22.04",
        kernels={"ga": "5.15.0-143-generic", "hwe": "6.8.0-64-generic"},
        eol="2027-06-01",
        esm_eol="2032-04-21",
        subarches=_KERNELS_UP_TO["22.04"],
    ),
    _Release(
        codename="noble",
        full_codename="Noble Numbat",
        version="24.04",
        kernels={"ga": "6.8.0-64-generic", "hwe": "6.14.0-24-generic"},
        eol="2029-05-31",
        esm_eol="2034-04-25",
        subarches=_KERNELS_UP_TO["24.04"],
    ),
)


def ubuntu_products() -> list[SampleProduct]:
    """Return the multi-file products; two kernels share the squashfs of their release."""
    return [
        _ubuntu(release, arch, flavour)
        for release in RELEASES
        for arch in ("amd64", "arm64")
        for flavour in ("ga", "hwe")
    ]


def _ubuntu(release: _Release, arch: str, flavour: str) -> SampleProduct:
    subarch = f"{flavour}-{release.version}"
    hwe = flavour == "hwe"
    return SampleProduct(
        name=f"com.ubuntu.maas.stable:v3:boot:{release.version}:{arch}:{subarch}",
        content_id=UBUNTU,
        attributes={
            **release.attributes,
            "arch": arch,
            "kflavor": "generic",
            "subarch": subarch,
            "subarches": f"{release.subarches},{subarch}" if hwe else release.subarches,
        },
        version=day,
        files=partial(_ubuntu_files, release, arch, flavour),
    )


def _ubuntu_files(
    release: _Release, arch: str, flavour: str, version: str, size: int
) -> list[SampleFile]:
    base = f"{release.codename}/{arch}/{version}"
    subarch = f"{flavour}-{release.version}"
    boot = f"{base}/{subarch}/generic"
    package = {"kpackage": f"linux-generic{'-' + subarch if flavour == 'hwe' else ''}"}
    kernel = release.kernels[flavour]
    return [
        SampleFile(
            "boot-initrd",
            f"{boot}/boot-initrd",
            artefacts.initrd(f"{boot}/initrd", size // 4, version=kernel),
            attributes=package,
        ),
        SampleFile(
            "boot-kernel",
            f"{boot}/boot-kernel",
            artefacts.kernel(f"{boot}/kernel", size // 16, arch=arch, version=kernel),
            attributes=package,
        ),
        SampleFile("manifest", f"{base}/squashfs.manifest", _ubuntu_manifest(release, version)),
        SampleFile(
            "squashfs",
            f"{base}/squashfs",
            artefacts.squashfs(base, size, release=release.codename),
        ),
    ]


def _ubuntu_manifest(release: _Release, version: str) -> bytes:
    """Return the packages of a root file system: it knows both kernels that boot with it."""
    kernels = {
        f"linux-image-{kernel}": kernel.removesuffix("-generic")
        for kernel in release.kernels.values()
    }
    return artefacts.dpkg_manifest(
        {"base-files": "13ubuntu10.2", "ubuntu-image": version, **kernels}
    )


_BOOTLOADERS = (
    # os, type, arch, arches, packages: archive -> version
    ("grub-efi-signed", "uefi", "amd64", "amd64", {"grub2-signed": "1.187", "shim-signed": "1.51"}),
    ("grub-efi", "uefi", "arm64", "arm64", {"grub2-signed": "1.187", "shim-signed": "1.51"}),
    ("grub-ieee1275", "open-firmware", "ppc64el", "ppc64el,ppc64", {"grub2": "2.02"}),
    ("pxelinux", "pxe", "i386", "i386,amd64", {"syslinux": "3:6.04"}),
)


def bootloader_products() -> list[SampleProduct]:
    """Return the bootloaders that MAAS takes whatever is selected."""
    return [bootloader_product(*each) for each in _BOOTLOADERS]


def bootloader_product(
    name: str, kind: str, arch: str, arches: str, packages: dict[str, str]
) -> SampleProduct:
    """Return one bootloader: `packages` are its archives, and the begin of their versions."""
    return SampleProduct(
        name=f"com.ubuntu.maas.stable:1:{name}:{kind}:{arch}",
        content_id=BOOTLOADERS,
        attributes={
            "arch": arch,
            "arches": arches,
            "bootloader-type": kind,
            "label": "stable",
            "os": name,
        },
        version=partial(day, suffix=".0"),
        files=partial(_bootloader_files, kind, arch, packages),
    )


def _bootloader_files(
    kind: str, arch: str, packages: dict[str, str], version: str, size: int
) -> list[SampleFile]:
    base = f"bootloaders/{kind}/{arch}/{version}"
    return [
        SampleFile(
            package,
            f"{base}/{package}.tar.xz",
            artefacts.bootloader(base, min(size // 16, 1 << 20), arch=arch, package=package),
            ftype="archive.tar.xz",
            attributes={
                "src_package": package,
                "src_release": "jammy",
                "src_version": f"{number}-{version}",
            },
        )
        for package, number in packages.items()
    ]


_CENTOS = (
    # name in the product, release, title, version, end of support, suffix of the versions
    ("7.0", "centos70", "CentOS 7", "7.0", "2024-06-30"),
    ("8", "8", "CentOS 8", "8", "2029-05-31"),
)


def centos_products() -> list[SampleProduct]:
    """Return the single-file products."""
    return [
        SampleProduct(
            name=f"com.ubuntu.maas.stable:centos-bases:{number}:amd64",
            content_id=CENTOS,
            attributes={
                "arch": "amd64",
                "label": "stable",
                "os": "centos",
                "release": release,
                "release_title": title,
                "subarch": "generic",
                "subarches": "generic",
                "support_eol": eol,
                "version": version,
            },
            version=partial(day, suffix="_01"),
            files=partial(_centos_files, release, version),
        )
        for number, release, title, version, eol in _CENTOS
    ]


def _centos_files(release: str, os_version: str, version: str, size: int) -> list[SampleFile]:
    base = f"centos/{release}/amd64/{version}"
    packages = rpms(os_version.partition(".")[0])
    manifest = artefacts.rpm_manifest({**packages, "centos-release": f"{os_version}-0.{version}"})
    return [
        SampleFile("manifest", f"{base}/root-tgz.manifest", manifest),
        SampleFile(
            "root-tgz", f"{base}/root-tgz", artefacts.root_tgz(base, size, version=os_version)
        ),
    ]
