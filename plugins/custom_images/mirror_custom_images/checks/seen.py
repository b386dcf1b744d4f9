"""What checks are given: an entry whose content several of them may look at, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from mirror.api import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirror.api import Product
    from mirror_custom_images.checks.os_release import System
    from mirror_custom_images.entries import Entry

MOST_TEXT = 256 << 10
"""Bytes of a file that are read as text."""

_MERGED = ("bin/", "sbin/", "lib/", "lib64/", "lib32/", "libx32/")


def plain(path: str) -> str:
    """Return a path as if /usr were not merged: the same for `bin/sh` and `usr/bin/sh`."""
    if path.startswith("usr/") and path.startswith(_MERGED, 4):
        return path[4:]
    return path


class Seen:
    """An entry, the path of which is as `plain` has it; content that was read once is kept."""

    __slots__ = ("_data", "_stream", "entry", "path")

    def __init__(self, path: str, entry: Entry) -> None:
        self.path = path
        self.entry = entry
        self._stream: BinaryIO | None = None
        self._data = b""

    def head(self, size: int) -> bytes:
        """Return the first bytes of a file; none of anything else."""
        if self.entry.kind != "file":
            return b""
        if len(self._data) < size:
            self._data += self.stream().read(size - len(self._data))
        return self._data[:size]

    def text(self) -> str:
        """Return the start of a file as text: up to 256 KiB."""
        return self.head(MOST_TEXT).decode("utf-8", "replace")

    def stream(self) -> BinaryIO:
        """Return the content that nobody has read yet."""
        if self._stream is None:
            self._stream = self.entry.open()
        return self._stream


@dataclass(frozen=True, kw_only=True)
class Image:
    """What findings depend on: the product, how to name a place in it, and what the image is.

    `hooks` says whether it has curtin hooks of its own, which may do everything in their way.
    """

    product: Product
    where: Callable[[str], str]
    system: System
    hooks: bool

    def error(self, code: str, path: str, what: str) -> Finding:
        """Say what is certainly wrong."""
        return self.finding(Severity.ERROR, code, path, what)

    def warning(self, code: str, path: str, what: str) -> Finding:
        """Say what an operator should look at."""
        return self.finding(Severity.WARNING, code, path, what)

    def note(self, code: str, path: str, what: str) -> Finding:
        """Say what is good to know."""
        return self.finding(Severity.NOTE, code, path, what)

    def finding(self, severity: Severity, code: str, path: str, what: str) -> Finding:
        """Say anything; `path` '' is the image as a whole."""
        return Finding(severity, f"custom-images-{code}", self.where(shown(path)), what)


class Topic(Protocol):
    """One thing that is checked: it sees the entries below its places, and judges at the end.

    `places` are the first parts of the paths that it wants, as `plain` has them.
    """

    @property
    def places(self) -> tuple[str, ...]:
        """The directories at the top that it wants to see."""
        ...

    def see(self, seen: Seen) -> None:
        """Take what matters of an entry."""
        ...

    def findings(self, image: Image) -> Iterator[Finding]:
        """Judge, when everything was seen."""
        ...


def shown(text: str) -> str:
    """Return text as it may be shown: in printable ASCII, cut where it is long."""
    return ascii(text[:100])[1:-1] + ("..." if len(text) > 100 else "")


def joined(folder: str, target: str) -> str:
    """Return where a link in `folder` points, as a path from the root, above which nothing is."""
    parts: list[str] = []
    for part in target.split("/") if target.startswith("/") else f"{folder}/{target}".split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return plain("/".join(parts))
