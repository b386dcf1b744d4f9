"""Boot artefacts that are small but honest: headers, archives and file systems are real.

Every function is deterministic: the same arguments give the same bytes, on any machine. `seed`
names the content; `size` is in bytes and is roughly what comes out (never less than the
structure needs). The bulk is noise that does not compress, as in the real files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import struct
import tarfile
from typing import TYPE_CHECKING

from mirror.testing import kernels
from mirror.testing.squashfs import squashfs_image

if TYPE_CHECKING:
    from collections.abc import Mapping

MTIME = 1_700_000_000
"""The time of every file inside an artefact."""

PE_MACHINES = {"amd64": 0x8664, "i386": 0x014C, "arm64": 0xAA64}
PE_AT = 0x40
EFI_APPLICATION = 10


def noise(seed: str, size: int) -> bytes:
    """Return `size` bytes that do not compress."""
    return hashlib.shake_128(seed.encode()).digest(max(size, 0))


def squashfs(seed: str, size: int, *, release: str = "noble") -> bytes:
    """Return a mountable squashfs with an `etc/os-release`."""
    return squashfs_image(
        {
            "etc/hostname": b"ubuntu\n",
            "etc/os-release": f'ID=ubuntu\nVERSION_CODENAME="{release}"\n'.encode(),
            "usr/lib/filler": noise(seed, size),
        },
        mtime=MTIME,
    )


def kernel(
    seed: str, size: int, *, arch: str = "amd64", version: str = "6.8.0-64-generic"
) -> bytes:
    """Return the kind of kernel that is usual for an architecture (`mirror.testing.kernels`)."""
    return kernels.kernel_image(arch, version, noise(seed, max(size - kernels.HEADER, 512)))


def initrd(
    seed: str, size: int, *, version: str = "6.8.0-64-generic", compression: str = "zstd"
) -> bytes:
    """Return an initrd with modules; `compression` as `mirror.formats.compression_of` names it."""
    return kernels.initrd_image(version, noise(seed, size), compression=compression)


def root_tgz(seed: str, size: int, *, os_id: str = "centos", version: str = "8") -> bytes:
    """Return a root file system as tar.gz, with a kernel and its initrd in `boot/`."""
    release = f'ID="{os_id}"\nVERSION_ID="{version}"\n'.encode()
    kernel_version = "4.18.0-348.el8.x86_64"
    members = {
        "etc/os-release": release,
        f"boot/vmlinuz-{kernel_version}": kernel(f"{seed}/kernel", 8192, version=kernel_version),
        f"boot/initramfs-{kernel_version}.img": initrd(
            f"{seed}/initrd", 4096, version=kernel_version, compression="gzip"
        ),
        "usr/lib/filler": noise(seed, size - 12800),
    }
    return gzip.compress(tar(members), 1, mtime=0)


def bootloader(seed: str, size: int, *, arch: str, package: str) -> bytes:
    """Return a bootloader's flat tar.xz: `shim-signed`, `grub2-signed`, `grub2` or `syslinux`."""
    names = bootloader_members(arch, package)
    each = size // len(names)
    members = {}
    for name in names:
        if name.endswith(".efi"):
            members[name] = efi_binary(f"{seed}/{name}", each, arch=arch)
        else:
            members[name] = noise(f"{seed}/{name}", each)
    return lzma.compress(tar(members), preset=0)


def bootloader_members(arch: str, package: str) -> list[str]:
    """Return the names inside a bootloader archive."""
    suffix = {"amd64": "x64", "arm64": "aa64"}.get(arch, arch)
    if package == "shim-signed":
        return [f"boot{suffix}.efi"]
    if package == "grub2-signed":
        return [f"grub{suffix}.efi"]
    if package == "grub2":
        return ["bootppc64.bin"]
    if package == "syslinux":
        return ["chain.c32", "ifcpu64.c32", "ldlinux.c32", "libcom32.c32", "lpxelinux.0"]
    raise ValueError(f"no such bootloader package: {package!r}")


def efi_binary(seed: str, size: int, *, arch: str = "amd64") -> bytes:
    """Return an EFI application: a DOS stub, a PE header and one section."""
    head = _dos_stub() + _pe_header(arch, EFI_APPLICATION, max(size, 4096))
    head = head.ljust(512, b"\0")
    return head + noise(seed, max(size - len(head), 512))


def dpkg_manifest(packages: Mapping[str, str]) -> bytes:
    """Return the manifest of an Ubuntu image: `package<TAB>version` lines."""
    return "".join(f"{name}\t{version}\n" for name, version in sorted(packages.items())).encode()


def rpm_manifest(packages: Mapping[str, str]) -> bytes:
    """Return the manifest of a CentOS image: one `name-version-release.arch` a line."""
    return "".join(f"{name}-{version}\n" for name, version in sorted(packages.items())).encode()


def tar(members: Mapping[str, bytes]) -> bytes:
    """Return an uncompressed tar of regular files, owned by root."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = MTIME
            info.mode = 0o644
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def cpio(members: Mapping[str, bytes]) -> bytes:
    """Return an uncompressed newc cpio archive, with the directories that the members need."""
    return kernels.cpio(members)


def _dos_stub() -> bytes:
    return (b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", PE_AT)).ljust(PE_AT, b"\0")


def _pe_header(arch: str, subsystem: int, image_size: int) -> bytes:
    wide = arch != "i386"
    optional = struct.pack("<HBBIIIII", 0x20B if wide else 0x10B, 2, 0, image_size, 0, 0, 512, 512)
    optional += struct.pack("<QII" if wide else "<IIII", *([0] if wide else [0, 0]), 4096, 512)
    optional += struct.pack("<HHHHHHIIII", 0, 0, 0, 0, 0, 0, 0, image_size, 512, 0)
    optional += struct.pack("<HH", subsystem, 0)
    optional += bytes(32 if wide else 16) + struct.pack("<II", 0, 0)
    machine = PE_MACHINES[arch]
    coff = struct.pack("<HHIIIHH", machine, 1, MTIME, 0, 0, len(optional), 0x0206)
    section = struct.pack("<8sIIIIIIHHI", b".text", image_size, 512, image_size, 512, 0, 0, 0, 0, 0)
    return b"PE\0\0" + coff + optional + section
