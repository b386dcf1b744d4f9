"""The parts of boot loaders in a root file system: what curtin needs, and what MAAS starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror_custom_images.checks.seen import Image, Seen, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Finding

SUFFIXES = {"amd64": "x64", "arm64": "aa64"}
"""How the names of EFI programs end, for each architecture that MAAS boots with EFI."""

STARTED = {
    "amd64": frozenset(
        ("boot", "centos", "microsoft", "ol", "red", "redhat", "rhel", "rocky", "suse", "ubuntu")
    ),
    "arm64": frozenset(("boot", "ubuntu")),
}
"""Directories below EFI, in lower case, in which MAAS's GRUB looks for the loader of a machine."""

_PROGRAMS = {
    "bin/efibootmgr": "efibootmgr",
    "sbin/efibootmgr": "efibootmgr",
    "bin/grub-install": "grub-install",
    "sbin/grub-install": "grub-install",
    "bin/grub2-install": "grub-install",
    "sbin/grub2-install": "grub-install",
}
_EFI = ("boot/efi/EFI/", "boot/efi/efi/")
_MODULES = ("lib/grub/i386-pc/", "share/grub2/i386-pc/")
_PACKAGES = {
    "efibootmgr": "efibootmgr",
    "grub-install": "grub2-tools",
    "grub's modules for BIOS": "grub2-pc-modules",
    "shim": "shim-{suffix}",
    "grub": "grub2-efi-{suffix}",
}
_MOST = 100


class Bootloaders:
    """Sees programs, modules of GRUB, and the EFI programs below boot/efi."""

    places = ("bin", "boot", "lib", "sbin", "usr")

    def __init__(self) -> None:
        self._have: set[str] = set()
        self._efi: set[tuple[str, str]] = set()
        self._boot_efi = False

    def see(self, seen: Seen) -> None:
        """Take a name."""
        path = seen.path
        if path in _PROGRAMS:
            self._have.add(_PROGRAMS[path])
        elif path.startswith("boot/efi"):
            self._boot_efi = True
            if path.startswith(_EFI) and path.lower().endswith(".efi") and len(self._efi) < _MOST:
                folder, _, name = path.lower().rpartition("/")
                self._efi.add((folder.removeprefix("boot/efi/efi/"), name))
        elif path.startswith(_MODULES) or path.startswith("usr/share/grub2/i386-pc/"):
            self._have.add("grub's modules for BIOS")

    def findings(self, image: Image) -> Iterator[Finding]:
        """Say what is missing to make a machine boot, and what MAAS would never start."""
        suffix = SUFFIXES.get(image.product.arch)
        if suffix is None:
            return
        yield from self._lacking(image, suffix)
        if not self._boot_efi and not image.hooks:
            what = "there is no boot/efi: machines with EFI have no place for their boot loader"
            yield image.warning("no-boot-efi", "boot/efi", f"{what}; make the directory")
        folders = {
            folder for folder, name in self._efi if name.startswith(("shim", "grub", "boot"))
        }
        if folders and not folders & STARTED[image.product.arch]:
            some = ", ".join(f"EFI/{shown(each)}" for each in sorted(folders)[:3])
            what = f"MAAS does not look into {some}, and there is no EFI/BOOT: put a copy of shim"
            where = f"there as BOOT{suffix.upper()}.EFI"
            yield image.warning("efi-directory", "boot/efi/EFI", f"{what} and grub {where}")

    def _lacking(self, image: Image, suffix: str) -> Iterator[Finding]:
        wanted = ["grub-install", "efibootmgr"]
        if image.system.family == "redhat":
            wanted += ["shim", "grub"]
        if image.product.arch == "amd64":
            wanted.append("grub's modules for BIOS")
        have = set(self._have)
        have |= {
            each for each in ("shim", "grub") for _, name in self._efi if name.startswith(each)
        }
        lacking = [each for each in wanted if each not in have]
        if not lacking:
            return
        what = f"there is no {', no '.join(lacking)}"
        if image.hooks or image.system.family == "debian":
            how = "the hooks must bring it" if image.hooks else "curtin installs it from an archive"
            yield image.note("boot-parts", "", f"{what}: {how}")
            return
        packages = [_PACKAGES[each].format(suffix=suffix) for each in lacking]
        what = f"{what}: curtin gets it over the network, or fails"
        yield image.warning("boot-parts", "", f"{what}; install {', '.join(packages)}")
