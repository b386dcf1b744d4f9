"""A tar archive as entries: what every check and every writer takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.formats import read_archive
from mirror_custom_images.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from mirror.formats import Member
    from mirror_custom_images.entries import Kind

MOST = 64 << 30
"""Bytes that an archive may expand to."""
MOST_MEMBERS = 1_000_000
"""A root file system has some 100,000."""

_NAMED_BY_LETTER = {"device", "other"}
_SPECIAL: dict[str, Kind] = {"3": "char", "4": "block", "6": "fifo"}


def read_tar(
    file: Path | BinaryIO, *, limit: int = MOST, members: int = MOST_MEMBERS
) -> Iterator[Entry]:
    """Read a tar archive, compressed in any way, once and to its end.

    A name that is absolute or climbs stays as it is. Raises `FormatError` where the archive is
    damaged or cut anywhere, expands to more than `limit` bytes, or has more than `members`.
    """
    for member, body in read_archive(file, limit=limit, members=members, attributes=True):
        yield entry_of(member, body)


def entry_of(member: Member, body: BinaryIO) -> Entry:
    """Return what a member is; one of a kind that nobody knows is a file, as tar unpacks it."""
    kind = member.kind
    return Entry(
        path=member.name,
        kind=_SPECIAL.get(member.letter, "file") if kind in _NAMED_BY_LETTER else kind,  # type: ignore[arg-type]
        size=member.size,
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        mtime=member.mtime,
        target=member.target,
        device=member.device,
        xattrs=member.xattrs,
        open=lambda: body,
    )
