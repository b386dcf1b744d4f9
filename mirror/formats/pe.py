"""EFI binaries (PE32 and PE32+): for which architecture, and do they carry signatures.

A signature is looked at, not verified: which keys a machine trusts is the machine's to say.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mirror.formats.errors import FormatError
from mirror.formats.head import check_head

if TYPE_CHECKING:
    from typing import BinaryIO

MACHINES = {
    0x014C: "i386",
    0x01C0: "armhf",
    0x01C2: "armhf",
    0x01C4: "armhf",
    0x0200: "ia64",
    0x5032: "riscv32",
    0x5064: "riscv64",
    0x6264: "loong64",
    0x8664: "amd64",
    0xAA64: "arm64",
}
SUBSYSTEMS = {
    10: "application",
    11: "boot service driver",
    12: "runtime driver",
    13: "ROM image",
}

_HEADERS = 64 * 1024
"""Bytes in which every header must be; shim's and GRUB's are in the first 1024."""
_CHUNK = 64 * 1024
_MAX_SIGNATURES = 4 * 1024**2
"""Bytes of a table of signatures; one has some 2 to 10 kB."""

_COFF = struct.Struct("<HHIIIHH")
_OPTIONAL = {0x10B: 96, 0x20B: 112}
"""Magic of the optional header -> where its data directories begin."""
_SECTION = struct.Struct("<8sIIIIIIHHI")
_CERTIFICATE = struct.Struct("<IHH")
_SIGNATURES = 4
"""Which of the data directories says where the signatures are."""
_REVISIONS = {0x0100, 0x0200}
_PKCS, _GUID = 0x0002, 0x0EF1
"""Kinds of certificate that firmware takes."""
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
"""The object identifier that PKCS #7 signed data begins with, in DER."""
_NAKED = bytes.fromhex("020101")
"""What is in its place where a signer left it out: the version. Firmware takes that too."""


@dataclass(frozen=True)
class EfiBinary:
    """An EFI binary.

    `arch` is Debian's name of the architecture (`machine 0x1234` where it has none); `subsystem` is
    `application`, `boot service driver`, `runtime driver` or `ROM image`. `signed`: there is at
    least one signature, in a table that is well-formed.
    """

    arch: str
    subsystem: str
    signed: bool


class _Headers(NamedTuple):
    machine: int
    subsystem: int
    extent: int
    """How long the file must be for its sections, in bytes."""
    table: tuple[int, int]
    """Where the signatures are, and how long; (0, 0) where there are none."""


def read_efi(stream: BinaryIO, size: int) -> EfiBinary:
    """Read an EFI binary of `size` bytes from a stream, which need not be seekable.

    Raises `FormatError` where it is none, or is cut.
    """
    head = _read(stream, min(size, _HEADERS))
    check_head(head)
    headers = _headers(head, size)
    end = max(headers.extent, sum(headers.table))
    if end > size:
        raise FormatError(f"is cut: {size} bytes of {end}")
    return EfiBinary(
        arch=MACHINES.get(headers.machine, f"machine {headers.machine:#06x}"),
        subsystem=SUBSYSTEMS[headers.subsystem],
        signed=_is_signed(_between(stream, head, *headers.table)),
    )


def _headers(head: bytes, size: int) -> _Headers:
    if len(head) < 64 or head[:2] != b"MZ":
        raise FormatError("is no EFI binary")
    (at,) = struct.unpack_from("<I", head, 60)
    if head[at : at + 4] != b"PE\0\0":
        raise FormatError("is no EFI binary: it has no PE header")
    try:
        machine, sections, _, _, _, optional_size, _ = _COFF.unpack_from(head, at + 4)
        optional = at + 4 + _COFF.size
        (magic,) = struct.unpack_from("<H", head, optional)
        subsystem, table = _optional(head, optional, optional_size, magic)
        extent = max(
            (_section_end(head, optional + optional_size, number) for number in range(sections)),
            default=0,
        )
    except struct.error:
        if size > len(head):
            raise FormatError(f"is damaged: its headers go beyond {_HEADERS} bytes") from None
        raise FormatError("is cut: it ends in its headers") from None
    if subsystem not in SUBSYSTEMS:
        raise FormatError("is a program of Windows, not an EFI binary")
    return _Headers(machine, subsystem, extent, table)


def _optional(head: bytes, at: int, size: int, magic: int) -> tuple[int, tuple[int, int]]:
    """Return the subsystem, and where the signatures are."""
    directories = _OPTIONAL.get(magic)
    if directories is None or size < directories:
        raise FormatError(f"is damaged: its optional header is of kind {magic:#x}, {size} bytes")
    (subsystem,) = struct.unpack_from("<H", head, at + 68)
    (count,) = struct.unpack_from("<I", head, at + directories - 4)
    entry = directories + 8 * _SIGNATURES
    if count <= _SIGNATURES or size < entry + 8:
        return subsystem, (0, 0)
    start, length = struct.unpack_from("<II", head, at + entry)
    return subsystem, (start, length) if start and length else (0, 0)


def _section_end(head: bytes, at: int, number: int) -> int:
    section = _SECTION.unpack_from(head, at + number * _SECTION.size)
    size, start = section[3], section[4]
    return start + size if size else 0


def _between(stream: BinaryIO, head: bytes, start: int, length: int) -> bytes:
    """Return `length` bytes at `start` of a stream of which `head` was read already."""
    if length > _MAX_SIGNATURES:
        raise FormatError(f"has {length:,} bytes of signatures; at most {_MAX_SIGNATURES:,}")
    known = head[start : start + length]
    skip = start - len(head)
    while skip > 0:
        skip -= len(_read(stream, min(skip, _CHUNK)))
    return known + _read(stream, length - len(known))


def _read(stream: BinaryIO, size: int) -> bytes:
    pieces = []
    while size:
        piece = stream.read(size)
        if not piece:
            raise FormatError("is cut: it is shorter than was said")
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _is_signed(table: bytes) -> bool:
    """Say whether a table holds certificates from its begin to its end, one with a signature."""
    signatures = 0
    at = 0
    end = len(table.rstrip(b"\0"))
    while at < end:
        if len(table) - at < _CERTIFICATE.size:
            return False
        length, revision, kind = _CERTIFICATE.unpack_from(table, at)
        if length <= _CERTIFICATE.size or at + length > len(table) or revision not in _REVISIONS:
            return False
        if kind == _PKCS:
            signatures += _is_signed_data(table[at + _CERTIFICATE.size : at + length])
        signatures += kind == _GUID
        at += length + -length % 8
    return signatures > 0


def _is_signed_data(content: bytes) -> bool:
    """Say whether DER content is a sequence that fits, and begins as PKCS #7 signed data does."""
    if content[:1] != b"\x30" or len(content) < 2:
        return False
    length, start = content[1], 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(content[2 : 2 + count]), 2 + count
        if not 1 <= count <= 4:
            return False
    begins = content.startswith((_SIGNED_DATA, _NAKED), start)
    return length <= len(content) - start and begins
