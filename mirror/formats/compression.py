"""Compressed streams: which format, and what they expand to.

Each is expanded in constant memory, to the end of the last of the members that follow each other.
A format that checks its content (gzip, xz, bzip2, most of zstd and lz4) is checked here too.
"""

from __future__ import annotations

import io
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from mirror.formats.errors import FormatError
from mirror.formats.feed import CHUNK, Feed, feed_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer
    from zstandard import ZstdDecompressor

MEMORY = 128 * 1024**2
"""What a stream may ask for to expand it, in bytes: `xz -9` and `zstd --long` are within."""

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


@contextmanager
def decompressed(source: Path | BinaryIO, *, limit: int) -> Iterator[BinaryIO]:
    """Open a file as the bytes that it expands to; one that isn't compressed, as it is.

    Reading raises `FormatError` for damage, a cut, more than `limit` bytes, or anything but zeros
    behind the compressed data: read to the end to know that the file is whole.
    """
    with ExitStack() as stack:
        if isinstance(source, Path):
            source = stack.enter_context(source.open("rb", buffering=0))
        chunks = within(_whole(feed_of(source)), limit)
        raw = stack.enter_context(_Chunks(chunks))
        yield cast("BinaryIO", stack.enter_context(io.BufferedReader(raw, CHUNK)))


def expand(feed: Feed, form: str) -> Iterator[bytes]:
    """Expand the members of one format that follow each other; what comes after stays in the feed.

    No chunk is empty. Raises `FormatError` for damage and for a cut.
    """
    expand_one = _expander(form)
    while compression_of(feed.peek(SNIFF)) == form:
        yield from filter(None, expand_one(feed))


def within(chunks: Iterator[bytes], limit: int, *, before: int = 0) -> Iterator[bytes]:
    """Pass chunks on; raise `FormatError` when they, and what came before, exceed `limit` bytes."""
    total = before
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise FormatError(f"expands to more than {_size(limit)}")
        yield chunk


def _expander(form: str) -> Callable[[Feed], Iterator[bytes]]:
    """Return what expands one member."""
    if form == "zstd":
        import zstandard

        return partial(_expand_zstd, frames=zstandard.ZstdDecompressor(max_window_size=MEMORY))
    if form == "lz4-legacy":
        return _expand_lz4_legacy
    return partial(_expand_member, form=form)


def _whole(feed: Feed) -> Iterator[bytes]:
    form = compression_of(feed.peek(SNIFF))
    if not form:
        while chunk := feed.chunk():
            yield chunk
        return
    yield from expand(feed, form)
    feed.skip_zeros()
    if feed.peek(1):
        raise FormatError(f"has something else behind its {form} data, at byte {feed.position}")


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


def _size(number: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if number % 1024:
            return f"{number} {unit}"
        number //= 1024
    return f"{number} GiB"


class _Chunks(io.RawIOBase):
    """An iterator of chunks as a file; what went wrong once goes wrong again."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._left = memoryview(b"")
        self._failure: FormatError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        if self._failure:
            raise self._failure
        try:
            left = self._left or memoryview(next(self._chunks, b""))
        except FormatError as error:
            self._failure = error
            raise
        room = memoryview(cast("bytearray", buffer))
        size = min(len(left), len(room))
        room[:size] = left[:size]
        self._left = left[size:]
        return size
