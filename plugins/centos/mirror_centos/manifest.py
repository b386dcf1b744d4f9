"""The packages of an image, from its manifest: what `rpm -qa` prints, a package a line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.api import Package
from mirror.formats import FormatError, read_text

if TYPE_CHECKING:
    from pathlib import Path

MAX_SIZE = 4 << 20
"""Bytes: a manifest of CentOS has some 15 kB."""
MAX_PACKAGES = 50_000
MAX_LINE = 1000
"""Characters."""

_RPM = re.compile(r"(?P<name>.+)-(?P<version>[^-]+-[^-]+?)(?P<arch>\.[a-z]\w+)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~_-]*")
_WORDS = re.compile(r"[\t ]+")


def read_manifest(file: Path) -> list[Package]:
    """Return the packages in the order of the file; the architecture is part of a name.

    A line is `name-version-release.arch`, or a name and a version with space between. Raises
    `FormatError`.
    """
    return parse_manifest(manifest_text(file))


def manifest_text(file: Path) -> str:
    """Return a manifest as text; one that is too long is refused by who parses it.

    Raises `FormatError` where it is no text.
    """
    return read_text(file, limit=MAX_SIZE)


def parse_manifest(content: str) -> list[Package]:
    """Do what `read_manifest` does, for its text."""
    if len(content) > MAX_SIZE:
        raise FormatError(f"has more than {MAX_SIZE:,} bytes")
    packages = []
    for number, line in enumerate(content.split("\n"), start=1):
        if stripped := line.strip(" \t\r"):
            packages.append(_package(stripped, number))
        if len(packages) > MAX_PACKAGES:
            raise FormatError(f"lists more than {MAX_PACKAGES:,} packages")
    if not packages:
        raise FormatError("lists no package")
    return packages


def _package(line: str, number: int) -> Package:
    if len(line) > MAX_LINE or not line.replace("\t", " ").isprintable():
        raise FormatError(f"has a line {number} that is too long, or no text")
    name, *version = _WORDS.split(line)
    rpm = None if version else _RPM.fullmatch(line)
    if rpm is not None:
        name, version = rpm["name"] + (rpm["arch"] or ""), [rpm["version"]]
    if len(version) != 1 or not _NAME.fullmatch(name):
        raise FormatError(f"has a line {number} that is no package: {line[:60]!r}")
    return Package(name, version[0])
