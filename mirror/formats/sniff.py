"""Which compression a file has, by its first bytes."""

from __future__ import annotations

SNIFF = 16
"""How many bytes `compression_of` needs."""

MAGICS = {
    b"\x1f\x8b\x08": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x02\x21\x4c\x18": "lz4-legacy",
}
BZIP2_BLOCKS = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
SKIPPABLE = b"\x2a\x4d\x18"

COMPRESSIONS = frozenset({*MAGICS.values(), "bzip2", "lzma"})
"""What `compression_of` says, except for ''."""


def compression_of(head: bytes) -> str:
    """Name the compression of a file that starts with `head` (16 bytes are enough); '' for none."""
    for magic, name in MAGICS.items():
        if head.startswith(magic):
            return name
    if head[:3] == b"BZh" and head[3:4] in b"123456789" and head[4:10] in BZIP2_BLOCKS:
        return "bzip2"
    if head[1:4] == SKIPPABLE and head[0] & 0xF0 == 0x50:
        return "zstd"
    # An lzma file has no magic: the usual properties, a dictionary of 2^n or 3*2^n, a sane size.
    if head[:3] == b"\x5d\0\0" and len(head) >= 13 and head[12] in {0x00, 0xFF}:
        return "lzma"
    return ""
