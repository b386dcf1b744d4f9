"""Which system an image says that it is: as its name and base image do, and known to curtin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror_custom_images.checks.seen import Image, Seen, joined, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Finding, Product

FILES = ("etc/os-release", "lib/os-release")
_WHERE = "etc/os-release"

_FAMILIES = {
    **dict.fromkeys(("debian", "ubuntu"), "debian"),
    **dict.fromkeys(
        ("almalinux", "centos", "fedora", "mariner", "ol", "redhat", "rhel", "rocky"), "redhat"
    ),
    **dict.fromkeys(("opensuse", "sles", "suse"), "suse"),
}
"""The systems that curtin knows, by the ID of os-release, and how it deploys each."""

_IDS = {
    "centos": ("centos",),
    "ol": ("ol",),
    "rhel": ("rhel",),
    "suse": ("sles", "sled", "sle", "sl", "suse", "opensuse"),
    "ubuntu": ("ubuntu",),
}
"""What os-release says in images of each operating system of MAAS."""

_NAMED = {
    **{each: each for each in ("almalinux", "centos", "debian", "fedora", "ol", "rhel", "rocky")},
    **{each: each for each in ("sles", "ubuntu", "azurelinux")},
    "alma": "almalinux",
    "oracle": "ol",
    "openeuler": "openeuler",
}
"""Names of custom images begin with one of these, and what ID is meant by it."""

_NAME = re.compile(r"([a-z]+)[-_.]?(\d+)?")
_RELEASE = re.compile(r"(?:rhel|centos|ol|sles|opensuse(?:-?leap)?)?[-.]?(\d+)")
_COMBINED = {"rhel", "centos", "ol"}
"""Releases of these may have both numbers in one: `centos70`, `rhel94`."""


@dataclass(frozen=True)
class System:
    """What os-release says; all '' where there is none that can be read."""

    id: str = ""
    like: tuple[str, ...] = ()
    version: str = ""
    codename: str = ""
    title: str = ""

    @property
    def family(self) -> str:
        """How curtin deploys it: `debian`, `redhat`, `suse`; '' where curtin does not know it."""
        return next((_FAMILIES[each] for each in (self.id, *self.like) if each in _FAMILIES), "")

    @property
    def major(self) -> str:
        """The first number of the version."""
        found = re.match(r"\d+", self.version)
        return found[0] if found else ""


class OsRelease:
    """Sees the files of os-release, and the links to them."""

    places = ("etc", "lib")

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._links: dict[str, str] = {}
        self._others: set[str] = set()

    def see(self, seen: Seen) -> None:
        """Keep the text of the files, and where links among them point."""
        path = seen.path
        if "os-release" not in path:
            if path in {"etc/redhat-release", "etc/debian_version", "etc/SuSE-release"}:
                self._others.add(path)
            return
        if seen.entry.kind in {"symlink", "hardlink"}:
            root = seen.entry.kind == "hardlink"
            self._links[path] = joined("" if root else path.rpartition("/")[0], seen.entry.target)
        elif seen.entry.kind == "file" and len(self._texts) < 16:
            self._texts[path] = seen.text()

    def system(self) -> System:
        """Return what the image says that it is."""
        about = _fields(self._text())
        return System(
            shown(about.get("ID", "").lower()),
            tuple(shown(each) for each in about.get("ID_LIKE", "").lower().split()[:8]),
            shown(about.get("VERSION_ID", "")),
            shown(about.get("VERSION_CODENAME", "").lower()),
            shown(about.get("PRETTY_NAME", "") or about.get("NAME", "")),
        )

    def findings(self, image: Image) -> Iterator[Finding]:
        """Compare it with the product, and with what curtin knows."""
        system = image.system
        if not system.id:
            yield from self._unknown(image)
            return
        yield from _against_name(image)
        yield from _against_base(image)
        yield from _for_curtin(image)

    def _text(self) -> str:
        for path in FILES:
            at = path
            for _ in range(8):
                at = self._links.get(at, at)
            if text := self._texts.get(at):
                return text
        return ""

    def _unknown(self, image: Image) -> Iterator[Finding]:
        named = any(path in self._texts or path in self._links for path in FILES)
        what = "names no ID, or is a link to nothing" if named else "is not there"
        what = f"etc/os-release {what}: curtin can't tell which system it deploys"
        if image.hooks or self._others:
            yield image.warning("no-os-release", _WHERE, what)
        else:
            remedy = "; put the file into the image, or hooks into curtin/curtin-hooks"
            yield image.error("no-os-release", _WHERE, what + remedy)


def _fields(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip().strip("\"'").strip() for key, _, value in lines}


def _said(system: System) -> str:
    return f"{system.id} {system.version}".strip()


def _against_name(image: Image) -> Iterator[Finding]:
    product, system = image.product, image.system
    named = f"{product.os}/{product.release}"
    if product.os in _IDS:
        if not system.id.startswith(_IDS[product.os]):
            family = _FAMILIES.get(_IDS[product.os][0])
            what = f"the image is {_said(system)}, but is named {named}"
            if family == system.family:
                yield image.warning("other-system", _WHERE, f"{what}; both are deployed alike")
            else:
                remedy = "add it under a name of its own, as custom/NAME"
                yield image.error("other-system", _WHERE, f"{what}: {remedy}")
        elif not _is_release(product, system):
            what = f"the image is {_said(system)}, but is named {named}: add it as what it is"
            yield image.error("other-release", _WHERE, what)
    elif product.os == "custom":
        found = _NAME.match(product.release.lower())
        meant = _NAMED.get(found[1], "") if found else ""
        other = bool(meant) and meant != system.id
        number = found[2] if found else None
        if other or (meant and number and system.major and not number.startswith(system.major)):
            what = f"the image is {_said(system)}, but is named {named}: is it the right file"
            yield image.warning("other-system", _WHERE, what)


def _is_release(product: Product, system: System) -> bool:
    """Say whether the release may be the product's; whatever can't be told apart may be."""
    if product.os == "ubuntu":
        known = system.codename or system.version
        return not known or product.release in {system.codename, system.version}
    found = _RELEASE.match(product.release)
    if found is None or not system.major:
        return True
    digits = found[1]
    if product.os in _COMBINED:
        return system.major in {digits, digits[:1], digits[:2]}
    return digits.startswith(system.major)


def _against_base(image: Image) -> Iterator[Finding]:
    base = str(image.product.attributes.get("base_image", ""))
    base_os, _, release = base.partition("/")
    system = image.system
    family = _FAMILIES.get(base_os, "")
    if not family or not system.family:
        return
    if family != system.family and base_os != "ubuntu":
        # Ubuntu is what MAAS takes for the base where nobody said anything.
        what = f"the image is {_said(system)}, but its base image is {shown(base)}"
        yield image.warning("other-base", _WHERE, f"{what}: give the one that it is made from")
    elif base_os == system.id == "ubuntu" and system.codename not in {"", release}:
        what = f"the image is Ubuntu {system.codename}, but its base image is {shown(base)}"
        remedy = f"give --base-image ubuntu/{system.codename}"
        yield image.warning("other-base", _WHERE, f"{what}: {remedy}")


def _for_curtin(image: Image) -> Iterator[Finding]:
    system = image.system
    if not image.hooks and not system.family:
        what = f"curtin does not know {system.id}, nor what it is like (ID_LIKE)"
        what = f"{what}, and there are no hooks that deploy it: add curtin/curtin-hooks"
        yield image.warning("unknown-system", _WHERE, what)
    elif not image.hooks and system.family == "suse":
        what = "images of SUSE mostly need hooks of their own (curtin/curtin-hooks), to boot"
        yield image.note("suse-without-hooks", _WHERE, what)
    if system.id == "debian" and image.product.os == "custom":
        what = "MAAS has no preseed of its own for Debian: put one for this image into the region's"
        what = f"{what} preseeds (curtin_userdata_custom...), or it may not mount its root"
        yield image.note("debian-preseed", _WHERE, what)
    elif system.family == "redhat" and image.product.arch == "arm64":
        what = "MAAS's preseeds for RPM systems are for amd64: arm64 needs one of its own"
        yield image.note("arm64-preseed", _WHERE, what)
