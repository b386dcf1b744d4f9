"""The names of Ubuntu's kernels: as MAAS has them, as packages, as versions.

A product has a `subarch` (`hwe-24.04-edge`) and a `kflavor` (`lowlatency`); an item has a
`kpackage` (`linux-generic-hwe-24.04`); a kernel says `6.8.0-64-generic` of itself.
"""

from __future__ import annotations

import re
from typing import NamedTuple

GENERIC = "generic"

FLAVOURS = {
    "generic": "",
    "generic-64k": "64K pages",
    "generic-lpae": "large memory",
    "largemem": "64K pages",
    "lowlatency": "low latency",
    "lowlatency-64k": "low latency, 64K pages",
    "nvidia": "NVIDIA",
    "nvidia-64k": "NVIDIA, 64K pages",
    "nvidia-tegra": "NVIDIA Tegra",
    "oem": "OEM machines",
    "raspi": "Raspberry Pi",
    "raspi2": "Raspberry Pi 2",
    "realtime": "real time",
    "xgene": "X-Gene",
    "xgene-uboot": "X-Gene",
    "xgene-uboot-mustang": "X-Gene Mustang",
    "armadaxp": "Armada XP",
    "highbank": "Calxeda Highbank",
    "keystone": "Keystone",
}
"""What a flavour is to a person."""

_OF_DEBIAN = {
    "686", "686-pae", "amd64", "arm64", "armmp", "armmp-lpae", "cloud-amd64", "cloud-arm64",
    "powerpc64le", "riscv64", "rt-amd64", "rt-arm64", "s390x",
}  # fmt: skip
_OF_CLOUDS = {"aws", "azure", "gcp", "gke", "ibm", "kvm", "oracle", "virtual"}
KNOWN = {*FLAVOURS, *_OF_DEBIAN, *_OF_CLOUDS}
"""The flavours of which it is known that no two are the same kernel, but for these:"""

_ALSO = {
    # These packages bring the generic kernel, with fewer modules or other boot parameters.
    ("kvm", "generic"),
    ("oem", "generic"),
    ("virtual", "generic"),
    ("lowlatency", "generic"),
    ("lowlatency-64k", "generic-64k"),
    ("raspi2", "raspi"),
}
"""Flavour of a package, and of the kernel that it may bring."""

_LETTERS = {
    "p": "12.04",
    "q": "12.10",
    "r": "13.04",
    "s": "13.10",
    "t": "14.04",
    "u": "14.10",
    "v": "15.04",
    "w": "15.10",
    "x": "16.04",
}
"""Kernels before 16.04 are named for the letter of their release."""

_SUBARCH = re.compile(
    r"(?P<line>ga|hwe)-(?P<series>\d\d(?:\.\d\d)?|[a-z]|rolling)(?:-(?P<flavour>[a-z0-9-]+?))??"
    r"(?P<edge>-edge)?",
    re.ASCII,
)
_PACKAGE = re.compile(
    r"linux-(?:signed-|unsigned-)?(?:image-)?(?:unsigned-)?(?P<flavour>[a-z0-9.-]+?)"
    r"(?:-hwe-\d\d\.\d\d|-lts-[a-z]+|-\d{1,2}\.\d{1,2}[a-z]?)?(?:-edge)?",
    re.ASCII,
)
_ONE_KERNEL = re.compile(
    r"linux-(?:signed-)?image-(?:unsigned-|extra-)?(?P<version>\d+\.\d+\.\d+-\d[^:=]*?)"
    r"(?:-unsigned)?(?:[:=].*)?",
    re.ASCII,
)
_VERSION = re.compile(r"\d+(?:\.\d+)+[^-]*(?:-\d[^-]*)?-(?P<flavour>[a-z].*|\d{3}(?:-.*)?)")
_NUMBERS = re.compile(r"(\d+)\.(\d+)")


class Kernel(NamedTuple):
    """Which kernel a product has. `line` is `ga`, `hwe` or '' (of the first streams, or special).

    `series` is the release that the kernel was made for (`24.04`, `rolling`).
    """

    line: str
    series: str
    edge: bool
    flavour: str


def kernel_of(subarch: str, kflavor: str) -> Kernel:
    """Read a product's names of its kernel; whatever they are, there is an answer."""
    found = _SUBARCH.fullmatch(subarch)
    if found is None:
        flavour = kflavor if kflavor not in {"", GENERIC} else subarch
        return Kernel("", "", edge=False, flavour=flavour or GENERIC)
    inside = found["flavour"] or ""
    flavour = kflavor if kflavor not in {"", GENERIC} else inside or GENERIC
    series = _LETTERS.get(found["series"], found["series"])
    return Kernel(found["line"], series, edge=bool(found["edge"]), flavour=flavour)


def maas_name(subarch: str, kflavor: str) -> str:
    """Return the kernel as MAAS names it: `hwe-22.04-lowlatency-edge`."""
    if kflavor in {"", GENERIC, subarch} or not ("ga-" in subarch or "hwe-" in subarch):
        return subarch
    if subarch.endswith("-edge"):
        return f"{subarch.removesuffix('-edge')}-{kflavor}-edge"
    return f"{subarch}-{kflavor}"


def describe_kernel(kernel: Kernel, release_version: str) -> str:
    """Return `edge HWE kernel, 64K pages`; with the kernel's release where that is another."""
    flavour = FLAVOURS.get(kernel.flavour, kernel.flavour)
    if not kernel.line:
        return f"{flavour} kernel" if flavour else "generic kernel"
    name = "rolling HWE" if kernel.series == "rolling" else kernel.line.upper()
    said = f"edge {name} kernel" if kernel.edge else f"{name} kernel"
    if kernel.series not in {release_version, "rolling"}:
        said += f" of {kernel.series}"
    return f"{said}, {flavour}" if flavour else said


def package_version(kpackage: str) -> str:
    """Return the version that a package brings and no other; '' where it follows the newest."""
    found = _ONE_KERNEL.fullmatch(kpackage)
    return found["version"] if found else ""


def package_flavour(kpackage: str) -> str:
    """Return the flavour that a kernel's package is named for; '' where it names none."""
    if version := package_version(kpackage):
        return version_flavour(version)
    found = _PACKAGE.fullmatch(kpackage)
    return found["flavour"] if found else ""


def version_flavour(version: str) -> str:
    """Return the flavour at the end of a kernel's version; '' where there is none."""
    found = _VERSION.fullmatch(version)
    return found["flavour"] if found else ""


def agree(package: str, kernel: str) -> bool | None:
    """Say whether a package of one flavour may bring a kernel of another; None: who knows.

    A flavour ends as another one: its package then brings the kernel of that, in time. What never
    happens is that the generic package, or Debian's, brings a special kernel, nor that the size of
    pages changes.
    """
    if not package or not kernel or package == kernel or (package, kernel) in _ALSO:
        return True
    if not (package in KNOWN and kernel in KNOWN):
        return None
    certain = package in {GENERIC, *_OF_DEBIAN} or _has_64k(package) != _has_64k(kernel)
    return False if certain else None


def _has_64k(flavour: str) -> bool:
    return flavour == "largemem" or flavour.endswith("-64k")


def numbers(version: str) -> tuple[int, int] | None:
    """Return the first two numbers of a kernel's version."""
    found = _NUMBERS.match(version)
    return (int(found[1]), int(found[2])) if found else None
