"""The addresses of boot sources: read, shown, and taken apart into where a stream's files are."""

from __future__ import annotations

import re

import msgspec
from yarl import URL

from mirror.errors import SourceInvalid

_INDEX_FILE = re.compile(r"(?P<base>.*/)(?P<path>streams/v1/[^/]+\.s?json)", re.ASCII)
_ROOT = "streams/v1/index"
_UNREADABLE = "(a URL that can't be read)"


class StreamUrls(msgspec.Struct, frozen=True):
    """Where a stream is: its `base` (ends in a slash) and the index files to try, in order."""

    base: str
    indexes: tuple[str, ...]


def stream_urls(url: str, *, signed: bool = True) -> StreamUrls:
    """Read a boot source's URL: the base of a stream, or the address of one index file."""
    text = str(clean_url(url).with_query(None).with_fragment(None))
    if given := _INDEX_FILE.fullmatch(text):
        return StreamUrls(given["base"], (given["path"],))
    suffixes = (".sjson", ".json") if signed else (".json", ".sjson")
    return StreamUrls(text.rstrip("/") + "/", tuple(_ROOT + suffix for suffix in suffixes))


def clean_url(url: str) -> URL:
    """Parse an http or https URL and take user and password off it. Raises `SourceInvalid`."""
    try:
        parsed = URL(url)
        origin = parsed.origin()
    except ValueError:  # whose message may repeat a password
        raise SourceInvalid(f"{show_url(url)} is not an http or https URL") from None
    if origin.scheme not in {"http", "https"}:
        raise SourceInvalid(f"{show_url(url)} is not an http or https URL")
    return parsed.with_user(None)


def show_url(url: str) -> str:
    """Return `url` as it may be shown: without user and password."""
    try:
        parsed = URL(url)
        if parsed.raw_host:
            return str(parsed.with_user(None))
    except ValueError:
        return _UNREADABLE
    return _UNREADABLE if "@" in url else url  # me:secret@host has no user, as a URL
