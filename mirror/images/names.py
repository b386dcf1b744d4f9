"""The rules by which MAAS takes an image: names, types, base images, architectures.

Pure: what a boot source provides is told, not looked up.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.model import Finding, Licence, Severity
from mirror.simplestreams.kinds import MAX_OS_OR_RELEASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.images.declaration import Declaration

CUSTOM = "custom"
"""The operating system of an image that is of none that MAAS knows."""

CUSTOM_SOURCE = "custom"
"""Where custom images come from, in place of a boot source: none may be called that."""

OSYSTEMS = frozenset(
    {
        *("ubuntu", "ubuntu-core", "bootloader", "centos", "rhel", "custom"),
        *("windows", "suse", "esxi", "ol", "onie"),
    }
)
"""The operating systems that MAAS knows."""

_DD = frozenset(
    {
        *("root-dd", "root-dd.tar", "root-dd.raw", "root-dd.bz2", "root-dd.gz", "root-dd.xz"),
        *("root-dd.tar.bz2", "root-dd.tar.xz"),
    }
)
_ARCHIVE = frozenset({"root-tgz", "root-tbz", "root-txz"})
_TGZ = frozenset({"root-tgz"})
_TYPES = {
    "windows": _DD,
    "esxi": _DD,
    "ubuntu-core": _DD,
    "rhel": _TGZ,
    "centos": _TGZ,
    "suse": _TGZ,
    "ol": _TGZ,
    CUSTOM: _ARCHIVE | _DD | {"squashfs"},
}
"""The types of image that MAAS deploys, by operating system; no others can be a custom image."""

_NOT_OURS = {
    "ubuntu": "MAAS takes Ubuntu from a stream, with its kernels: deploying an uploaded one fails "
    'with "no kernels available"',
    "bootloader": "bootloaders come from a stream only",
    "onie": "MAAS deploys nothing of ONIE but its self-extracting installers",
}
_BASES = ("ubuntu", "centos", "rhel", "ol")
_ARCHITECTURES = ("amd64", "arm64", "armhf", "i386", "ppc64el", "s390x")
_ALIASES = {
    "x86_64": "amd64",
    "x64": "amd64",
    "aarch64": "arm64",
    "i686": "i386",
    "x86": "i386",
    "ppc64le": "ppc64el",
}
_LONGEST_TITLE = 200
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LIKE_CENTOS = re.compile(r"centos\d\d?")
_TITLED = r"(?:[-.].+)?"
_RELEASES = {
    "suse": (re.compile(r"(sles|opensuse|tumbleweed)\d*(\.\d+)?(-.+)?"), "sles15, opensuse15.6"),
    "rhel": (re.compile(rf"rhel(\d+(\.\d+)?)?{_TITLED}"), "rhel9, rhel9.4"),
    "centos": (re.compile(rf"centos(\d+(\.\d+)?)?{_TITLED}"), "centos8, centos9-stream"),
    "ol": (re.compile(r"ol\d*(\.\d+)?(-.+)?"), "ol9, ol9.4"),
    "esxi": (re.compile(rf"\d+(\.\d+){{0,2}}{_TITLED}"), "7.0, 8.0.3"),
}
_STRICT = frozenset({"suse"})
"""Where MAAS refuses a release that it does not know the form of; elsewhere it has no title."""

_LICENCES = {
    "windows": Licence.PROPRIETARY,
    "esxi": Licence.PROPRIETARY,
    "rhel": Licence.SUBSCRIPTION,
    "suse": Licence.SUBSCRIPTION,
    "ol": Licence.SUBSCRIPTION,
}
_FREE_SUSE = ("opensuse", "tumbleweed")


def split_name(name: str) -> tuple[str, str]:
    """Return os and release of a name as MAAS has it: `rhel/9`; `name` is `custom/name`.

    What is after a second slash stays in the release, for `refusals` to find.
    """
    os, slash, release = name.strip().partition("/")
    return (os, release) if slash else (CUSTOM, os)


def usual_licence(os: str, release: str) -> Licence:
    """Return the licence of an operating system, unless an operator knows better."""
    if os == "suse" and release.startswith(_FREE_SUSE):
        return Licence.FREE
    return _LICENCES.get(os, Licence.FREE)


def allowed_types(os: str) -> frozenset[str]:
    """Return the types of image that MAAS deploys of an operating system."""
    return _TYPES.get(os, frozenset())


def check_names(declaration: Declaration, provider: str = "") -> Iterator[Finding]:
    """Yield what MAAS would not take about a declaration, and what a person should know.

    `provider` is the boot source that provides this os and release already, if one does. The type
    is not looked at: see `check_type`.
    """
    os, release = declaration.os, declaration.release
    yield from _check_words(os, release)
    yield from check_title(declaration.title)
    if os not in OSYSTEMS:
        known = ", ".join(sorted(OSYSTEMS - _NOT_OURS.keys()))
        yield _error(
            "os-unknown",
            f"MAAS knows no operating system {os!r}; it knows {known}. Put others under custom: "
            f"--name custom/{os}-{release.replace('/', '-')}",
        )
    elif os in _NOT_OURS:
        yield _error("os-not-custom", f"{_NOT_OURS[os]}. Call it --name custom/{os}-{release}")
    elif os == CUSTOM:
        yield from _check_custom(release)
    yield from _check_release(declaration)
    if provider:
        yield _error(
            "name-taken",
            f"{os}/{release} is what boot source {provider!r} provides, and MAAS reserves such "
            f"names. Choose another release: --name {os}/{release}-custom",
        )
    yield from _check_base(declaration)
    yield from _check_arch(declaration)


def check_title(title: str) -> Iterator[Finding]:
    """Yield an error where a title is not one that a list or a terminal can show."""
    if not title.isprintable() or len(title) > _LONGEST_TITLE:
        yield _error(
            "title",
            f"{title[:60]!r} can't be shown: a title has at most {_LONGEST_TITLE} characters, and "
            "none that steer a terminal. Give another: --title",
            where="title",
        )


def check_type(declaration: Declaration) -> Iterator[Finding]:
    """Yield an error where MAAS deploys no images of this type of the operating system."""
    allowed = allowed_types(declaration.os)
    if not allowed or declaration.ftype in allowed:
        return
    if allowed == _DD:
        rule = "disk images (dd) only"
        way = "Make a root-dd.gz of the disk that it is installed on: `mirror image build`"
    else:
        rule = "root-tgz only"
        way = (
            "Make one with `mirror image build`, which takes the root file system out of a disk "
            f"image, too; or call it custom/{declaration.os}-{declaration.release}, of which MAAS "
            "takes any type"
        )
    yield _error(
        "type-not-deployed",
        f"of {declaration.os}, MAAS deploys {rule}: with a {declaration.ftype} it says "
        f'"Missing boot image". {way}',
        where="type",
    )


def _check_words(os: str, release: str) -> Iterator[Finding]:
    if "/" in release:
        yield _error(
            "name-slashes",
            f"a name is OS/RELEASE, or a plain one: there is more than one slash in "
            f"{f'{os}/{release}'!r}. Write - in place of the others",
        )
    for what, word in (("os", os), ("release", release)):
        if not word:
            yield _error("name-empty", f"the {what} is empty: a name is OS/RELEASE, or a plain one")
        elif "/" not in word and not _WORD.fullmatch(word):
            yield _error(
                "name-characters",
                f"{word!r} has more than letters, digits, dots, dashes and underscores, or begins "
                f"with one of these: choose another {what}",
            )
        if len(word) > MAX_OS_OR_RELEASE:
            yield _error(
                "name-too-long",
                f"{word!r} has {len(word)} characters, and MAAS keeps {MAX_OS_OR_RELEASE} at most "
                f"as {what}: choose a shorter one",
            )


def _check_custom(release: str) -> Iterator[Finding]:
    if release in OSYSTEMS:
        yield _error(
            "name-reserved",
            f"MAAS reserves the names of the operating systems that it knows: {release!r} is one. "
            f"Call it --name custom/{release}-custom, or {release}/RELEASE if it is that",
        )
    elif _LIKE_CENTOS.fullmatch(release):
        yield _error(
            "name-reserved",
            f"MAAS reserves names such as {release!r}. Call it --name centos/{release}-custom, or "
            f"custom/{release}-custom",
        )


def _check_release(declaration: Declaration) -> Iterator[Finding]:
    form, examples = _RELEASES.get(declaration.os, (None, ""))
    if form is None or form.fullmatch(declaration.release):
        return
    os, release = declaration.os, declaration.release
    if os in _STRICT:
        yield _error(
            "release-form",
            f"MAAS takes releases of {os} such as {examples} only, and refuses {release!r}. Call "
            "it like that, with what is special about it after a dash",
        )
    elif not declaration.title:
        yield _note(
            "release-form",
            f"MAAS makes a title of releases of {os} such as {examples}; of {release!r} it makes "
            "none. Give one: --title",
        )


def _check_base(declaration: Declaration) -> Iterator[Finding]:
    base = declaration.base_image
    if not base:
        return
    os, _, release = base.partition("/")
    if declaration.os != CUSTOM:
        yield _error(
            "base-image",
            f"only images of custom have a base image: MAAS knows what {declaration.os} is. Leave "
            "--base-image out",
            where="base image",
        )
    elif os not in _BASES or not _WORD.fullmatch(release):
        yield _error(
            "base-image",
            f"{base!r} is no base image: it is OS/RELEASE, of {', '.join(_BASES)}, such as "
            "ubuntu/jammy or rhel/9",
            where="base image",
        )


def _check_arch(declaration: Declaration) -> Iterator[Finding]:
    arch, subarch = declaration.arch, declaration.subarch
    if arch not in _ARCHITECTURES:
        meant = _ALIASES.get(arch.lower())
        hint = f"; write {meant}" if meant else ""
        yield _error(
            "arch-unknown",
            f"MAAS deploys no machines of {arch!r}; it knows {', '.join(_ARCHITECTURES)}{hint}",
            where="architecture",
        )
    if not _WORD.fullmatch(subarch):
        yield _error(
            "arch-unknown",
            f"{subarch!r} is no subarchitecture: an architecture is ARCH/SUBARCH, such as "
            "amd64/generic",
            where="architecture",
        )
    elif arch == "i386" or subarch != "generic":
        yield _warning(
            "arch-unusual",
            f"MAAS takes {arch}/{subarch} only where it has images to commission and deploy such "
            "machines with",
            where="architecture",
        )


def _error(code: str, message: str, *, where: str = "name") -> Finding:
    return Finding(Severity.ERROR, f"image-{code}", where, message)


def _warning(code: str, message: str, *, where: str = "name") -> Finding:
    return Finding(Severity.WARNING, f"image-{code}", where, message)


def _note(code: str, message: str, *, where: str = "name") -> Finding:
    return Finding(Severity.NOTE, f"image-{code}", where, message)
