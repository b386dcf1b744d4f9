"""A tar as the blocks that it is made of, so that members can be left out and others stay as is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 512
_END = bytes(BLOCK)
_PIECE = 1024**2
_MOST_EXTENSION = 1024**2
_LONG_NAME, _LONG_TARGET, _PAX, _PAX_OLD, _FOR_ALL, _SPARSE = b"L", b"K", b"x", b"X", b"g", b"S"
_WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")


@dataclass(slots=True)
class _Told:
    """What extension headers say of the member behind them, and the blocks that they are."""

    blocks: bytes = b""
    name: bytes | None = None
    size: int | None = None


def blocks_without(tar: BinaryIO, is_unwanted: Callable[[str], bool]) -> Iterator[bytes]:
    """Yield a tar's blocks, in pieces, but for those of members that are not wanted.

    A name that is asked about has no `./` in front, and no slash behind it. Raises `FormatError`
    where the tar is cut or damaged.
    """
    told = _Told()
    while True:
        block = tar.read(BLOCK)
        if block == _END or (not block and not told.blocks):
            yield from _end(tar, block)
            return
        if len(block) < BLOCK:
            raise FormatError("is cut: a member in it does not end")
        kind = block[156:157]
        if kind in {_LONG_NAME, _LONG_TARGET, _PAX, _PAX_OLD}:
            _learn(told, kind, block, tar)
            continue
        if kind == _FOR_ALL:
            yield block
            yield from _content(tar, _padded(_number(block[124:136])), wanted=True)
            continue
        wanted = not is_unwanted(_name(block, told.name))
        if wanted:
            yield told.blocks + block
        if kind == _SPARSE:
            yield from _map(tar, block, wanted=wanted)
        size = 0
        if kind not in _WITHOUT_CONTENT:
            size = _number(block[124:136]) if told.size is None else told.size
        yield from _content(tar, _padded(size), wanted=wanted)
        told = _Told()


def _end(tar: BinaryIO, block: bytes) -> Iterator[bytes]:
    """Yield the end of the archive, which the first of two empty blocks begins."""
    yield block
    while piece := tar.read(_PIECE):
        yield piece


def _learn(told: _Told, kind: bytes, block: bytes, tar: BinaryIO) -> None:
    size = _number(block[124:136])
    if size + len(told.blocks) > _MOST_EXTENSION:
        raise FormatError(f"has an extension header of {size:,} bytes")
    data = _exactly(tar, _padded(size))
    told.blocks += block + data
    if kind == _LONG_NAME:
        told.name = data[:size].partition(b"\0")[0]
    elif kind in {_PAX, _PAX_OLD}:
        for key, value in _records(data[:size]):
            if key in {b"path", b"GNU.sparse.name"}:
                told.name = value
            elif key == b"size":
                told.size = _decimal(value)


def _records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield pax records: each is its own length, a space, `key=value`, and a newline."""
    at = 0
    while at < len(data):
        head, space, _ = data[at : at + 20].partition(b" ")
        length = _decimal(head)
        record = data[at + len(head) + 1 : at + length - 1]
        key, equals, value = record.partition(b"=")
        if not space or not equals or length < len(head) + 3:
            raise FormatError("is damaged: a pax record in it is none")
        yield key, value
        at += length


def _map(tar: BinaryIO, block: bytes, *, wanted: bool) -> Iterator[bytes]:
    """Yield the blocks that say where a file of GNU tar has holes, those behind its header."""
    more = block[482]
    while more:
        block = _exactly(tar, BLOCK)
        if wanted:
            yield block
        more = block[504]


def _content(tar: BinaryIO, size: int, *, wanted: bool) -> Iterator[bytes]:
    while size:
        piece = _exactly(tar, min(size, _PIECE))
        if wanted:
            yield piece
        size -= len(piece)


def _exactly(tar: BinaryIO, size: int) -> bytes:
    data = tar.read(size)
    if len(data) < size:
        raise FormatError("is cut: a member in it does not end")
    return data


def _name(block: bytes, told: bytes | None) -> str:
    raw = told
    if raw is None:
        raw = block[:100].partition(b"\0")[0]
        prefix = block[345:500].partition(b"\0")[0]
        if block[257:263] == b"ustar\0" and prefix:
            raw = prefix + b"/" + raw
    parts = raw.decode("utf-8", "surrogateescape").split("/")
    return "/".join(part for part in parts if part not in {"", "."})


def _padded(size: int) -> int:
    return size + -size % BLOCK


def _decimal(raw: bytes) -> int:
    if not raw.isdigit() or len(raw) > 20:
        raise FormatError(f"is damaged: {raw[:20]!r} in it is no number")
    return int(raw)


def _number(raw: bytes) -> int:
    """Read a size: octal, or of the bytes themselves where the first bit says so."""
    if raw[0] & 0x80:
        size = int.from_bytes(raw, "big") & ((1 << 95) - 1)
        if size >= 1 << 63:
            raise FormatError("is damaged: a member in it has a size that can't be")
        return size
    digits = raw.strip(b"\0 ")
    if digits.strip(b"01234567"):
        raise FormatError(f"is damaged: {digits[:20]!r} in it is no size")
    return int(digits or b"0", 8)
