"""What is certainly no image at all: nothing, zeros, or the page of a captive portal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.formats.errors import FormatError

if TYPE_CHECKING:
    from pathlib import Path

HEAD_SIZE = 4096
"""Bytes: so much of a file `check_content` looks at, and `check_head` wants."""
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
PAGE_STARTS = (
    "<!doctype html",
    "<html",
    "<head",
    "<body",
    "<title",
    "<meta",
    "<script",
    "<!--",
)


def check_content(file: Path) -> None:
    """Look at the first 4 KiB of a file.

    Raises `FormatError` where they are nothing, only zeros, or a web page.
    """
    with file.open("rb") as stream:
        check_head(stream.read(HEAD_SIZE))


def check_head(head: bytes) -> None:
    """Do what `check_content` does, for bytes that were read already."""
    if not head:
        raise FormatError("is empty")
    if not head[:HEAD_SIZE].strip(b"\0"):
        raise FormatError("begins with zeros and nothing else")
    start = _text(head[:HEAD_SIZE]).lstrip().lower()
    if start.startswith(PAGE_STARTS):
        raise FormatError("is a web page")
    if start.startswith("<?xml"):
        raise FormatError("is a web page" if "<html" in start else "is an XML document")


def _text(head: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "replace")
    return head.decode("latin-1")
