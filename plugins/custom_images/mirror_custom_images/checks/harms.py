"""Entries that do harm to whoever unpacks an image, or that can't be unpacked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.api import Severity
from mirror_custom_images.checks.seen import Image, Seen, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Finding

_SAID = {
    "climbs": (Severity.ERROR, "leads out of the directory that the image is unpacked in"),
    "link-climbs": (Severity.ERROR, "is a hard link to something outside of the image"),
    "link-nowhere": (Severity.WARNING, "is a hard link to something that did not come before it"),
    "device": (Severity.WARNING, "is a device outside of dev"),
    "dev-nodes": (Severity.NOTE, "is a device: dev is made anew at each boot, and may be empty"),
}
_DEVICES = ("dev/", "devices/")
_KINDS = {"char", "block"}
_NAMES = {"file", "symlink"}


@dataclass
class _Harm:
    first: str
    count: int = 1


class Harms:
    """Sees every entry; of each name only its hash is kept: there may be a million of them."""

    def __init__(self) -> None:
        self._harms: dict[str, _Harm] = {}
        self._files: set[int] = set()

    def see(self, seen: Seen) -> None:
        """Look at the name, the kind, and where a hard link points."""
        entry = seen.entry
        path, kind = entry.path, entry.kind
        if _climbs(path):
            self._add("climbs", path)
        if kind in _NAMES:
            self._files.add(hash(path))
        elif kind == "hardlink":
            self._see_link(path, entry.target)
        elif kind in _KINDS:
            inside = path.startswith(_DEVICES) or "/dev/" in path
            self._add("dev-nodes" if inside else "device", path)

    def _see_link(self, path: str, target: str) -> None:
        target = target.removeprefix("./")
        if _climbs(target):
            self._add("link-climbs", path)
        elif hash(target) in self._files:
            self._files.add(hash(path))
        else:
            self._add("link-nowhere", path)

    def _add(self, code: str, path: str) -> None:
        if code in self._harms:
            self._harms[code].count += 1
        else:
            self._harms[code] = _Harm(path)

    def findings(self, image: Image) -> Iterator[Finding]:
        """Say each kind of harm once, with the first that does it."""
        for code, harm in self._harms.items():
            severity, what = _SAID[code]
            more = f", and {harm.count - 1:,} more like it" if harm.count > 1 else ""
            yield image.finding(severity, code, harm.first, f"{shown(harm.first)} {what}{more}")


def _climbs(path: str) -> bool:
    return path[:1] == "/" or (".." in path and ".." in path.split("/"))
