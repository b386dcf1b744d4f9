"""Look into the archives of bootloaders: are they safe to unpack, and is what machines ask for in.

A rack unpacks all archives of a version into one directory, and serves its files over TFTP and HTTP
by their names.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from mirror.formats import (
    HEAD_SIZE,
    FormatError,
    Member,
    check_content,
    check_head,
    elf_arch,
    read_archive,
    read_efi,
)
from mirror_ubuntu.codes import finding, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from mirror.api import Finding

_LIMIT = 256 << 20
"""What an archive may expand to, in bytes; GRUB's have some 4 MB."""
_MEMBERS = 20_000
"""Those that bring all modules of GRUB have some 300 for each platform."""
_SHOWN = 5
"""How many findings of one code are shown of an archive."""

_EFI = {"amd64": "x64", "arm64": "aa64", "i386": "ia32", "armhf": "arm", "riscv64": "riscv64"}
"""Debian's name of an architecture, and the one in the names of EFI binaries."""
_OPEN_FIRMWARE = {"powerpc", "ppc64", "ppc64el"}
_BIOS = {"i386"}
_TEXTS = (".cfg", ".html", ".txt", ".xml")


class _Wanted(NamedTuple):
    """What should be in an archive: any one of each of `needed`; of each of `asked`, for more."""

    needed: tuple[frozenset[str], ...] = ()
    asked: tuple[frozenset[str], ...] = ()


def check_archives(firmware: str, arch: str, files: Mapping[str, Path]) -> Iterable[Finding]:
    """Yield what is wrong with the archives of a version, by item name."""
    count: Counter[tuple[str, str]] = Counter()
    for each in _check_archives(firmware, arch, files):
        kind = each.code, each.where.partition(":")[0]
        count[kind] += 1
        if count[kind] <= _SHOWN:
            yield each


def _check_archives(firmware: str, arch: str, files: Mapping[str, Path]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for item, file in files.items():
        members: list[str] = []
        try:
            yield from _check_archive(item, file, firmware, arch, members)
        except FormatError as error:
            yield finding("bootloaders-archive", item, f"the {item} {error}")
            continue
        yield from _check_wanted(item, _wanted(item, firmware, arch, members), set(members))
        for name in members:
            other = seen.setdefault(name, item)
            if other != item:
                said = f"the {item} and the {other} both have a {shown(name)}"
                yield finding("bootloaders-clash", f"{item}: {name}", said)
    if firmware == "uefi" and files and "shim-signed" not in files:
        said = "there is no shim-signed: machines with secure boot don't start"
        yield finding("bootloaders-member-wanted", "", said)


def _check_archive(
    item: str, file: Path, firmware: str, arch: str, members: list[str]
) -> Iterator[Finding]:
    """Read an archive to its end; the names of its regular files go to `members`."""
    check_content(file)
    asked = _asked(item, firmware, arch)
    taken: dict[str, str] = {}
    for member, stream in read_archive(file, limit=_LIMIT, members=_MEMBERS):
        where = f"{item}: {member.name}"
        if member.kind == "dir" and not member.climbs:
            continue
        harm = _harm(member, taken)
        twice = member.name in taken
        taken[member.name] = member.kind
        if harm:
            said = f"the {item} is not safe to unpack: {shown(member.name)} {harm}"
            yield finding("bootloaders-member-unsafe", _line(where), said)
        elif member.kind != "file":
            said = f"the {item} has a link, {shown(member.name)}: racks take regular files only"
            yield finding("bootloaders-member-link", _line(where), said)
        else:
            members.append(member.name)
            if twice:
                said = f"the {item} has two {shown(member.name)}: the last one counts"
                yield finding("bootloaders-member-twice", _line(where), said)
            for each in _check_member(item, member, stream, firmware, arch):
                if member.name in asked:
                    yield each
                elif member.size:
                    yield finding("bootloaders-member-other", each.where, each.message)


def _harm(member: Member, taken: Mapping[str, str]) -> str:
    """Return what unpacking a member would do, in a clause; '' where it is harmless."""
    if member.climbs:
        return "leads out of the directory that it is unpacked in"
    if member.kind in {"symlink", "hardlink"} and member.links_out:
        return "links out of the directory that it is unpacked in"
    if member.kind in {"device", "other"}:
        return "is a device, or nothing that is known"
    kinds = {member.kind, taken.get(member.name, member.kind)}
    return "is in it twice, and not as a file" if member.name in taken and kinds != {"file"} else ""


def _check_member(
    item: str, member: Member, stream: BinaryIO, firmware: str, arch: str
) -> Iterator[Finding]:
    where, name = _line(f"{item}: {member.name}"), shown(member.name)
    try:
        if member.name.endswith(".efi"):
            yield from _check_efi(item, where, member, stream, arch)
            return
        head = stream.read(min(member.size, HEAD_SIZE))
        if not member.name.endswith(_TEXTS):
            check_head(head)
    except FormatError as error:
        said = f"the {item} has a {name} that {error}"
        yield finding("bootloaders-member-content", where, said)
        return
    fitting = _elf_of(member.name, firmware)
    found = elf_arch(head)
    if fitting and found not in fitting:
        if found:
            said = f"the {item} has a {name} for {found}, not for {' or '.join(sorted(fitting))}"
            yield finding("bootloaders-member-arch", where, said)
        else:
            said = f"the {item} has a {name} that is no ELF file"
            yield finding("bootloaders-member-kind", where, said)


def _check_efi(
    item: str, where: str, member: Member, stream: BinaryIO, arch: str
) -> Iterator[Finding]:
    binary = read_efi(stream, member.size)
    name = shown(member.name)
    if binary.arch != arch:
        said = f"the {item} has a {name} for {binary.arch}, not for {shown(arch)}"
        yield finding("bootloaders-member-arch", where, said)
    if item.endswith("-signed") and not binary.signed:
        said = f"the {item} has a {name} without a signature: secure boot refuses it"
        yield finding("bootloaders-unsigned", where, said)


def _elf_of(name: str, firmware: str) -> set[str]:
    """Return the architectures that a file may be for, by its name; none: it is no ELF file."""
    if firmware == "pxe" and name.endswith(".c32"):
        return _BIOS
    return _OPEN_FIRMWARE if name == "bootppc64.bin" else set()


def _check_wanted(item: str, wanted: _Wanted, members: set[str]) -> Iterator[Finding]:
    for code, groups in (
        ("bootloaders-member-lacking", wanted.needed),
        ("bootloaders-member-wanted", wanted.asked),
    ):
        lacking = [" or ".join(sorted(group)) for group in groups if not group & members]
        if lacking:
            said = f"the {item} lacks {', '.join(lacking)}, which machines ask for"
            yield finding(code, item, said)


def _asked(item: str, firmware: str, arch: str) -> set[str]:
    """Return the names of all that machines may ask for; what else is there may be anything."""
    wanted = _wanted(item, firmware, arch, ["lpxelinux.0"])
    return {name for group in (*wanted.needed, *wanted.asked) for name in group}


def _wanted(item: str, firmware: str, arch: str, members: list[str]) -> _Wanted:
    """Return what the TFTP server of MAAS looks for, by firmware and package."""
    if firmware == "uefi" and arch in _EFI:
        suffix = _EFI[arch]
        names = {"shim-signed": f"boot{suffix}.efi", "grub2-signed": f"grub{suffix}.efi"}
        return _Wanted(_each(names[item])) if item in names else _Wanted()
    if firmware == "open-firmware":
        return _Wanted(_each("bootppc64.bin"))
    if firmware == "pxe":
        # syslinux before version 5 has pxelinux.0 alone; the later ones do nothing without ldlinux.
        core = _each("ldlinux.c32") if "lpxelinux.0" in members else ()
        return _Wanted(
            (frozenset({"lpxelinux.0", "pxelinux.0"}), *core),
            (
                *_each("lpxelinux.0", "chain.c32", "libcom32.c32", "libutil.c32"),
                frozenset({"ifcpu.c32", "ifcpu64.c32"}),
            ),
        )
    return _Wanted()


def _each(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset({name}) for name in names)


def _line(text: str) -> str:
    """Return where a finding is as a line that can be printed."""
    return text if text.isprintable() and len(text) <= 200 else shown(text)[1:-1]
