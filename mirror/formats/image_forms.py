"""What a file is, by the magic that it has and the structure around it: pure functions over bytes.

`raw` is a disk as it is, `file system` one that no partition table is in front of.
"""

from __future__ import annotations

import struct

from mirror.formats.sniff import compression_of
from mirror.formats.squashfs import MAGIC as SQUASHFS
from mirror.formats.tar_headers import BLOCK, sums_up

RAW, FILE_SYSTEM, TAR = "raw", "file system", "tar"

WANTED = 68 * 1024
"""How many bytes from the start `form_of` wants: btrfs has its magic behind 64 KiB."""

FOOTER = 512
"""How many bytes from the end `form_of` wants."""

SECTOR_SIZES = (512, 4096)

_VHD = b"conectix"
"""At the end of every VHD, and at the start of one that grows as well."""

_MAGICS = (
    ("qcow2", 0, b"QFI\xfb"),
    ("vhdx", 0, b"vhdxfile"),
    ("vmdk", 0, b"KDMV"),
    ("vmdk", 0, b"COWD"),
    ("vmdk", 0, b"# Disk DescriptorFile"),
    ("vdi", 64, b"\x7f\x10\xda\xbe"),
    ("qed", 0, b"QED\0"),
    ("vhd", 0, _VHD),
    ("parallels", 0, b"WithoutFreeSpace"),
    ("parallels", 0, b"WithouFreSpacExt"),
    ("android-sparse", 0, b"\x3a\xff\x26\xed"),
    ("squashfs", 0, SQUASHFS),
    ("zip", 0, b"PK\3\4"),
    ("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    ("rar", 0, b"Rar!\x1a\7"),
    ("wim", 0, b"MSWIM\0\0\0"),
    ("cab", 0, b"MSCF\0\0\0\0"),
    ("rpm", 0, b"\xed\xab\xee\xdb"),
    ("deb", 0, b"!<arch>\ndebian"),
    ("cpio", 0, b"070701"),
    ("cpio", 0, b"070702"),
    ("cpio", 0, b"070707"),
    ("elf", 0, b"\x7fELF"),
    # A disc has its own magic behind the 32 KiB that a boot loader may have: a hybrid one has
    # partition tables there, so it comes before them.
    ("iso9660", 32769, b"CD001"),
    ("iso9660", 32769, b"BEA01"),
)
_FILE_SYSTEMS = (
    (0, b"XFSB"),
    (3, b"NTFS    "),
    (3, b"EXFAT   "),
    (3, b"ReFS\0\0\0\0"),
    (3, b"-FVE-FS-"),
    (0, b"LUKS\xba\xbe"),
    (536, b"LVM2 001"),
    (24, b"LVM2 001"),
    (1080, b"\x53\xef"),
    (1024, b"\xe2\xe1\xf5\xe0"),
    (65600, b"_BHRfS_M"),
)
"""(offset, magic): ext is at 1080, erofs at 1024, btrfs at 65600."""

_GPT, _SIGNATURE = b"EFI PART", b"\x55\xaa"
_TABLE, _ENTRY = 446, struct.Struct("<B3xB3xII")


def form_of(head: bytes, tail: bytes = b"") -> str:
    """Name what begins with `head` and ends with `tail`; '' for nothing known.

    They should be of `WANTED` and `FOOTER` bytes, or of all that there is.
    """
    for form, at, magic in _MAGICS:
        if head.startswith(magic, at):
            return form
    if _is_vhd_footer(tail):
        return "vhd"
    if len(head) >= BLOCK and head[0] and sums_up(head[:BLOCK]):
        return TAR
    return _form_of_disk(head) or compression_of(head[:16])


def _is_vhd_footer(block: bytes) -> bool:
    """Say whether 512 bytes are what every VHD ends with, its checksum right."""
    if len(block) != FOOTER or not block.startswith(_VHD):
        return False
    (said,) = struct.unpack_from(">I", block, 64)
    return bool((~(sum(block) - sum(block[64:68]))) & 0xFFFFFFFF == said)


def _form_of_disk(head: bytes) -> str:
    if any(head.startswith(_GPT, size) for size in SECTOR_SIZES):
        return RAW
    signed = head[510:512] == _SIGNATURE
    if signed and _has_partitions(head):
        return RAW
    if any(head.startswith(magic, at) for at, magic in _FILE_SYSTEMS):
        return FILE_SYSTEM
    if signed:
        return FILE_SYSTEM if _is_fat(head) else RAW
    return ""


def _has_partitions(head: bytes) -> bool:
    """Say whether a boot sector has a partition table: a file system's has code or text there."""
    entries = [_ENTRY.unpack_from(head, _TABLE + index * _ENTRY.size) for index in range(4)]
    if any(status not in {0, 0x80} for status, *_ in entries):
        return False
    return any(kind and start and sectors for _, kind, start, sectors in entries)


def _is_fat(head: bytes) -> bool:
    sector, cluster, reserved, tables = struct.unpack_from("<HBHB", head, 11)
    return (
        sector in {512, 1024, 2048, 4096}
        and cluster > 0
        and cluster & (cluster - 1) == 0
        and reserved > 0
        and tables in {1, 2}
    )
