"""Judge what is in a root tarball: does it agree with its product, will MAAS get it to boot.

An error is what is certainly wrong; docs/centos.md lists every code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import FormatError, check_content, compression_of
from mirror_centos.kernels import check_kernels, is_other
from mirror_centos.manifest import manifest_text, parse_manifest
from mirror_centos.releases import release_of
from mirror_centos.root import CENTOS_FILES, RELEASE_FILES, Root, read_root, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mirror.api import Package, Product

_COMPRESSIONS = {"root-tgz": "gzip", "root-txz": "xz", "root-tbz": "bzip2"}
_CENTOS_RELEASE = re.compile(r"CentOS (?:Linux |(Stream) )?release (\d+)")
_RELEASE_PACKAGE = re.compile(r"centos-((linux|stream)-)?release(\.|$)")
_SIBLINGS = {"centos", "fedora", "rhel"}
"""What systems say that they are like, if curtin deploys them as it does CentOS."""

_HARMS = {
    "centos-climbs": "leads out of the directory that it is unpacked in",
    "centos-below-link": "is below a symbolic link that is absolute or climbs: tar can't unpack it",
    "centos-device": "is a device outside of dev/",
    "centos-twice": "is there twice, as a directory that is not empty, and as something else",
}
_DOUBTFUL_HARMS = {"centos-device"}
"""Whoever deploys an image runs its programs as root: a device can do no more."""

_BOOT_FILES = {"amd64": ("shimx64.efi", "grubx64.efi"), "arm64": ("shimaa64.efi", "grubaa64.efi")}
_BOOT_PROGRAMS = {"amd64": ("grub2-install", "efibootmgr"), "arm64": ("efibootmgr",)}
_STORAGE_PROGRAMS = {"lvm": "lvm2", "mdadm": "mdadm", "mkfs.xfs": "xfsprogs"}
_FIRST_WITH_GRUB2 = 7
_NEEDS_HOOKS = 6


def check(product: Product, name: str, file: Path, manifest: Path | None) -> Iterator[Finding]:
    """Read the item `name`, a root tarball, and the manifest; tell what is to be told of them."""
    packages: list[Package] = []
    if manifest is not None:
        try:
            text = manifest_text(manifest)
        except FormatError as error:
            yield _error("centos-manifest", "manifest", f"the manifest {error}")
            text = ""
        try:
            packages = parse_manifest(text) if text else []
        except FormatError as error:
            # Machines boot without it: nobody but people reads a manifest.
            yield _warning("centos-manifest-unread", "manifest", f"the manifest {error}")
    try:
        check_content(file)
        root = read_root(file)
    except FormatError as error:
        yield _error("centos-root-tgz", name, f"the {name} {error}")
        return
    with file.open("rb") as stream:
        compression = compression_of(stream.read(16))
    if compression != _COMPRESSIONS[name]:
        what = f"{compression or 'not compressed'}, although its name says {_COMPRESSIONS[name]}"
        yield _warning("centos-compression", name, f"the {name} is {what}")
    for code, harm in root.harms.items():
        more = f", and {harm.count - 1:,} more like it" if harm.count > 1 else ""
        first = shown(harm.first)
        found = _warning if code in _DOUBTFUL_HARMS else _error
        yield found(code, f"{name}: {first}", f"{first!r} {_HARMS[code]}{more}")
    layout = _layout_fault(root)
    if layout:
        # Whatever else would be said follows from this.
        yield _error("centos-layout", name, f"the {name} {layout}")
        return
    for look in (_release, _arch, check_kernels, _tools):
        yield from look(product, name, root)
    yield from _listed(product, name, root, packages)


def _layout_fault(root: Root) -> str:
    if {"etc", "usr"} <= root.tops:
        return ""
    if root.disk:
        return f"holds a disk image, {shown(root.disk)!r}: MAAS unpacks files of a root file system"
    if "oci-layout" in root.tops or {"manifest.json", "repositories"} & root.tops:
        return "is a container image, not a root file system"
    if len(root.tops) == 1 and {"etc", "usr"} <= root.below:
        return f"has everything in a directory {shown(next(iter(root.tops)))!r}, not at its top"
    return "is no root file system: there is no etc and usr at its top"


def _release(product: Product, name: str, root: Root) -> Iterator[Finding]:
    """Compare the release with what the tarball says it is."""
    os_release, centos = root.text(RELEASE_FILES), root.text(CENTOS_FILES)
    if not os_release and not centos:
        where = f"{name}: etc/os-release"
        if os_release is None and centos is None:
            what = "there is no etc/os-release and no etc/centos-release: it is no CentOS"
            yield _error("centos-release", where, what)
        else:
            what = "the files that name the release are empty, or links to nothing"
            yield _warning("centos-release-unread", where, what)
        return
    if not os_release:
        where = f"{name}: etc/centos-release"
        yield from _named(product, where, _from_text(centos or ""))
        return
    where, about = f"{name}: etc/os-release", _os_release(os_release)
    is_os, major, stream = _from_os_release(about)
    if is_os != "centos" and _SIBLINGS.intersection(about.get("ID_LIKE", "").split()):
        what = f"it is {is_os or 'without a name'}, which is like CentOS but is none"
        yield _warning("centos-sibling", where, what)
        yield from _named(product, where, ("centos", major, release_of(product).stream))
        return
    if centos and _CENTOS_RELEASE.search(centos):
        stream = _from_text(centos)[2]
    yield from _named(product, where, (is_os, major, stream))


def _named(product: Product, where: str, said: tuple[str, str, bool]) -> Iterator[Finding]:
    """Compare the name of a system, its major release, and whether it is Stream."""
    (is_os, major, stream), wanted = said, release_of(product)
    if is_os != "centos":
        yield _error("centos-release", where, f"it is {is_os or 'without a name'}, not CentOS")
    elif not wanted.major:
        what = f"the name {product.release!r} does not say which CentOS this should be"
        yield Finding(Severity.NOTE, "centos-unknown-release", "", what)
    elif not major:
        yield _warning("centos-release-unread", where, "it does not say which version it is")
    elif major != str(wanted.major):
        what = f"it is version {shown(major)}, not CentOS {wanted.major}"
        yield _error("centos-release", where, what)
    elif stream != wanted.stream:
        what = f"it is CentOS {'Stream' if stream else 'Linux'}; the product is {wanted.title}"
        yield _warning("centos-stream", where, what)


def _os_release(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip().strip("\"'") for key, _, value in lines}


def _from_os_release(about: dict[str, str]) -> tuple[str, str, bool]:
    major = about.get("VERSION_ID", "").partition(".")[0].lstrip("0")
    stream = "Stream" in about.get("NAME", "")
    return shown(about.get("ID", "").strip()), major if major.isdigit() else "", stream


def _from_text(text: str) -> tuple[str, str, bool]:
    found = _CENTOS_RELEASE.search(text)
    if not found:
        return shown(text.partition(" release ")[0].strip()), "", False
    return "centos", found[2], bool(found[1])


def _arch(product: Product, name: str, root: Root) -> Iterator[Finding]:
    others = {file: arch for file, arch in root.arches.items() if is_other(product.arch, arch)}
    if not root.arches:
        what = "there is no program in bin or sbin that is an ELF file"
        yield _warning("centos-no-programs", name, what)
    elif others:
        file, arch = next(iter(others.items()))
        where = f"{name}: {shown(file)}"
        what = f"{len(others)} of {len(root.arches)} programs are for {arch}, not {product.arch}"
        if 2 * len(others) > len(root.arches):
            yield _error("centos-arch", where, what)
        else:
            # A program or two of an older architecture run on the newer one.
            yield _warning("centos-arch-mixed", where, what)


def _tools(product: Product, name: str, root: Root) -> Iterator[Finding]:
    """Look for what curtin and MAAS need in the system that they deploy."""
    major = release_of(product).major
    if not root.cloud_init and "cloud-init" not in root.programs:
        what = "there is no cloud-init: a machine gets no keys and no user data, and MAAS no word"
        yield _warning("centos-cloud-init", name, what)
    if root.hooks is None and major == _NEEDS_HOOKS:
        what = "there are no curtin/curtin-hooks: curtin's own are for CentOS 7 and newer"
        yield _warning("centos-curtin-hooks", name, what)
    elif root.hooks:
        where = f"{name}: curtin/curtin-hooks"
        yield _warning("centos-curtin-hooks", where, f"curtin/curtin-hooks {root.hooks}")
    if major >= _FIRST_WITH_GRUB2:
        lacking = [
            *(each for each in _BOOT_PROGRAMS.get(product.arch, ()) if each not in root.programs),
            *(each for each in _BOOT_FILES.get(product.arch, ()) if each not in root.efi),
        ]
        if lacking:
            what = f"there is no {', no '.join(lacking)}: curtin gets it over the network, or fails"
            yield _warning("centos-boot-tools", name, what)
    absent = [package for each, package in _STORAGE_PROGRAMS.items() if each not in root.programs]
    if absent:
        what = f"there is no {', no '.join(absent)}: a storage layout that needs it can't be used"
        yield Finding(Severity.NOTE, "centos-storage-tools", name, what)


def _listed(product: Product, name: str, root: Root, packages: list[Package]) -> Iterator[Finding]:
    """Compare the manifest with the tarball: is it of this image."""
    kernels = {
        f"{each.version}{dot}{arch}"
        for each in packages
        for package, dot, arch in (each.name.partition("."),)
        if package in {"kernel", "kernel-core"}
    }
    if kernels and root.kernels and not kernels & root.kernels.keys():
        listed, there = shown(max(kernels)), shown(max(root.kernels))
        what = f"the manifest lists kernel {listed}; the {name} has {there}"
        yield _warning("centos-manifest-kernel", "manifest", what)
    releases = {
        each.version.partition(".")[0].partition("-")[0]
        for each in packages
        if _RELEASE_PACKAGE.match(each.name)
    }
    wanted = release_of(product).major
    if wanted and releases and str(wanted) not in releases:
        what = f"the manifest is of CentOS {shown(min(releases))}, not CentOS {wanted}"
        yield _warning("centos-manifest-release", "manifest", what)


def _error(code: str, where: str, message: str) -> Finding:
    return Finding(Severity.ERROR, code, where, message)


def _warning(code: str, where: str, message: str) -> Finding:
    return Finding(Severity.WARNING, code, where, message)
