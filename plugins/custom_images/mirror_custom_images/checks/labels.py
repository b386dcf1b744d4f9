"""Extended attributes: whether the labels that SELinux enforces, and capabilities, were kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Finding
    from mirror_custom_images.checks.seen import Image, Seen

_CONFIG = "etc/selinux/config"
_MODE = re.compile(r"^[^\S\n]*SELINUX\s*=\s*(\w+)", re.MULTILINE)
_MOST_WITHOUT = 0.5
"""Of all entries; what programs make at the first start has none, and never is so much."""


class Labels:
    """Sees every entry."""

    def __init__(self) -> None:
        self._labelled = self._all = 0
        self._mode = ""
        self._relabels = False

    def see(self, seen: Seen) -> None:
        """Count an entry, and whether it has a label."""
        self._all += 1
        if "security.selinux" in seen.entry.xattrs:
            self._labelled += 1
        path = seen.path
        if path == _CONFIG:
            found = _MODE.search(seen.text())
            self._mode = found[1].lower() if found else ""
        elif path == ".autorelabel":
            self._relabels = True

    def findings(self, image: Image) -> Iterator[Finding]:
        """Say that labels were lost on the way."""
        if self._mode != "enforcing" or self._labelled >= self._all * _MOST_WITHOUT:
            return
        what = f"SELinux is enforcing, but {self._all - self._labelled:,} of {self._all:,} files"
        what = f"{what} have no label: pack the image with tar --selinux --xattrs"
        if self._relabels:
            yield image.note("labels", ".autorelabel", f"{what}; it relabels itself at first boot")
        else:
            remedy = ", or put a file .autorelabel at its top"
            yield image.warning("labels", _CONFIG, what + remedy)
