"""Kernels and initrds of every architecture: small, with headers that a boot loader would take.

Each says its version where a real one does: in its header, or as the banner of the kernel, packed
if need be. `fill` is the bulk. The same arguments give the same bytes, on any machine.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from typing import TYPE_CHECKING

import lz4.block
import lz4.frame
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HEADER = 4096
"""What the forms add to `fill`, in bytes; s390x adds more."""

MTIME = 1_700_000_000
PE_AT = 0x40
PE_MACHINES = {
    "amd64": 0x8664,
    "arm64": 0xAA64,
    "armhf": 0x01C2,
    "i386": 0x014C,
    "riscv64": 0x5064,
}
EFI_APPLICATION = 10
ELF_MACHINES = {
    "amd64": (2, "<", 62),
    "arm64": (2, "<", 183),
    "armhf": (1, "<", 40),
    "i386": (1, "<", 3),
    "ppc64": (2, ">", 21),
    "ppc64el": (2, "<", 21),
    "riscv64": (2, "<", 243),
    "s390x": (2, ">", 22),
}
LEGACY_BLOCK = 8 * 1024**2


def kernel_image(arch: str, version: str, fill: bytes) -> bytes:
    """Return the kind of kernel that is usual for an architecture, named as in Debian."""
    if arch in {"amd64", "i386"}:
        return bzimage(version, fill, arch=arch)
    if arch in {"ppc64", "ppc64el"}:
        return elf(arch, banner(version) + fill)
    forms: dict[str, Callable[[str, bytes], bytes]] = {
        "arm64": arm64_image,
        "armhf": zimage,
        "riscv64": riscv_image,
        "s390x": s390_image,
    }
    return forms[arch](version, fill)


def banner(version: str) -> bytes:
    """Return what a kernel says first when it starts."""
    return f"Linux version {version} (buildd@sample) (gcc, GNU ld) #1 SMP\n\0".encode()


def bzimage(version: str, fill: bytes, *, arch: str = "amd64", protocol: int = 0x020F) -> bytes:
    """Return a kernel for PCs with an EFI stub; its version is in the header, and in the payload.

    Before protocol 2.12 (Linux 3.8) only the packed ELF file tells amd64 from i386.
    """
    setup_sectors, decompressor = 3, 512
    payload = _packed_as_in_kernels(elf(arch, banner(version) + fill))
    code = bytes(decompressor) + payload
    code += bytes(-len(code) % 16)
    size = (setup_sectors + 1) * 512 + len(code)
    head = bytearray((setup_sectors + 1) * 512)
    stub = _dos_stub() + _pe(arch, size)
    head[: len(stub)] = stub
    head[0x1F1] = setup_sectors
    struct.pack_into("<I", head, 0x1F4, len(code) // 16)
    head[0x1FE:0x202] = b"\x55\xaa\xeb\x6a"
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, protocol)
    struct.pack_into("<H", head, 0x20E, 0x100)
    head[0x211] = 1  # loaded high: what makes it a bzImage
    if arch == "amd64" and protocol >= 0x020C:
        head[0x236] = 1  # has a 64-bit entry
    struct.pack_into("<II", head, 0x248, decompressor, len(payload))
    text = f"{version} (buildd@sample) #1 SMP".encode() + b"\0"
    head[0x300 : 0x300 + len(text)] = text
    return bytes(head) + code


def arm64_image(version: str, fill: bytes) -> bytes:
    """Return an Image for arm64, with an EFI stub."""
    return _image("arm64", b"ARM\x64", version, fill)


def riscv_image(version: str, fill: bytes) -> bytes:
    """Return an Image for riscv64, with an EFI stub."""
    return _image("riscv64", b"RSC\x05", version, fill)


def zboot(inner: bytes, *, arch: str, compression: str = "gzip") -> bytes:
    """Return an EFI application that expands and starts the kernel `inner`."""
    names = {"lz4-legacy": "lz4", "xz": "xzkern", "zstd": "zstd22"}
    payload = packed(inner, compression)
    # behind the payload, and no part of it: gzip has the size in its own trailer
    length = b"" if compression == "gzip" else struct.pack("<I", len(inner))
    head = bytearray(_dos_stub())
    struct.pack_into("<4sII", head, 4, b"zimg", HEADER, len(payload))
    name = names.get(compression, compression).encode()
    head[0x18 : 0x18 + len(name)] = name
    head[0x38:0x3C] = b"\xcd\x23\x82\x81"
    size = HEADER + len(payload) + len(length)
    return (bytes(head) + _pe(arch, size)).ljust(HEADER, b"\0") + payload + length


def zimage(version: str, fill: bytes) -> bytes:
    """Return a zImage for armhf."""
    payload = _packed_as_in_kernels(banner(version) + fill)
    head = bytearray(HEADER)
    struct.pack_into("<III", head, 0x24, 0x016F2818, 0, HEADER + len(payload))
    struct.pack_into("<I", head, 0x30, 0x04030201)
    return bytes(head) + payload


def s390_image(version: str, fill: bytes) -> bytes:
    """Return a kernel for s390x; it ends as those that a firmware can verify, since Linux 6.1."""
    text_at, code_at = 0x11000, 0x12000
    head = bytearray(code_at)
    head[:8] = b"\x00\x08\x00\x00\x80\x02\x00\x00"
    head[0x10008:0x10010] = b"S390EP\0\1"
    struct.pack_into(">QQ", head, 0x10428, text_at, 4096)
    text = f"{version} (buildd@sample) #1 SMP\0".encode()
    head[text_at : text_at + len(text)] = text
    image = bytes(head) + _packed_as_in_kernels(banner(version) + fill)
    padding = -(len(image) + 32) % 4096
    return image + bytes(padding + 24) + b"\0\0\0\x20zIPL"


def elf(arch: str, content: bytes) -> bytes:
    """Return an ELF executable with one segment, as vmlinux is."""
    word, order, machine = ELF_MACHINES[arch]
    ident = b"\x7fELF" + bytes([word, 1 if order == "<" else 2, 1]) + bytes(9)
    size, at = len(content), HEADER - 64
    if word == 2:
        head = struct.pack(order + "HHIQQQ", 2, machine, 1, at, 64, 0)
        head += struct.pack(order + "IHHHHHH", 0, 64, 56, 1, 0, 0, 0)
        segment = struct.pack(order + "IIQQQQQQ", 1, 7, at, at, at, size, size, 65536)
    else:
        head = struct.pack(order + "HHIIII", 2, machine, 1, at, 52, 0)
        head += struct.pack(order + "IHHHHHH", 0, 52, 32, 1, 0, 0, 0)
        segment = struct.pack(order + "IIIIIIII", 1, at, at, at, size, size, 7, 65536)
    return (ident + head + segment).ljust(at, b"\0") + content


def initrd_image(
    version: str, fill: bytes, *, compression: str = "zstd", microcode: bool = False
) -> bytes:
    """Return an initrd with modules for one kernel; plain microcode before it, where asked for.

    `compression` is a name that `packed` takes.
    """
    early = cpio({"kernel/x86/microcode/GenuineIntel.bin": fill[:2048]}) if microcode else b""
    early += bytes(-len(early) % 512)
    main = cpio(
        {
            "init": b"#!/bin/sh\nexec /sbin/init\n",
            f"usr/lib/modules/{version}/modules.dep": b"",
            f"usr/lib/modules/{version}/filler": fill,
        }
    )
    return early + packed(main, compression)


def cpio(members: Mapping[str, bytes], *, checksums: bool = False) -> bytes:
    """Return an uncompressed newc cpio archive, with the directories that the members need."""
    folders = {
        "/".join(parts[:depth])
        for parts in (name.split("/") for name in members)
        for depth in range(1, len(parts))
    }
    out = bytearray()
    magic = b"070702" if checksums else b"070701"
    for number, name in enumerate(sorted({*folders, *members}), start=1):
        mode = 0o040755 if name in folders else 0o100755
        out += _cpio_entry(magic, number, mode, name, members.get(name, b""))
    out += _cpio_entry(magic, 0, 0, "TRAILER!!!", b"")
    return bytes(out)


def packed(data: bytes, compression: str) -> bytes:
    """Compress; `compression` is '' or a name that `mirror.formats.compression_of` gives."""
    if not compression:
        return data
    packers: dict[str, Callable[[bytes], bytes]] = {
        "bzip2": lambda data: bz2.compress(data, 1),
        "gzip": lambda data: gzip.compress(data, 1, mtime=0),
        "lz4": lz4.frame.compress,
        "lz4-legacy": _lz4_legacy,
        "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=0),
        "xz": lambda data: lzma.compress(data, preset=0),
        "zstd": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
    }
    return packers[compression](data)


def _lz4_legacy(data: bytes) -> bytes:
    out = b"\x02\x21\x4c\x18"
    for at in range(0, len(data), LEGACY_BLOCK):
        block = lz4.block.compress(data[at : at + LEGACY_BLOCK], store_size=False)
        out += struct.pack("<I", len(block)) + block
    return out


def _packed_as_in_kernels(data: bytes) -> bytes:
    """Do what `gzip -n -9` does, in no time and with the same bytes everywhere: by storing."""
    store = zlib.compressobj(0, zlib.DEFLATED, -15)
    body = store.compress(data) + store.flush()
    return (
        b"\x1f\x8b\x08\0\0\0\0\0\x02\x03" + body + struct.pack("<II", zlib.crc32(data), len(data))
    )


def _image(arch: str, magic: bytes, version: str, fill: bytes) -> bytes:
    """Return an Image: arm64 and riscv have the same header."""
    text = banner(version)
    size = HEADER + max(len(fill), len(text))
    head = bytearray(_dos_stub())
    struct.pack_into("<QQQ", head, 8, 0, size, 0x0A if arch == "arm64" else 0)
    if arch == "riscv64":
        struct.pack_into("<I", head, 32, 2)
        head[48:56] = b"RISCV\0\0\0"
    head[56:60] = magic
    return (bytes(head) + _pe(arch, size)).ljust(HEADER, b"\0") + text + fill[len(text) :]


def _dos_stub() -> bytes:
    return (b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", PE_AT)).ljust(PE_AT, b"\0")


def _pe(arch: str, size: int) -> bytes:
    """Return the EFI header of a file of `size` bytes, all of which is code from byte 512 on."""
    wide = arch not in {"armhf", "i386"}
    code = size - 512
    optional = struct.pack("<HBBIIIII", 0x20B if wide else 0x10B, 2, 0, code, 0, 0, 512, 512)
    optional += struct.pack("<QII" if wide else "<IIII", *([0] if wide else [0, 0]), 512, 512)
    optional += struct.pack("<HHHHHHIIII", 0, 0, 1, 0, 0, 0, 0, size, 512, 0)
    optional += struct.pack("<HH", EFI_APPLICATION, 0)
    optional += bytes(32 if wide else 16) + struct.pack("<II", 0, 6) + bytes(6 * 8)
    coff = struct.pack("<HHIIIHH", PE_MACHINES[arch], 1, MTIME, 0, 0, len(optional), 0x0206)
    section = struct.pack("<8sIIIIIIHHI", b".text", code, 512, code, 512, 0, 0, 0, 0, 0x60000020)
    return b"PE\0\0" + coff + optional + section


def _cpio_entry(magic: bytes, number: int, mode: int, name: str, content: bytes) -> bytes:
    encoded = name.encode() + b"\0"
    check = sum(content) & 0xFFFFFFFF if magic == b"070702" else 0
    fields = (number, mode, 0, 0, 1, MTIME, len(content), 0, 0, 0, 0, len(encoded), check)
    head = magic + b"".join(b"%08X" % field for field in fields) + encoded
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
