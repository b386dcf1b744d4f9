"""Expand compressed data, member by member, in constant memory, from a feed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from mirror.formats.errors import FormatError
from mirror.formats.feed import CHUNK, Feed
from mirror.formats.sniff import SNIFF, compression_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zstandard import ZstdDecompressor

MEMORY = 128 * 1024**2
"""What a stream may ask for to expand it, in bytes: `xz -9` and `zstd --long` are within."""

FEWEST, MEMBER_AT_LEAST, PIECE_AT_LEAST = 10_000, 4096, 256
"""Of so many members or pieces, each must give so many bytes on average: else they are there to
keep us busy. bgzip makes members of 64 KiB, and zstd blocks of some 700 bytes."""

LEGACY_BLOCK = 8 * 1024**2
LEGACY_BLOCK_PACKED = LEGACY_BLOCK + LEGACY_BLOCK // 255 + 16
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_BLOCK = 128 * 1024
ZSTD_DICTIONARY_ID = (0, 1, 2, 4)
ZSTD_CONTENT_SIZE = (0, 2, 4, 8)
ZSTD_REPEATED, ZSTD_RESERVED = 1, 3


class Decompressor(Protocol):
    """What the decompressors of gzip, xz, lzma, bzip2 and lz4 have in common."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether more input must come before more output can."""

    @property
    def unused_data(self) -> bytes | None:
        """What came behind the member's end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take all of `data`, give at most `max_length` bytes."""


def expand(feed: Feed, form: str) -> Iterator[bytes]:
    """Expand the members of one format that follow each other; what comes after stays in the feed.

    No chunk is empty. Raises `FormatError` for damage, for a cut, and for crumbs.
    """
    expand_one = _expander(form)
    members = pieces = total = 0
    while compression_of(feed.peek(SNIFF)) == form:
        members += 1
        if members > FEWEST + total // MEMBER_AT_LEAST:
            raise FormatError(f"has {members:,} pieces of {form} data that hold next to nothing")
        for piece in expand_one(feed):
            pieces += 1
            total += len(piece)
            if pieces > FEWEST + total // PIECE_AT_LEAST:
                raise FormatError(f"has {pieces:,} pieces of {form} data that hold next to nothing")
            if piece:
                yield piece


def _expander(form: str) -> Callable[[Feed], Iterator[bytes]]:
    """Return what expands one member."""
    if form == "zstd":
        import zstandard

        return partial(_expand_zstd, frames=zstandard.ZstdDecompressor(max_window_size=MEMORY))
    if form == "lz4-legacy":
        return _expand_lz4_legacy
    return partial(_expand_member, form=form)


def _expand_member(feed: Feed, form: str) -> Iterator[bytes]:
    decompressor = _DECOMPRESSORS[form]()
    while not decompressor.eof:
        data = b""
        if decompressor.needs_input:
            data = feed.chunk()
            if not data:
                raise _cut(form)
        try:
            piece = decompressor.decompress(data, CHUNK)
        except Exception as error:  # each library has its own classes
            raise _damaged(form, error) from error
        yield piece
        if not piece and not data and not decompressor.needs_input and not decompressor.eof:
            raise _damaged(form, "it neither goes on nor ends")
    feed.unread(decompressor.unused_data or b"")


def _gzip() -> Decompressor:
    from isal import igzip_lib

    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _xz() -> Decompressor:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)


def _lzma() -> Decompressor:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MEMORY)


def _bzip2() -> Decompressor:
    import bz2

    return bz2.BZ2Decompressor()


def _lz4() -> Decompressor:
    from lz4.frame import LZ4FrameDecompressor

    decompressor: Decompressor = LZ4FrameDecompressor()
    return decompressor


_DECOMPRESSORS: dict[str, Callable[[], Decompressor]] = {
    "gzip": _gzip,
    "xz": _xz,
    "lzma": _lzma,
    "bzip2": _bzip2,
    "lz4": _lz4,
}


def _expand_zstd(feed: Feed, frames: ZstdDecompressor) -> Iterator[bytes]:
    """Expand a frame block by block: a block gives at most 128 KiB, whatever it claims.

    The library alone would not say that a frame is cut, nor stop at a bomb.
    """
    from zstandard import ZstdError

    if feed.peek(4) != ZSTD_MAGIC:
        size = int.from_bytes(_exactly(feed, 8, "zstd")[4:], "little")
        if feed.skip(size) < size:
            raise _cut("zstd")
        return
    frame = frames.decompressobj()
    try:
        for block in _zstd_blocks(feed):
            yield frame.decompress(block)
    except (ZstdError, MemoryError) as error:
        raise _damaged("zstd", error) from error
    if not frame.eof:
        raise _damaged("zstd", "a frame that does not end")


def _zstd_blocks(feed: Feed) -> Iterator[bytes]:
    """Split a frame into its header, its blocks and its checksum."""
    head = feed.peek(5)
    if len(head) < 5:
        raise _cut("zstd")
    descriptor = head[4]
    single, checksum = descriptor >> 5 & 1, descriptor >> 2 & 1
    content_size = ZSTD_CONTENT_SIZE[descriptor >> 6] or single
    yield _exactly(feed, 6 - single + ZSTD_DICTIONARY_ID[descriptor & 3] + content_size, "zstd")
    last = 0
    while not last:
        header = int.from_bytes(_exactly(feed, 3, "zstd"), "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == ZSTD_RESERVED or size > ZSTD_BLOCK:
            raise _damaged("zstd", "a block that can't be")
        body = _exactly(feed, 1 if kind == ZSTD_REPEATED else size, "zstd")
        yield header.to_bytes(3, "little") + body
    if checksum:
        yield _exactly(feed, 4, "zstd")


def _expand_lz4_legacy(feed: Feed) -> Iterator[bytes]:
    """Expand blocks of 8 MiB until the file ends, or what follows can't be the size of a block."""
    from lz4 import block

    feed.skip(4)
    while head := feed.peek(4):
        size = int.from_bytes(head, "little")
        if not size or size > LEGACY_BLOCK_PACKED:
            return
        if len(head) < 4:
            raise _cut("lz4")
        feed.skip(4)
        try:
            yield block.decompress(_exactly(feed, size, "lz4"), uncompressed_size=LEGACY_BLOCK)
        except block.LZ4BlockError as error:
            raise _damaged("lz4", error) from error


def _exactly(feed: Feed, size: int, form: str) -> bytes:
    piece = feed.take(size)
    if len(piece) < size:
        raise _cut(form)
    return piece


def _cut(form: str) -> FormatError:
    return FormatError(f"is cut: its {form} data does not end")


def _damaged(form: str, why: Exception | str) -> FormatError:
    return FormatError(f"is damaged: its {form} data can't be expanded ({why})")
