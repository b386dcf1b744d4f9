"""The header blocks of a tar archive, as GNU tar writes them with `--format=posix`.

Pure functions: an entry's header, and the pax records for what does not fit into one.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from mirror_custom_images.building.acl_text import acl_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirror_custom_images.entries import Entry, Kind

BLOCK = 512

LETTERS: dict[Kind, bytes] = {
    "file": b"0",
    "hardlink": b"1",
    "symlink": b"2",
    "char": b"3",
    "block": b"4",
    "dir": b"5",
    "fifo": b"6",
}
"""There is none for a socket: nothing can make one but the program that listens on it."""

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_NAME = 100
_MAX_ID = 0o7777777
_MAX_SIZE = 0o77777777777
_SECOND = 10**9


def header(
    name: bytes,
    letter: bytes,
    *,
    size: int = 0,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: int = 0,
    target: bytes = b"",
    device: tuple[int, int] = (0, 0),
) -> bytes:
    """Return one block; `mtime` is in seconds. What is too large or too long is cut: see `pax`."""
    block = bytearray(
        _HEADER.pack(
            name,
            b"%07o" % mode,
            b"%07o" % min(uid, _MAX_ID),
            b"%07o" % min(gid, _MAX_ID),
            b"%011o" % min(size, _MAX_SIZE),
            b"%011o" % min(max(mtime, 0), _MAX_SIZE),
            b"        ",
            letter,
            target,
            b"ustar\x0000",
            b"",
            b"",
            b"%07o" % (device[0] & _MAX_ID),
            b"%07o" % (device[1] & _MAX_ID),
            b"",
        )
    )
    # The lower half of an Adler-32 is the sum of up to 256 bytes of text, and one; fast.
    total = (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2
    block[148:156] = b"%06o\0 " % total
    return bytes(block)


def pax(name: bytes, records: Mapping[bytes, bytes], mtime: int) -> bytes:
    """Return an extended header for the member `name`, with the blocks of its records."""
    data = b"".join(_record(key, value) for key, value in records.items())
    folder, _, last = name.rstrip(b"/").rpartition(b"/")
    own = (b"%b/PaxHeaders/%b" % (folder or b".", last))[:_NAME]
    return b"".join(
        (header(own, b"x", size=len(data), mtime=mtime), data, bytes(-len(data) % BLOCK))
    )


def records_of(
    entry: Entry, name: bytes, target: bytes, stored: int, pieces: Sequence[tuple[int, int]] | None
) -> dict[bytes, bytes]:
    """Return the pax records that a member needs, most often none.

    `stored` is how many bytes follow its header; `pieces` not None: it has holes between them.
    """
    found: dict[bytes, bytes] = {}
    if pieces is not None:
        found[b"GNU.sparse.major"] = b"1"
        found[b"GNU.sparse.minor"] = b"0"
        found[b"GNU.sparse.name"] = name
        found[b"GNU.sparse.realsize"] = b"%d" % entry.size
    elif len(name) > _NAME:
        found[b"path"] = name
    if len(target) > _NAME:
        found[b"linkpath"] = target
    seconds, fraction = divmod(entry.mtime, _SECOND)
    if fraction or not 0 <= seconds <= _MAX_SIZE:
        found[b"mtime"] = _decimal(entry.mtime)
    if stored > _MAX_SIZE:
        found[b"size"] = b"%d" % stored
    if entry.uid > _MAX_ID:
        found[b"uid"] = b"%d" % entry.uid
    if entry.gid > _MAX_ID:
        found[b"gid"] = b"%d" % entry.gid
    for key, value in entry.xattrs.items():
        _add_attribute(found, key, value)
    return found


def sparse_map(pieces: Sequence[tuple[int, int]], size: int) -> bytes:
    """Return where the data of a file with holes goes, as it stands before the data."""
    rows = [(start, end - start) for start, end in pieces]
    if not rows or pieces[-1][1] < size:
        rows.append((size, 0))
    text = b"%d\n" % len(rows) + b"".join(b"%d\n%d\n" % row for row in rows)
    return text + bytes(-len(text) % BLOCK)


def _add_attribute(found: dict[bytes, bytes], key: str, value: bytes) -> None:
    """Add the records of an attribute: `tar --xattrs`, `--acls` and `--selinux` each read theirs.

    (libarchive too reads ACLs as text only.) curtin unpacks with `--xattrs` alone.
    """
    if key in ("system.posix_acl_access", "system.posix_acl_default"):
        found[b"SCHILY.acl." + key[17:].encode()] = acl_text(value)
    elif key == "security.selinux":
        found[b"RHT.security.selinux"] = value.rstrip(b"\0")
    name = key.encode("utf-8", "surrogateescape")
    found[b"SCHILY.xattr." + name.replace(b"%", b"%25").replace(b"=", b"%3D")] = value


def _decimal(nanoseconds: int) -> bytes:
    sign = b"-" if nanoseconds < 0 else b""
    seconds, fraction = divmod(abs(nanoseconds), _SECOND)
    return (b"%b%d.%09d" % (sign, seconds, fraction)).rstrip(b"0").rstrip(b".")


def _record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3  # a space, an equals sign and a new line
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)
