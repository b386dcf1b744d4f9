"""The manifest of an image: its packages, as dpkg and snap list them.

A line is `package<TAB>version`, `package:arch<TAB>version` or `snap:name<TAB>track<TAB>revision`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.api import Package
from mirror.formats import FormatError, read_text

if TYPE_CHECKING:
    from pathlib import Path

MAX_SIZE = 4 << 20
"""Bytes: a server's manifest has some 30 kB."""
MAX_PACKAGES = 50_000
MAX_LINE = 1000

_KERNEL = re.compile(r"linux-image-(?:unsigned-)?(?P<version>\d[^:]*)(?::.*)?")
_is_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~_-]*", re.ASCII).fullmatch
_split = re.compile(r"[\t ]+").split


def read_manifest(file: Path) -> tuple[Package, ...]:
    """Return the packages that a manifest lists, each once.

    Raises `FormatError` where it is no list of packages, or lists none.
    """
    return parse_manifest(manifest_text(file))


def manifest_text(file: Path) -> str:
    """Return a manifest as text; one that is too long is refused by who parses it.

    Raises `FormatError` where it is no text.
    """
    return read_text(file, limit=MAX_SIZE)


def parse_manifest(content: str) -> tuple[Package, ...]:
    """Do what `read_manifest` does, for its text."""
    if len(content) > MAX_SIZE:
        raise FormatError(f"has more than {MAX_SIZE:,} bytes")
    packages: dict[Package, None] = {}
    for number, line in enumerate(content.split("\n"), start=1):
        stripped = line.strip(" \r")
        if not stripped.strip("\t"):
            continue
        package = _parse_line(stripped, number)
        if package is not None:
            packages[package] = None
        if len(packages) > MAX_PACKAGES:
            raise FormatError(f"lists more than {MAX_PACKAGES:,} packages")
    if not packages:
        raise FormatError("lists no package")
    return tuple(packages)


def kernels_in(packages: tuple[Package, ...]) -> set[str]:
    """Return the versions (`6.8.0-64-generic`) of the kernels that are installed."""
    found = (_KERNEL.fullmatch(package.name) for package in packages)
    return {each["version"] for each in found if each}


def _parse_line(line: str, number: int) -> Package | None:
    """Read a line; None for a package that dpkg knows and that is not installed: no version."""
    if len(line) > MAX_LINE:
        raise FormatError(f"has a line {number} of more than {MAX_LINE} characters")
    if not line.replace("\t", " ").isprintable():
        raise FormatError(f"has characters in line {number} that are no text")
    name, *version = _split(line)
    if not _is_name(name) or len(version) not in {1, 2}:
        raise FormatError(f"has no package and its version in line {number}: {line[:40]!r}")
    said = " ".join(version).strip()
    return Package(name, said) if said else None
