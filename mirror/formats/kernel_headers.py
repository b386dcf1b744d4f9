"""The headers of kernel images: what each says of architecture, size and version.

Facts are the kernel's own: Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst,
Documentation/arch/riscv/boot-image-header.rst, and the boot code of arm, s390 and zboot.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.formats.elf import elf_arch
from mirror.formats.errors import FormatError
from mirror.formats.expand import expand
from mirror.formats.feed import Feed
from mirror.formats.sniff import compression_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTOR = 512
PE_MACHINES = {
    0x014C: "i386",
    0x01C2: "armhf",
    0x5064: "riscv64",
    0x6264: "loong64",
    0x8664: "amd64",
    0xAA64: "arm64",
}
KERNEL_GZIP = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03"
"""What `gzip -n -9` begins with, as the kernel's build runs it."""

VERSION = re.compile(rb"[!-~]{1,128}")
RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})")
ELF_INTERPRETER = 3
ELF_HEAD = 64
UIMAGE_MAGIC, UIMAGE_HEAD = b"\x27\x05\x19\x56", 64
"""What U-Boot wants in front of a kernel or an initrd: `mkimage` writes it."""
LINUX_SECTION = b".linux\0\0"
S390_TRAILER = b"\0\0\0\x20zIPL"
S390_TRAILER_IN = ((6, 1), (6, 17))
"""The first Linux that ends with it, and the last one of which we know that it does."""


@dataclass(frozen=True)
class Layout:
    """What the header of an image says.

    `extent` is how long the file must be, in bytes. `version` None: it is in the image itself, as
    the banner of the kernel; in the payload, where the image has one (at `payload`, of
    `payload_size` bytes, 0 where that isn't said). `trailer` is near the end of a file that is
    whole, with at most a signature behind it.
    """

    arch: str
    form: str
    extent: int
    version: str | None = None
    payload: int = 0
    payload_size: int = 0
    trailer: bytes = b""


def after_uimage(feed: Feed) -> str:
    """Pass over U-Boot's header; return what is behind it: `kernel`, `initrd`, `something else`.

    '' where there is no such header.
    """
    head = feed.peek(UIMAGE_HEAD)
    if len(head) < UIMAGE_HEAD or not head.startswith(UIMAGE_MAGIC):
        return ""
    feed.skip(UIMAGE_HEAD)
    return {2: "kernel", 3: "initrd"}.get(head[30], "something else")


def layout_of(head: bytes) -> Layout | None:
    """Return what the first MiB of an image says; None where it is no kernel.

    Raises `FormatError` where the header contradicts itself.
    """
    for reader in (_zboot, _x86, _arm64, _riscv, _arm, _elf, _s390, _unified):
        if layout := reader(head):
            return layout
    return None


def _x86(head: bytes) -> Layout | None:
    if head[0x202:0x206] != b"HdrS" or head[0x1FE:0x200] != b"\x55\xaa" or len(head) < 0x268:
        return None
    setup = (head[0x1F1] or 4) * SECTOR
    (protocol,) = struct.unpack_from("<H", head, 0x206)
    (code,) = struct.unpack_from("<I" if protocol >= 0x204 else "<H", head, 0x1F4)
    return Layout(
        arch=_x86_arch(head, SECTOR + setup, protocol),
        form="bzImage" if head[0x211] & 1 else "zImage",
        extent=max(SECTOR + setup + 16 * code, _pe(head)[1]),
        version=_x86_version(head, setup),
    )


def _x86_arch(head: bytes, code: int, protocol: int) -> str:
    """Tell amd64 from i386: by a flag, or before Linux 3.8 by the ELF file that is packed in it.

    '' where that can't be read.
    """
    if protocol >= 0x20C:
        return "amd64" if head[0x236] & 1 else "i386"
    if protocol >= 0x208:
        (offset,) = struct.unpack_from("<I", head, 0x248)
        return _packed_arch(head[code + offset :])
    return ""


def _packed_arch(packed: bytes) -> str:
    form = compression_of(packed)
    try:
        return elf_arch(Feed(expand(Feed(iter([packed])), form)).peek(ELF_HEAD)) if form else ""
    except FormatError:
        return ""


def _x86_version(head: bytes, setup: int) -> str:
    (pointer,) = struct.unpack_from("<H", head, 0x20E)
    return _text(head, SECTOR + pointer) if 0 < pointer < setup else ""


def _arm64(head: bytes) -> Layout | None:
    if head[56:60] != b"ARM\x64" or len(head) < 64:
        return None
    return Layout("arm64", "arm64 Image", _pe(head)[1])


def _riscv(head: bytes) -> Layout | None:
    if head[56:60] != b"RSC\x05" or len(head) < 64:
        return None
    return Layout("riscv64", "riscv Image", _pe(head)[1])


def _arm(head: bytes) -> Layout | None:
    if head[0x24:0x28] != b"\x18\x28\x6f\x01" or len(head) < 0x30:
        return None
    start, end = struct.unpack_from("<II", head, 0x28)
    if end <= start:
        raise FormatError(f"is damaged: its zImage ends at {end}, before its start")
    payload = max(0, head.find(KERNEL_GZIP))
    return Layout("armhf", "zImage", end - start, None if payload else "", payload)


def _zboot(head: bytes) -> Layout | None:
    if head[:2] != b"MZ" or head[4:8] != b"zimg" or len(head) < 64:
        return None
    offset, size = struct.unpack_from("<II", head, 8)
    arch, extent = _pe(head)
    if not offset or not size:
        raise FormatError("is damaged: its EFI zboot header has no payload")
    return Layout(arch, "EFI zboot", max(extent, offset + size), None, offset, size)


def _unified(head: bytes) -> Layout | None:
    """Read an EFI stub with a kernel as a section: Ubuntu's for arm64 since 25.10 (stubble)."""
    arch, extent = _pe(head)
    for name, size, start in _sections(head) if arch else ():
        if name == LINUX_SECTION and start and size:
            return Layout(arch, "EFI stub", extent, None, start, size)
    return None


def _elf(head: bytes) -> Layout | None:
    arch = elf_arch(head)
    if not arch or len(head) < 64:
        return None
    order = "<" if head[5] == 1 else ">"
    if head[4] == 2:
        programs, sections = struct.unpack_from(order + "QQ", head, 32)
        entries, form, at = struct.unpack_from(order + "HHHH", head, 54), "IIQQQQ", 2
    else:
        programs, sections = struct.unpack_from(order + "II", head, 28)
        entries, form, at = struct.unpack_from(order + "HHHH", head, 42), "IIIII", 1
    size, count, section_size, section_count = entries
    extent = sections + section_size * section_count if sections else 0
    if not count or size < struct.calcsize(order + form) or programs + size * count > len(head):
        raise FormatError("is no kernel: an ELF file with nothing to load")
    for number in range(count):
        fields = struct.unpack_from(order + form, head, programs + size * number)
        # What old tools wrap around a kernel of POWER asks for an interpreter, as a program does.
        if fields[0] == ELF_INTERPRETER and not arch.startswith("p"):
            raise FormatError("is no kernel: it is a program")
        file_size = fields[5] if head[4] == 2 else fields[4]
        extent = max(extent, fields[at] + file_size)
    return Layout(arch, "ELF", extent)


def _s390(head: bytes) -> Layout | None:
    if head[0x10008:0x1000E] != b"S390EP" or len(head) < 0x10480:
        return None
    (pointer,) = struct.unpack_from(">Q", head, 0x10428)
    if 0x10480 <= pointer < len(head) and (version := _text(head, pointer)):
        first, last = S390_TRAILER_IN
        trailer = S390_TRAILER if first <= _release(version) <= last else b""
        return Layout("s390x", "s390 Image", 0, version, trailer=trailer)
    payload = max(0, head.find(KERNEL_GZIP))
    return Layout("s390x", "s390 Image", 0, None if payload else "", payload)


def _pe(head: bytes) -> tuple[str, int]:
    """Return the architecture and the end of an EFI image: of its sections, or its signature.

    ('', 0) where the image has no EFI header.
    """
    if head[:2] != b"MZ" or len(head) < 64:
        return "", 0
    (at,) = struct.unpack_from("<I", head, 60)
    if head[at : at + 4] != b"PE\0\0" or len(head) < at + 24:
        return "", 0
    machine, count = struct.unpack_from("<HH", head, at + 4)
    (optional_size,) = struct.unpack_from("<H", head, at + 20)
    if len(head) < at + 24 + optional_size + 40 * count:
        raise FormatError("is cut: it ends in its EFI header")
    extent = _signature_end(head, at + 24, optional_size)
    for _, size, start in _sections(head):
        extent = max(extent, start + size if size else 0)
    return PE_MACHINES.get(machine, f"machine {machine}"), extent


def _sections(head: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Give the name, the size and the place of each section of an EFI image that has a header."""
    (at,) = struct.unpack_from("<I", head, 60)
    (count,) = struct.unpack_from("<H", head, at + 6)
    (optional_size,) = struct.unpack_from("<H", head, at + 20)
    for number in range(count):
        yield struct.unpack_from("<8s8xII", head, at + 24 + optional_size + 40 * number)


def _signature_end(head: bytes, optional: int, size: int) -> int:
    """Return where the table of signatures ends, 0 where there is none."""
    directories = 112 if head[optional : optional + 2] == b"\x0b\x02" else 96
    if size < directories + 40:
        return 0
    (count,) = struct.unpack_from("<I", head, optional + directories - 4)
    start, length = struct.unpack_from("<II", head, optional + directories + 32)
    return start + length if count > 4 and length else 0


def _release(version: str) -> tuple[int, ...]:
    found = RELEASE.match(version)
    return tuple(map(int, found.groups())) if found else ()


def _text(head: bytes, at: int) -> str:
    found = VERSION.match(head, at)
    return found.group().decode("ascii") if found else ""
