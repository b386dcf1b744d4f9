"""Read a tar archive once, as a stream, in constant memory: ustar, GNU's and pax headers, holes.

An archive is hostile until it is read to its end. What is harmful to whoever unpacks it is said of
the member (`climbs`, `links_out`); an archive that can't be read raises `FormatError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Literal, cast

import msgspec

from mirror.formats.compression import expanded
from mirror.formats.errors import FormatError
from mirror.formats.tar_headers import (
    BLOCK,
    DEVICES,
    GROUP,
    USER,
    Header,
    Pieces,
    check_pieces,
    decimal,
    device_of,
    holes_of_block,
    holes_of_header,
    owner,
    pax_records,
    read_header,
    seconds,
    sums_up,
    text,
    time_of,
    xattr_of,
)
from mirror.formats.tar_stream import Body, Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_MEMBERS = 1_000_000
"""A root file system has some 50,000."""

_MAX_EXTENSION = 1 << 20
"""Bytes of a long name, of pax records, of a map of holes; two names have at most 8192."""
_MAX_ALL_EXTENSIONS = 64 << 20
"""Bytes of them all, which take seconds to read: the labels of 100,000 files have some 10 MB."""
_MAX_EXTENSIONS = 8
"""Headers in a row that belong to the member after them."""
_MAX_NAME = 4096
"""Bytes: no path on Linux is longer."""

_ZEROS = bytes(BLOCK)
_LONG_NAME, _LONG_TARGET, _FOR_ALL, _SPARSE = b"L", b"K", b"g", b"S"
_EXTENSIONS = (_LONG_NAME, _LONG_TARGET, _FOR_ALL, b"x", b"X")
_FILES = (b"0", b"\0", b"7", _SPARSE)
_PAX_SPARSE = b"GNU.sparse."

Kind = Literal["file", "dir", "symlink", "hardlink", "device", "other"]

_WITHOUT_CONTENT: dict[bytes, Kind] = {
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "device",
    b"4": "device",
    b"5": "dir",
    b"6": "other",
}
"""Kinds that no content follows, whatever size the header says; GNU tar has it so."""


class Member(msgspec.Struct, frozen=True, gc=False):
    """One member.

    `name` has no leading `./`, no `//` and no last slash; `.` is the root of the archive. `kind` is
    `file`, `dir`, `symlink`, `hardlink`, `device` or `other`: FIFOs, and whatever has a letter that
    is not known. `size` is in bytes, with holes; `mode` are the permission bits; `target` is where
    a link points.

    Only where `read_archive` was asked for attributes: `letter` is that of its kind in the header
    (`3` is a character device, `4` one of blocks, `6` a FIFO), `mtime` is in nanoseconds, `device`
    is (major, minor), and `xattrs` are extended attributes by their full names, with values as the
    kernel has them.
    """

    name: str
    kind: Kind
    size: int
    mode: int
    target: str = ""
    letter: str = ""
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, bytes] = {}

    @property
    def climbs(self) -> bool:
        """Whether the name leads out of the directory that the archive is unpacked in."""
        return self.name.startswith("/") or (".." in self.name and ".." in self.name.split("/"))

    @property
    def links_out(self) -> bool:
        """Whether it is a link to somewhere outside of the archive; any absolute one is."""
        if self.target.startswith("/"):
            return True
        # A symbolic link starts at its own directory, a hard link at the root.
        depth = self.name.count("/") if self.kind == "symlink" else 0
        for part in self.target.split("/"):
            depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
            if depth < 0:
                return True
        return False


def read_archive(
    file: Path | BinaryIO, *, limit: int, members: int = MAX_MEMBERS, attributes: bool = False
) -> Iterator[tuple[Member, BinaryIO]]:
    """Read the members of an archive that is compressed in any way that is known, or not at all.

    Each comes with a stream of its content, which lasts until the next one is asked for. With
    `attributes`, owners, times, devices and extended attributes are read, too. Raises
    `FormatError` when the archive is damaged or cut anywhere, expands to more than `limit` bytes,
    or has more than that many `members`: only who reads to the last member knows that it is whole.
    """
    with expanded(file, limit=limit) as chunks:
        yield from _read(Source(chunks), limit, members, attributes=attributes)


def _read(
    source: Source, limit: int, members: int, *, attributes: bool
) -> Iterator[tuple[Member, BinaryIO]]:
    count = 0
    while (
        found := _next_member(source, limit, attributes=attributes, first=not count)
    ) is not None:
        count += 1
        if count > members:
            raise FormatError(f"has more than {members:,} members")
        member, body, end = found
        yield member, cast("BinaryIO", body)
        body.close()
        source.skip_to(end)
    source.check_the_rest_is_zeros()


class _Told(msgspec.Struct, gc=False):
    """What extension headers say of the member that follows them."""

    name: bytes | None = None
    target: bytes | None = None
    size: int | None = None
    sparse: dict[bytes, bytes] = {}
    numbers: list[int] = []
    """Of the oldest map of holes in pax records: offset, length, offset, length ..."""
    attributes: dict[str, int] | None = None
    """Attributes that replace those of the header; None where nobody asked for them."""
    xattrs: dict[str, bytes] = {}


def _next_member(
    source: Source, limit: int, *, attributes: bool, first: bool
) -> tuple[Member, Body, int] | None:
    """Return the next member, its content and where that ends; None at the end of the archive."""
    told = _Told(attributes={} if attributes else None)
    for extensions in range(_MAX_EXTENSIONS + 1):
        block = source.take(BLOCK)
        if block == _ZEROS:
            if extensions:
                raise FormatError("is damaged: a header in it belongs to no member")
            return None
        header = _first_header(block, source) if first and not extensions else read_header(block)
        if header.kind not in _EXTENSIONS:
            return _member(header, block, told, source, limit)
        _learn(told, header, source)
    raise FormatError(f"has more than {_MAX_EXTENSIONS} extension headers in a row")


def _first_header(block: bytes, source: Source) -> Header:
    if sums_up(block):
        return read_header(block)
    if block.endswith(b"\x55\xaa") or source.some(8) == b"EFI PART":
        raise FormatError("is a disk image, not a tar archive")
    raise FormatError("is not a tar archive")


def _learn(told: _Told, header: Header, source: Source) -> None:
    if header.size > _MAX_EXTENSION:
        raise FormatError(f"has an extension header of {header.size:,} bytes")
    _spend(source, header.size)
    data = source.take(header.size)
    source.take(-header.size % BLOCK)
    if header.kind == _LONG_NAME:
        told.name = text(data)
    elif header.kind == _LONG_TARGET:
        told.target = text(data)
    else:
        _learn_pax(told, data, for_all=header.kind == _FOR_ALL)


def _spend(source: Source, count: int) -> None:
    """Count what is read beside names and content; nobody needs much of it."""
    source.spent += count
    if source.spent > _MAX_ALL_EXTENSIONS:
        raise FormatError(f"has more than {_MAX_ALL_EXTENSIONS:,} bytes of extension headers")


def _learn_pax(told: _Told, data: bytes, *, for_all: bool) -> None:
    """Take what matters out of pax records; owners, times, labels and attributes do not."""
    for key, value in pax_records(data):
        sparse = key.startswith(_PAX_SPARSE)
        if told.attributes is not None and not for_all:
            _learn_attribute(told, told.attributes, key, value)
        if not sparse and key not in {b"path", b"linkpath", b"size"}:
            continue
        if for_all:
            raise FormatError(f"has a header that gives every member the same {key!r}")
        if key == b"path":
            told.name = value
        elif key == b"linkpath":
            told.target = value
        elif key == b"size":
            told.size = decimal(value, "size")
        elif key in {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}:
            told.numbers.append(decimal(value, "map"))
        else:
            told.sparse[key.removeprefix(_PAX_SPARSE)] = value


def _learn_attribute(told: _Told, into: dict[str, int], key: bytes, value: bytes) -> None:
    if key in {b"uid", b"gid"}:
        into[key.decode()] = decimal(value, "owner")
    elif key == b"mtime":
        into["mtime"] = seconds(value)
    elif b"." in key and (found := xattr_of(key, value)) is not None:
        told.xattrs[found[0]] = found[1]


def _member(
    header: Header, block: bytes, told: _Told, source: Source, limit: int
) -> tuple[Member, Body, int]:
    raw = told.sparse.get(b"name", told.name)
    name = _name(header.name if raw is None else raw)
    target = header.target if told.target is None else told.target
    kind = _kind(header, name)
    name = _plain(name)
    if kind in {"symlink", "hardlink"} and not target:
        raise FormatError(f"is damaged: the link {_shown(name)} has no target")
    stored = 0
    if kind in {"file", "other"} and header.kind not in _WITHOUT_CONTENT:
        stored = header.size if told.size is None else told.size
    if stored > limit:
        raise FormatError(f"expands to more than {limit:,} bytes: {_shown(name)} has {stored:,}")
    size, pieces, data = stored, None, stored
    if kind == "file":
        size, pieces, data = _with_holes(header, block, told, source, stored)
    end = source.position + data + -data % BLOCK
    links = kind in {"symlink", "hardlink"}
    member = Member(name, kind, size, header.mode, _name(target) if links else "")
    if told.attributes is not None:
        member = _with_attributes(member, header, block, told)
    return member, Body(source, size, pieces, limit), end


def _with_attributes(plain: Member, header: Header, block: bytes, told: _Told) -> Member:
    """Return the member with what its header says beside; what pax records say goes before that."""
    said = told.attributes or {}
    return Member(
        plain.name,
        plain.kind,
        plain.size,
        plain.mode,
        plain.target,
        header.kind.decode("latin-1"),
        said["uid"] if "uid" in said else owner(block[USER]),
        said["gid"] if "gid" in said else owner(block[GROUP]),
        said["mtime"] if "mtime" in said else time_of(block) * 10**9,
        device_of(block) if header.kind in DEVICES else (0, 0),
        told.xattrs,
    )


def _kind(header: Header, name: str) -> Kind:
    # A directory of the oldest archives is a file whose name ends with a slash.
    if header.kind in {b"\0", b"0"} and name.endswith("/"):
        return "dir"
    return "file" if header.kind in _FILES else _WITHOUT_CONTENT.get(header.kind, "other")


def _with_holes(
    header: Header, block: bytes, told: _Told, source: Source, stored: int
) -> tuple[int, Pieces | None, int]:
    """Return the size of a file, its pieces if it has holes, and how many bytes of data follow."""
    about = told.sparse
    if header.kind == _SPARSE:
        pieces, size, more = holes_of_header(block)
        while more:
            _spend(source, BLOCK)
            following, more = holes_of_block(source.take(BLOCK))
            pieces += following
            if len(pieces) * 24 > _MAX_EXTENSION:
                raise FormatError("has a file with too many holes")
    elif about.get(b"major", b"0") != b"0":
        size = decimal(about.get(b"realsize", b""), "size")
        before = source.position
        pieces = _map_before_data(source, stored)
        _spend(source, source.position - before)
        stored -= source.position - before
    elif b"size" in about:
        size = decimal(about[b"size"], "size")
        numbers = told.numbers
        if b"map" in about:
            numbers = [decimal(each, "map") for each in about[b"map"].split(b",")]
        pieces = _pairs(numbers)
    else:
        return stored, None, stored
    return size, check_pieces(pieces, stored, size), stored


def _map_before_data(source: Source, stored: int) -> list[tuple[int, int]]:
    """Read the map of holes that stands before the data: a number a line, in whole blocks."""
    lines: list[bytes] = [b""]
    most = min(stored, _MAX_EXTENSION)
    for _ in range(0, most - BLOCK + 1, BLOCK):
        first, *others = source.take(BLOCK).split(b"\n")
        lines[-1] += first
        lines += others
        count = decimal(lines[0], "map") if len(lines) > 1 else 0
        if len(lines) > 1 + 2 * count and len(lines) > 1:
            return _pairs([decimal(each, "map") for each in lines[1 : 1 + 2 * count]])
    raise FormatError("is damaged: a file with holes has no map of them")


def _pairs(numbers: list[int]) -> list[tuple[int, int]]:
    if len(numbers) % 2:
        raise FormatError("is damaged: a map of holes is cut")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _name(raw: bytes) -> str:
    if not raw or len(raw) > _MAX_NAME or b"\0" in raw:
        raise FormatError(f"is damaged: a name in it is no name: {raw[:40]!r}")
    return raw.decode("utf-8", "surrogateescape")


def _plain(name: str) -> str:
    """Return the name as there is only one: without `./`, `//` and the last slash."""
    short = name.removeprefix("./").removesuffix("/")
    if short[:1] in {"", ".", "/"} or "//" in short or "/." in short or short.endswith("/"):
        root = "/" if name.startswith("/") else ""
        parts = [part for part in name.split("/") if part not in {"", "."}]
        return root + "/".join(parts) or "."
    return short


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 80 else f"{name[:80]}...")
