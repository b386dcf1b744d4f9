"""Headers of packages, as databases of rpm keep them: an index of tags, and the data behind it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mirror.api import Package
from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_TAGS = 65_535
"""rpm itself takes no more in one header."""
MOST_BYTES = 32 << 20
"""Bytes of a header; the largest that are known, of kernels with all their files, have 5 MB."""

_LENGTHS = struct.Struct(">II")
_TAG = struct.Struct(">IIII")
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH = 1000, 1001, 1002, 1003, 1022
_WANTED = {_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH}
_INT32, _STRING, _STRING_LIST, _TRANSLATED = 4, 6, 8, 9
_LONGEST = 255
_KEY = "gpg-pubkey"
"""What rpm lists a signing key as; it is no package."""


def packages_of(headers: Iterable[bytes]) -> Iterator[Package]:
    """Yield the package of each header: `NAME.ARCH`, `[EPOCH:]VERSION-RELEASE`."""
    for header in headers:
        package = package_of(header)
        if package is not None:
            yield package


def package_of(header: bytes) -> Package | None:
    """Read one header; None for a signing key. Raises `FormatError` where it is none."""
    tags = _tags(header)
    name, version, release = (tags.get(tag, "") for tag in (_NAME, _VERSION, _RELEASE))
    if not name or not version or not release:
        raise FormatError("has a header of a package without a name or a version")
    if name == _KEY:
        return None
    arch = f".{tags[_ARCH]}" if _ARCH in tags else ""
    epoch = f"{tags[_EPOCH]}:" if tags.get(_EPOCH, "0") != "0" else ""
    return Package(name + arch, f"{epoch}{version}-{release}")


def _tags(header: bytes) -> dict[int, str]:
    if len(header) < _LENGTHS.size:
        raise FormatError("has a header of a package that is cut")
    count, size = _LENGTHS.unpack_from(header)
    if count > MOST_TAGS or size > MOST_BYTES:
        raise FormatError(f"has a header of a package with {count:,} tags and {size:,} bytes")
    start = _LENGTHS.size + count * _TAG.size
    if start + size > len(header):
        raise FormatError("has a header of a package that is cut")
    found: dict[int, str] = {}
    for tag, kind, offset, _ in _TAG.iter_unpack(header[_LENGTHS.size : start]):
        if tag in _WANTED:
            found[tag] = _value(header, start + offset, start + size, kind)
    return found


def _value(header: bytes, at: int, end: int, kind: int) -> str:
    if kind == _INT32 and at + 4 <= end:
        return str(int.from_bytes(header[at : at + 4], "big"))
    if kind not in {_STRING, _STRING_LIST, _TRANSLATED}:
        raise FormatError("has a header of a package that can't be read")
    stop = header.find(b"\0", at, min(end, at + _LONGEST + 1))
    text = header[at:stop].decode("ascii", "replace") if stop >= 0 else ""
    if not text or not text.isprintable() or " " in text:
        raise FormatError("has a package whose name or version can't be read")
    return text
