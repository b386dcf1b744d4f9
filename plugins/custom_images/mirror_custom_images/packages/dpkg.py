"""The databases of packages that are text: dpkg's, apk's and pacman's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.api import Package
from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

MOST_STATUS = 256 << 20
"""Bytes; a server's has 1 to 2 MB, a desktop's 5."""
_MOST_LINE = 1 << 20
_CHUNK = 1 << 17

_PACMAN = re.compile(r"var/lib/pacman/local/(?P<name>[^/]+)-(?P<version>[^/-]+-[^/-]+)/desc")


def dpkg_packages(stream: BinaryIO) -> Iterator[Package]:
    """Yield what `var/lib/dpkg/status` says is installed, named as `dpkg-query -W` does."""
    for about in _paragraphs(stream, {b"Package", b"Status", b"Version", b"Architecture"}):
        # hold, install or deinstall is what is wanted; the third word is what is.
        state = about.get(b"Status", "").split()
        if state[2:3] == ["installed"]:
            yield _package(_dpkg_name(about), about.get(b"Version", ""))


def apk_packages(stream: BinaryIO) -> Iterator[Package]:
    """Yield what `lib/apk/db/installed` lists."""
    for about in _paragraphs(stream, {b"P", b"V"}):
        if b"P" in about:
            yield _package(about[b"P"], about.get(b"V", ""))


def pacman_package(path: str) -> Package | None:
    """Return the package that a path of pacman's database stands for; None for any other path."""
    found = _PACMAN.fullmatch(path)
    return _package(found["name"], found["version"]) if found else None


def _dpkg_name(about: dict[bytes, str]) -> str:
    name = about.get(b"Package", "")
    if about.get(b"Multi-Arch") == "same":
        return f"{name}:{about.get(b'Architecture', '')}"
    return name


def _paragraphs(stream: BinaryIO, wanted: set[bytes]) -> Iterator[dict[bytes, str]]:
    """Yield the fields of each paragraph; the first of those that come twice."""
    wanted = {*wanted, b"Multi-Arch"}
    about: dict[bytes, str] = {}
    for line in _lines(stream):
        key, colon, value = line.partition(b":")
        if colon and key in wanted:
            about.setdefault(key, value.strip().decode("utf-8", "replace"))
        elif not line.strip():
            yield about
            about = {}
    yield about


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    size, left = 0, b""
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        *lines, left = (left + chunk).split(b"\n")
        if size > MOST_STATUS or len(left) > _MOST_LINE:
            raise FormatError("is longer than any list of packages, or has such a line")
        yield from lines
    yield left


def _package(name: str, version: str) -> Package:
    said = f"{name}{version}"
    if not name or not version or not said.isprintable() or " " in said or len(said) > 512:
        raise FormatError("lists a package whose name or version can't be read")
    return Package(name, version)
