"""Whether it is a root file system at all: what is at its top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror_custom_images.checks.seen import Image, Seen, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Finding

_MOST = 200
_CONTAINER = ("oci-layout", "manifest.json", "repositories")
_ROOT = {"etc", "usr"}


class Layout:
    """Sees every entry, as it is named."""

    def __init__(self) -> None:
        self._tops: set[str] = set()
        self._below: set[str] = set()
        self._disk = ""
        self._whiteout = ""
        self._docker = False

    def see(self, seen: Seen, name: str) -> None:
        """Keep the names at the top, and one level down where there is one name at the top."""
        top, _, rest = name.partition("/")
        if not rest:
            self._see_top(seen, top)
        elif len(self._tops) <= 1 and len(self._below) < _MOST:
            self._tops.add(top)
            self._below.add(rest.partition("/")[0])
        elif top not in self._tops and len(self._tops) < _MOST:
            self._tops.add(top)
        if "/.wh." in name:
            self._whiteout = self._whiteout or name

    def _see_top(self, seen: Seen, top: str) -> None:
        if top == "." or len(self._tops) >= _MOST:
            return
        self._tops.add(top)
        self._docker |= top == ".dockerenv"
        if seen.entry.kind == "file" and not self._disk:
            head = seen.head(520)
            if head[510:512] == b"\x55\xaa" or head[512:] == b"EFI PART":
                self._disk = top
        if top.startswith(".wh."):
            self._whiteout = self._whiteout or top

    @property
    def is_root(self) -> bool:
        """Whether it is worth looking for what a root file system has."""
        return self._tops >= _ROOT

    def findings(self, image: Image) -> Iterator[Finding]:
        """Say what it is, where it is no root file system."""
        if not self.is_root:
            yield image.error("layout", "", self._fault())
        elif self._whiteout:
            what = "is a mark of a container's layer: this is a part of a file system, not all"
            yield image.error("layer", self._whiteout, f"{shown(self._whiteout)} {what}")
        elif self._docker:
            what = "the image was a container's (.dockerenv): containers have no kernel, no fstab"
            yield image.warning("container", ".dockerenv", f"{what} and no boot loader")

    def _fault(self) -> str:
        tops = self._tops
        if self._disk:
            remedy = "add it as a dd image (root-dd, which MAAS calls ddtgz)"
            return f"it holds a disk image, {shown(self._disk)}, and no root file system: {remedy}"
        if tops & set(_CONTAINER):
            return "it is a container image, not a root file system: unpack and flatten it first"
        if len(tops) == 1 and self._below >= _ROOT:
            top = shown(next(iter(tops)))
            return f"everything is in a directory, {top}: pack what is in it, not the directory"
        if not tops:
            return "it holds nothing"
        some = ", ".join(sorted(map(shown, tops))[:5])
        return f"it is no root file system: there is no etc and usr at its top, only {some}"
