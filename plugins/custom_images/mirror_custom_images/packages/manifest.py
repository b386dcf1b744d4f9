r"""The manifest of an image: what MAAS 3.7 and newer asks for beside it.

A line is `name<TAB>version`, as manifests of Ubuntu have it. An image in which no database of
packages can be read has a list instead, which begins with `# ` and says what it is: of its files
(`path<TAB>size`), or of what is known of it (`name<TAB>value`). Same image, same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.api import Package
from mirror.formats import FormatError, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAX_SIZE = 16 << 20
"""Bytes: of 3,000 packages it has some 120 kB."""
MAX_PACKAGES = 50_000
MAX_FILES = 100_000
"""Files that are listed where there are no packages."""

_LISTS_FILES = "# No list of packages can be read in this image; these are its files."
_LISTS_FACTS = "# No list of packages can be read in this image; this is what is known of it."
_NOT_PACKAGES = "# No list of packages"


class Manifest(msgspec.Struct, frozen=True):
    """The text of a manifest, and what could not be read on the way to it.

    `faults` are clauses about databases: path -> `is cut: ...`.
    """

    text: str
    packages: int
    faults: dict[str, str] = {}

    def write(self, file: Path) -> None:
        """Write it."""
        file.write_bytes(self.text.encode("utf-8"))


def package_manifest(packages: Iterable[Package]) -> str:
    """Return the text of a list of packages, each once and in order."""
    lines = sorted({f"{each.name}\t{each.version}\n" for each in packages})
    return "".join(lines)


def file_manifest(files: Iterable[tuple[str, int]], *, more: int = 0) -> str:
    """Return the text of a list of (path, size in bytes); `more` is how many it leaves out."""
    lines = sorted(f"{shown_path(path)}\t{size}\n" for path, size in files)
    left_out = f"# {more:,} more are left out.\n" if more else ""
    return f"{_LISTS_FILES}\n{left_out}{''.join(lines)}"


def facts_manifest(facts: Mapping[str, str]) -> str:
    """Return the text of what is known of an image that has no packages: Windows, ESXi, squashfs.

    The facts stay in their order: `os`, `version`, `build` ...
    """
    lines = (f"{shown_path(name)}\t{shown_path(value)}\n" for name, value in facts.items())
    return f"{_LISTS_FACTS}\n{''.join(lines)}"


def read_manifest(file: Path) -> tuple[Package, ...]:
    """Return the packages that a manifest lists; none where it says that it lists something else.

    Raises `FormatError` where it is no manifest.
    """
    text = read_text(file, limit=MAX_SIZE)
    if len(text) > MAX_SIZE:
        raise FormatError(f"has more than {MAX_SIZE:,} bytes")
    if text.startswith(_NOT_PACKAGES):
        return ()
    packages: list[Package] = []
    for number, line in enumerate(text.splitlines(), start=1):
        name, tab, version = line.partition("\t")
        if not (name and tab and version) or " " in name or not (name + version).isprintable():
            raise FormatError(f"has no package and its version in line {number}: {line[:40]!r}")
        packages.append(Package(name, version))
        if number > MAX_PACKAGES:
            raise FormatError(f"lists more than {MAX_PACKAGES:,} packages")
    return tuple(packages)


def shown_path(path: str) -> str:
    """Return a path in one line of ASCII or printable UTF-8; what else is in it is escaped."""
    if path.isprintable() and "\\" not in path:
        return path
    raw = path.encode("utf-8", "surrogateescape")
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )
