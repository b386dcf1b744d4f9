"""Access control lists as text, as `tar --acls` and libarchive keep them."""

from __future__ import annotations

import struct

from mirror.formats import FormatError

_VERSION = 2
_ENTRY = struct.Struct("<HHI")
_TAGS = {
    0x01: "user:",
    0x02: "user:",
    0x04: "group:",
    0x08: "group:",
    0x10: "mask:",
    0x20: "other:",
}
_WITH_ID = (0x02, 0x08)


def acl_text(value: bytes) -> bytes:
    """Return the text of a list in the form of the kernel; owners in it are numbers."""
    lines = []
    if len(value) < 4 or len(value) % 8 != 4 or struct.unpack_from("<I", value)[0] != _VERSION:
        raise FormatError("is damaged: an access control list can't be read")
    for tag, permissions, holder in _ENTRY.iter_unpack(value[4:]):
        if tag not in _TAGS:
            raise FormatError("is damaged: an access control list can't be read")
        name = str(holder) if tag in _WITH_ID else ""
        bits = "".join(
            letter if permissions & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1))
        )
        lines.append(f"{_TAGS[tag]}{name}:{bits}\n")
    return "".join(lines).encode()
