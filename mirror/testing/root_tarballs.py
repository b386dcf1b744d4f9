"""Root file systems as tarballs: small and honest ones of each CentOS, and some that are not.

    good = root_tarball(root_members("seed", 64_000, release="7"))
    members = root_members("seed", 64_000)
    members["../etc/shadow"] = file(b"")
    bad = root_tarball(members)

What makes an image boot is there and real: a kernel with its modules and its initramfs, programs,
cloud-init, what curtin needs. The bulk is noise.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, NamedTuple

from mirror.testing import kernels
from mirror.testing.artefacts import MTIME, efi_binary, initrd, kernel, noise

if TYPE_CHECKING:
    from collections.abc import Mapping


class Entry(NamedTuple):
    """One member: `kind` as tar has it, `target` is where a link points."""

    kind: bytes
    content: bytes = b""
    target: str = ""
    mode: int = 0o644


class CentosSample(NamedTuple):
    """What differs between releases; `kernel` is without the architecture behind its last dot."""

    title: str
    kernel: str
    line: str
    python: str


CENTOS = {
    "6": CentosSample("CentOS", "2.6.32-754.el6", "CentOS release 6.10 (Final)", "2.6"),
    "7": CentosSample(
        "CentOS Linux", "3.10.0-1160.el7", "CentOS Linux release 7.9.2009 (Core)", "2.7"
    ),
    "8": CentosSample("CentOS Linux", "4.18.0-348.el8", "CentOS Linux release 8.5.2111", "3.6"),
    "8-stream": CentosSample("CentOS Stream", "4.18.0-553.el8", "CentOS Stream release 8", "3.6"),
    "9-stream": CentosSample("CentOS Stream", "5.14.0-527.el9", "CentOS Stream release 9", "3.9"),
    "10-stream": CentosSample(
        "CentOS Stream", "6.12.0-30.el10", "CentOS Stream release 10 (Coughlan)", "3.12"
    ),
}
"""The releases that can be made."""

RPM_ARCHES = {"amd64": "x86_64", "arm64": "aarch64", "ppc64el": "ppc64le", "i386": "i686"}
_EFI_SUFFIXES = {"amd64": "x64", "arm64": "aa64"}
_UNPACKABLE = 16_000
"""Bytes, beside the bulk, that do not compress: kernel, initramfs, boot loaders."""
_PROGRAMS = ("bash", "cat", "ls", "rpm", "tar")
_TOOLS = ("efibootmgr", "grub2-install", "lvm", "mdadm", "mkfs.xfs")


def file(content: bytes, mode: int = 0o644) -> Entry:
    """Return a regular file."""
    return Entry(tarfile.REGTYPE, content, mode=mode)


def program(arch: str) -> Entry:
    """Return an executable for an architecture, as Debian names it."""
    return file(kernels.elf(arch, b"\x90" * 16), 0o755)


def link(target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(tarfile.SYMTYPE, target=target, mode=0o777)


def hard_link(target: str) -> Entry:
    """Return a hard link."""
    return Entry(tarfile.LNKTYPE, target=target)


def folder() -> Entry:
    """Return a directory."""
    return Entry(tarfile.DIRTYPE, mode=0o755)


def device() -> Entry:
    """Return a character device."""
    return Entry(tarfile.CHRTYPE)


def kernel_version(release: str, arch: str = "amd64") -> str:
    """Return the version of the kernel in a release: `4.18.0-348.el8.x86_64`."""
    return f"{CENTOS[release].kernel}.{RPM_ARCHES[arch]}"


def root_members(
    seed: str, size: int, *, release: str = "8", arch: str = "amd64", os_id: str = "centos"
) -> dict[str, Entry]:
    """Return the members of a root file system; `release` is one of `CENTOS`."""
    about = CENTOS[release]
    version = kernel_version(release, arch)
    old = release == "6"
    lib, prefix = ("lib", "") if old else ("usr/lib", "usr/")
    members = {name: folder() for name in (".", "boot", "dev", "etc", "tmp", "usr", "usr/lib")}
    if not old:
        members |= {name: link(f"usr/{name}") for name in ("bin", "sbin", "lib")}
    members |= {
        "dev/null": device(),
        **_release_files(about, release, os_id),
        f"boot/vmlinuz-{version}": file(
            kernel(f"{seed}/kernel", 8192, arch=arch, version=version), 0o755
        ),
        f"boot/initramfs-{version}.img": file(
            initrd(f"{seed}/initrd", 4096, version=version, compression="gzip"), 0o600
        ),
        f"{lib}/modules/{version}/modules.dep": file(b"kernel/fs/xfs/xfs.ko:\n"),
        f"{lib}/modules/{version}/kernel/fs/xfs/xfs.ko": file(kernels.elf(arch, b"xfs")),
        **{f"{prefix}bin/{name}": program(arch) for name in _PROGRAMS},
        **{f"{prefix}sbin/{name}": program(arch) for name in _TOOLS},
        "usr/bin/cloud-init": file(b"#!/usr/bin/python3\nimport cloudinit\n", 0o755),
        f"usr/lib/python{about.python}/site-packages/cloudinit/__init__.py": file(b""),
        **_efi_files(seed, arch, old=old),
    }
    if old:
        members["curtin"] = folder()
        members["curtin/curtin-hooks"] = file(b"#!/usr/bin/env python3\n", 0o755)
    members["usr/lib/filler"] = file(noise(seed, size - _UNPACKABLE))
    return members


def root_tarball(
    members: Mapping[str, Entry], *, compression: str = "gzip", prefix: str = ""
) -> bytes:
    """Pack members in their order, each name with `prefix` before it.

    `compression` is one of those that `mirror.testing.kernels.packed` knows.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, entry in members.items():
            info = tarfile.TarInfo(prefix + name)
            info.type, info.mode, info.linkname = entry.kind, entry.mode, entry.target
            info.size, info.mtime = len(entry.content), MTIME
            archive.addfile(info, io.BytesIO(entry.content))
    return kernels.packed(out.getvalue(), compression)


def rpms(release: str, arch: str = "amd64") -> dict[str, str]:
    """Return the packages of a root file system: name -> `version-release.arch`."""
    major, _, stream = release.partition("-")
    rpm_arch = RPM_ARCHES[arch]
    return {
        f"centos-{'stream-' if stream else ''}release": f"{major}-1.el{major}.noarch",
        "cloud-init": f"19.4-7.el{major}.noarch",
        "glibc": f"2.28-164.el{major}.{rpm_arch}",
        "kernel": kernel_version(release, arch),
    }


def _release_files(about: CentosSample, release: str, os_id: str) -> dict[str, Entry]:
    """Return the files that name the release: CentOS 6 has no os-release, and links come first."""
    files = {
        "etc/redhat-release": link("centos-release"),
        "etc/centos-release": file(f"{about.line}\n".encode()),
    }
    if release == "6":
        return files
    major, _, _ = release.partition("-")
    text = f'NAME="{about.title}"\nVERSION="{major}"\nID="{os_id}"\nID_LIKE="rhel fedora"\n'
    text += f'VERSION_ID="{major}"\nPLATFORM_ID="platform:el{major}"\n'
    return {
        **files,
        "etc/os-release": link("../usr/lib/os-release"),
        "usr/lib/os-release": file(text.encode()),
    }


def _efi_files(seed: str, arch: str, *, old: bool) -> dict[str, Entry]:
    suffix = _EFI_SUFFIXES.get(arch)
    if old or suffix is None:
        return {}
    below = "boot/efi/EFI/centos"
    return {
        f"{below}/{name}{suffix}.efi": file(efi_binary(f"{seed}/{name}", 1024, arch=arch), 0o700)
        for name in ("shim", "grub")
    }
