"""Boot artefacts that are small but honest: headers, archives and file systems are real.

Every function is deterministic: the same arguments give the same bytes, on any machine. `seed`
names the content; `size` is in bytes and is roughly what comes out (never less than the
structure needs). The bulk is noise that does not compress, as in the real files.
"""

from __future__ import annotations

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

PE_MACHINES = {"amd64": 0x8664, "i386": 0x014C, "arm64": 0xAA64, "riscv64": 0x5064}
PE_AT = 0x40
PE_HEADERS = 512
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
    """Return CentOS's root file system as tar.gz (`mirror.testing.root_tarballs`).

    `version` is that of a product (`7.0`, `8-stream`); with another `os_id`, it says it is that.
    """
    from mirror.testing import root_tarballs

    release = version if version in root_tarballs.CENTOS else version.partition(".")[0]
    return root_tarballs.root_tarball(
        root_tarballs.root_members(seed, size, release=release, os_id=os_id)
    )


def bootloader(seed: str, size: int, *, arch: str, package: str) -> bytes:
    """Return a bootloader's flat tar.xz: `shim-signed`, `grub2-signed`, `grub2` or `syslinux`."""
    names = bootloader_members(arch, package)
    each = size // len(names)
    members = {}
    for name in names:
        fill = noise(f"{seed}/{name}", each)
        if name.endswith(".efi"):
            signed = package.endswith("-signed")
            members[name] = efi_binary(f"{seed}/{name}", each, arch=arch, signed=signed)
        elif name.endswith(".c32"):
            members[name] = kernels.elf("i386", fill)
        elif name.endswith(".bin"):
            members[name] = kernels.elf("ppc64", fill)
        else:
            members[name] = fill
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
        modules = ("chain", "ifcpu", "ifcpu64", "ldlinux", "libcom32", "libutil")
        return [*(f"{module}.c32" for module in modules), "lpxelinux.0"]
    raise ValueError(f"no such bootloader package: {package!r}")


def efi_binary(seed: str, size: int, *, arch: str = "amd64", signed: bool = False) -> bytes:
    """Return an EFI application: a DOS stub, a PE header, one section, and a signature if asked.

    The signature is PKCS #7 by its beginning and its length; nobody has signed anything.
    """
    body = noise(seed, max(size - PE_HEADERS, 512))
    body += bytes(-len(body) % 8)
    signature = _certificate_table(seed) if signed else b""
    head = _dos_stub() + _pe_header(arch, EFI_APPLICATION, PE_HEADERS + len(body), len(signature))
    return head.ljust(PE_HEADERS, b"\0") + body + signature


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


def _pe_header(arch: str, subsystem: int, end: int, signature: int) -> bytes:
    """Return the header of a file whose section ends at `end`, where `signature` bytes follow."""
    wide = arch != "i386"
    code = end - PE_HEADERS
    optional = struct.pack("<HBBIIIII", 0x20B if wide else 0x10B, 2, 0, code, 0, 0, 512, 512)
    optional += struct.pack("<QII" if wide else "<IIII", *([0] if wide else [0, 0]), 4096, 512)
    optional += struct.pack("<HHHHHHIIII", 0, 0, 0, 0, 0, 0, 0, end, PE_HEADERS, 0)
    optional += struct.pack("<HH", subsystem, 0)
    optional += bytes(32 if wide else 16) + struct.pack("<II", 0, 6)
    optional += bytes(4 * 8) + struct.pack("<II", end if signature else 0, signature) + bytes(8)
    coff = struct.pack("<HHIIIHH", PE_MACHINES[arch], 1, MTIME, 0, 0, len(optional), 0x0206)
    section = struct.pack("<8sIIIIIIHHI", b".text", code, 512, code, 512, 0, 0, 0, 0, 0)
    return b"PE\0\0" + coff + optional + section


def _certificate_table(seed: str) -> bytes:
    """Return a table of one certificate, about as long as a real one."""
    signed_data = bytes.fromhex("06092a864886f70d010702") + noise(f"{seed}/signature", 1500)
    content = b"\x30\x82" + struct.pack(">H", len(signed_data)) + signed_data
    table = struct.pack("<IHH", 8 + len(content), 0x0200, 0x0002) + content
    return table + bytes(-len(table) % 8)
