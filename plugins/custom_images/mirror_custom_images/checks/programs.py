"""The architecture of programs: of the shell, the loader of libraries, and a few others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.formats import elf_arch
from mirror_custom_images.checks.kernels_inside import ALSO, ARCHES
from mirror_custom_images.checks.seen import Image, Seen, joined, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Finding

_SHELL = "bin/sh"
_FIRST = frozenset(
    f"bin/{name}" for name in ("bash", "busybox", "cat", "coreutils", "dash", "ls", "sh", "tar")
) | {"lib/systemd/systemd", "sbin/init"}
_MOST = 64


class Programs:
    """Sees programs, of which it reads the first bytes, and loaders (`ld-linux-*.so.2`)."""

    places = ("bin", "lib", "lib64", "sbin")

    def __init__(self) -> None:
        self._arches: dict[str, str] = {}
        self._links: dict[str, str] = {}

    def see(self, seen: Seen) -> None:
        """Take the architecture of a program that is known."""
        path = seen.path
        if path not in _FIRST and not _is_loader(path):
            return
        if seen.entry.kind == "symlink":
            self._links[path] = joined(path.rpartition("/")[0], seen.entry.target)
        elif seen.entry.kind == "hardlink":
            self._links[path] = joined("", seen.entry.target)
        elif len(self._arches) < _MOST and (arch := elf_arch(seen.head(64))):
            self._arches[path] = arch

    def findings(self, image: Image) -> Iterator[Finding]:
        """Compare with the product's."""
        arch = image.product.arch
        if not self._arches:
            yield image.warning(
                "no-programs", "bin", "there is no program in bin that is an ELF file"
            )
            return
        if arch not in ARCHES:
            return
        shell = self._arches.get(self._followed(_SHELL))
        # Loaders of other architectures may stand beside the machine's own.
        programs = {k: v for k, v in self._arches.items() if not _is_loader(k)} or self._arches
        others = {k: v for k, v in programs.items() if v != arch and v not in ALSO.get(arch, ())}
        if shell and shell != arch and arch not in ALSO.get(shell, ()):
            what = f"the shell is for {shell}, not {arch}: the image is of another architecture"
            yield image.error("arch", _SHELL, what)
        elif others and len(others) == len(programs) and not shell:
            path, found = next(iter(others.items()))
            what = f"every program looked at is for {found}, not {arch}"
            yield image.error("arch", path, f"{what}: the image is of another architecture")
        elif others:
            path, found = next(iter(others.items()))
            yield image.warning("arch-mixed", path, f"{shown(path)} is for {found}, not {arch}")

    def _followed(self, path: str) -> str:
        for _ in range(8):
            path = self._links.get(path, path)
        return path


def _is_loader(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith(("ld-linux", "ld64.so", "ld-musl", "ld.so")) and path.startswith("lib")
