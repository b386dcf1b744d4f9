"""Owners and modes: of the directories that a system is made of, and of what must be setuid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror_custom_images.checks.seen import Image, Seen, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Finding

_FOLDERS = frozenset((".", "bin", "boot", "etc", "lib", "root", "sbin", "usr", "var", "etc/ssh"))
_SETUID = frozenset(("bin/sudo", "bin/su"))
_SECRET = frozenset(("etc/shadow", "etc/gshadow", "etc/shadow-", "etc/gshadow-"))
_ALL = {"etc", "usr"}


class Ownership:
    """Sees every entry."""

    def __init__(self) -> None:
        self._owners: dict[str, int] = {}
        self._writable: list[str] = []
        self._plain: list[str] = []
        self._readable: list[str] = []

    def see(self, seen: Seen) -> None:
        """Take the owners of a few, and the modes of a few others."""
        path, entry = seen.path, seen.entry
        if path in _FOLDERS and entry.kind == "dir":
            if entry.uid:
                self._owners[path] = entry.uid
            if entry.mode & 0o002 and not entry.mode & 0o1000:
                self._writable.append(path)
        elif path in _SETUID and entry.kind == "file":
            if not entry.mode & 0o4000 or entry.uid:
                self._plain.append(path)
        elif path in _SECRET and entry.kind == "file" and entry.mode & 0o004:
            self._readable.append(path)

    def findings(self, image: Image) -> Iterator[Finding]:
        """Say what belongs to somebody, and what has lost its setuid bit."""
        if self._owners:
            some = ", ".join("/" if each == "." else f"/{each}" for each in sorted(self._owners))
            what = f"{some} belong to user {next(iter(self._owners.values()))}, not to root"
            remedy = "pack the image as root (or with tar --owner=0 --group=0, if all is root's)"
            certain = self._owners.keys() >= _ALL
            say = image.error if certain else image.warning
            yield say("owner", min(self._owners), f"{what}: {remedy}")
        for path in self._writable[:1]:
            what = f"{len(self._writable)} directories that are root's can be written by anyone"
            yield image.warning("mode", path, what)
        for path in self._plain:
            what = f"{shown(path)} has no setuid bit, or is not root's: nobody becomes root by it"
            yield image.warning("setuid", path, f"{what}; pack the image with tar --preserve")
        for path in self._readable[:1]:
            yield image.warning("mode", path, f"{path} can be read by anyone: chmod 640")
