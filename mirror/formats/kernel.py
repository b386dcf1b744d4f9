"""Kernel images: is it one, for which architecture, is it whole, and which version is it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from mirror.formats.compression import within
from mirror.formats.errors import FormatError
from mirror.formats.expand import expand
from mirror.formats.feed import Feed, feed_of
from mirror.formats.head import check_head
from mirror.formats.kernel_headers import Layout, after_uimage, layout_of
from mirror.formats.sniff import SNIFF, compression_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD_SIZE = 1024**2
LIMIT = 1024**3
"""What a compressed kernel may expand to, in bytes."""

QUICK = {"gzip", "zstd", "lz4", "lz4-legacy"}
"""Payloads that are expanded for the version; xz and lzma cost a second and more."""

BANNER = re.compile(rb"Linux version (\d[!-~]{0,127}) \(")
BANNER_START = b"Linux version "
BANNER_SIZE = 160


@dataclass(frozen=True)
class KernelImage:
    """A kernel.

    `arch` is Debian's name of the architecture, '' for an old kernel of x86 that doesn't say;
    `form` is `bzImage`, `zImage`, `arm64 Image`, `riscv Image`, `EFI zboot`, `EFI stub`, `ELF` or
    `s390 Image`;
    `compression` is of the file as a whole (`gzip` for the kernels of arm64 in Ubuntu). `version`
    is '' where the image doesn't say, or only in a part that is packed with xz or lzma, which costs
    too much to look at.
    """

    arch: str
    form: str
    version: str
    compression: str = ""


def read_kernel(file: Path) -> KernelImage:
    """Read a kernel image to its end.

    Raises `FormatError` where it is none, is cut, or expands to more than 1 GiB.
    """
    with file.open("rb", buffering=0) as stream:
        return read_kernel_stream(stream)


def read_kernel_stream(stream: BinaryIO) -> KernelImage:
    """Do what `read_kernel` does, from an open file."""
    feed = Feed(within(feed_of(stream).chunks(), LIMIT))
    if after_uimage(feed) not in {"", "kernel"}:
        raise FormatError("is no kernel: it is another image of U-Boot's")
    form = compression_of(feed.peek(SNIFF))
    if not form:
        return _read(feed)
    return replace(_read(Feed(within(expand(feed, form), LIMIT))), compression=form)


def _read(feed: Feed) -> KernelImage:
    head = feed.peek(HEAD_SIZE)
    check_head(head)
    layout = layout_of(head)
    if layout is None:
        raise FormatError("is no kernel of any kind that is known")
    if layout.version is not None:
        version = layout.version
    elif layout.payload:
        version = _version_in_payload(feed, layout)
    else:
        version = _banner(feed)
    tail = _read_to_end(feed)
    if feed.position < layout.extent:
        raise FormatError(f"is cut: {feed.position} bytes of {layout.extent}")
    if layout.trailer not in tail:
        raise FormatError(f"is cut: {feed.position} bytes, and the mark at its end is missing")
    return KernelImage(layout.arch, layout.form, version)


def _version_in_payload(feed: Feed, layout: Layout) -> str:
    feed.skip(layout.payload)
    form = compression_of(feed.peek(SNIFF))
    packed = Feed(_part(feed, layout.payload_size)) if layout.payload_size else feed
    if not form:
        return _banner(packed)
    if form not in QUICK:
        return ""
    return _banner(Feed(within(expand(packed, form), LIMIT)))


def _part(feed: Feed, size: int) -> Iterator[bytes]:
    while size and (chunk := feed.chunk()):
        if len(chunk) > size:
            feed.unread(chunk[size:])
            chunk = chunk[:size]
        size -= len(chunk)
        yield chunk


def _read_to_end(feed: Feed) -> bytes:
    """Return the last part of a file: two chunks, a signature included."""
    tail: tuple[bytes, bytes] = b"", b""
    while chunk := feed.chunk():
        tail = tail[1], chunk
    return b"".join(tail)


def _banner(feed: Feed) -> str:
    """Look for what the kernel says of itself when it starts; '' where it is nowhere."""
    before = b""
    version = ""
    while chunk := feed.chunk():
        if not version:
            seen = before + chunk
            if BANNER_START in seen and (found := BANNER.search(seen)):
                version = found.group(1).decode("ascii")
            before = chunk[-BANNER_SIZE:]
    return version
