"""What is in a root tarball, as one pass over it sees it: facts, and members that do harm.

Members come in any order and links may come before what they point at, so facts are collected here
and judged when the pass is over (`checks.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from mirror.formats import (
    FormatError,
    KernelImage,
    compression_of,
    elf_arch,
    read_archive,
    read_kernel_stream,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mirror.formats import Member

GIB = 1 << 30
MOST = 64 * GIB
"""Bytes that a tarball may expand to; one of CentOS has 1 to 3 GB."""
RATIO, ALLOWANCE = 100, 64 << 20
"""Nor may it expand to more than this times its size and an allowance: real ones, to 4 times."""

RELEASE_FILES = ("etc/os-release", "usr/lib/os-release")
CENTOS_FILES = (
    "etc/centos-release",
    "etc/redhat-release",
    "etc/system-release",
    "usr/lib/centos-release",
)
BIN = ("bin", "sbin", "usr/bin", "usr/sbin")
MODULES = ("lib/modules/", "usr/lib/modules/")
EFI = "boot/efi/EFI/"
HOOKS = "curtin/curtin-hooks"
WANTED = frozenset(
    ("cloud-init", "dracut", "efibootmgr", "grub2-install", "lvm", "mdadm", "mkfs.xfs"),
)
"""Programs that are looked for."""

_MAX_TEXT = 16 << 10
_MAX_HEADS = 32
_MAX_KERNELS = 16
_MAX_NAMES = 100
_TEXTS = frozenset((*RELEASE_FILES, *CENTOS_FILES))
_DEVICES = frozenset(("dev", "devices"))
"""Directories of devices: /dev, and where udev and chroots of old releases keep theirs."""
_INITRAMFS = (b"070701", b"070702", b"070707", b"\xc7\x71", b"\x89LZO")
"""cpio archives, and what compresses one in a way that `compression_of` does not know."""


@dataclass
class Harm:
    """Members that do one kind of harm: how many there are, and the first of them."""

    first: str
    count: int = 1


@dataclass
class Root:
    """The facts. Names are as in `Member`; versions are those of kernels."""

    tops: set[str] = field(default_factory=set)
    """The names at the top; only the first hundred."""
    below: set[str] = field(default_factory=set)
    """What is one level down, as long as there is one name at the top."""
    disk: str = ""
    """The name of a file at the top that is a disk image."""
    links: dict[str, str] = field(default_factory=dict)
    """Symbolic links at the top and among the files that name the release: name -> target."""
    texts: dict[str, str] = field(default_factory=dict)
    programs: set[str] = field(default_factory=set)
    """Those of `WANTED` that are in bin or sbin."""
    arches: dict[str, str] = field(default_factory=dict)
    """The first programs that are ELF files: name -> architecture."""
    kernels: dict[str, KernelImage | FormatError | None] = field(default_factory=dict)
    """Version in the name of a kernel -> what it is; None where it is a link."""
    other_kernels: bool = False
    """Whether a kernel is in `boot` by another name, as boot loaders of systemd have it."""
    modules: set[str] = field(default_factory=set)
    initramfs: dict[str, str] = field(default_factory=dict)
    """Version -> what is wrong with it, or ''."""
    efi: set[str] = field(default_factory=set)
    """The names of EFI programs, in lower case."""
    cloud_init: bool = False
    hooks: str | None = None
    """What is wrong with curtin's hooks; None where there are none."""
    harms: dict[str, Harm] = field(default_factory=dict)

    def text(self, names: tuple[str, ...]) -> str | None:
        """Return the text of the first of these files; '' for a link to nothing that was read.

        None where none of them is there.
        """
        found: str | None = None
        for name in names:
            if name in self.texts or name in self.links:
                found = self.texts.get(name) or self.texts.get(self._followed(name), "")
                if found:
                    return found
        return found

    def _followed(self, name: str) -> str:
        for _ in range(8):
            top, slash, rest = name.partition("/")
            if name in self.links:
                name = _joined(name.rpartition("/")[0], self.links[name])
            elif slash and top in self.links:
                name = _joined("", f"{self.links[top]}/{rest}")
            else:
                break
        return name


def read_root(file: Path) -> Root:
    """Read a root tarball, once, to its end.

    Raises `FormatError` when it can't be read, is cut or damaged anywhere, or is a bomb.
    """
    limit = min(MOST, file.stat().st_size * RATIO + ALLOWANCE)
    root = Root()
    watch = _Watch(root.harms)
    for member, body in read_archive(file, limit=limit):
        watch.see(member)
        _see(root, member, body)
    return root


def shown(name: str) -> str:
    """Return a name as it may be shown: in printable ASCII, cut where it is long."""
    return ascii(name[:100])[1:-1] + ("..." if len(name) > 100 else "")


def _see(root: Root, member: Member, body: BinaryIO) -> None:
    name = member.name
    parent, _, base = name.rpartition("/")
    if not parent or len(root.tops) <= 1:
        _see_top(root, member, body)
    if name.startswith(MODULES):
        _see_module(root, name)
    elif name in _TEXTS:
        _see_text(root, member, body)
    elif parent in BIN:
        _see_program(root, member, base, body)
    elif parent == "boot":
        _see_boot(root, member, base, body)
    elif name.startswith("boot/"):
        if parent.startswith(EFI) and len(root.efi) < _MAX_NAMES:
            root.efi.add(base.lower())
        root.other_kernels |= base == "linux" or parent == f"{EFI}Linux"
    elif base == "cloudinit" and parent.endswith("-packages"):
        root.cloud_init = True
    elif name == HOOKS:
        root.hooks = _fault_of_hooks(member, body)


def _see_top(root: Root, member: Member, body: BinaryIO) -> None:
    top, _, rest = member.name.partition("/")
    if top == "." or len(root.tops) >= _MAX_NAMES:
        return
    root.tops.add(top)
    if rest:
        if len(root.below) < _MAX_NAMES:
            root.below.add(rest.partition("/")[0])
    elif member.kind == "symlink":
        root.links[top] = member.target
    elif member.kind == "file":
        head = body.read(520)
        if head[510:512] == b"\x55\xaa" or head[512:] == b"EFI PART":
            root.disk = top


def _see_text(root: Root, member: Member, body: BinaryIO) -> None:
    if member.kind == "symlink":
        root.links[member.name] = member.target
    elif member.kind == "hardlink":
        root.texts[member.name] = root.texts.get(_joined("", member.target), "")
    elif member.kind == "file":
        root.texts[member.name] = body.read(_MAX_TEXT).decode("utf-8", "replace")


def _see_program(root: Root, member: Member, base: str, body: BinaryIO) -> None:
    if base in WANTED:
        root.programs.add(base)
    if member.kind == "file" and len(root.arches) < _MAX_HEADS:
        arch = elf_arch(body.read(64))
        root.arches.update({member.name: arch} if arch else {})


def _see_module(root: Root, name: str) -> None:
    parts = name.removeprefix("usr/").split("/", 4)
    # A directory alone is no modules: packages of drivers leave theirs behind.
    known = len(parts) > 3 and parts[3] in {"kernel", "modules.dep"}
    if known and len(root.modules) < _MAX_NAMES:
        root.modules.add(parts[2])


def _see_boot(root: Root, member: Member, base: str, body: BinaryIO) -> None:
    if "rescue" in base or member.kind not in {"file", "hardlink", "symlink"}:
        return
    whole = member.kind == "file"
    root.other_kernels |= base.startswith(("vmlinuz", "vmlinux", "Image", "image-"))
    if base.startswith("vmlinuz-") and len(root.kernels) < _MAX_KERNELS:
        version = base.removeprefix("vmlinuz-")
        root.kernels[version] = _kernel(body) if whole else None
    elif base.startswith("initramfs-") and base.endswith(".img"):
        version = base.removeprefix("initramfs-").removesuffix(".img")
        if not version.endswith("kdump") and len(root.initramfs) < _MAX_KERNELS:
            root.initramfs[version] = _fault_of_initramfs(body.read(4096)) if whole else ""


def _kernel(body: BinaryIO) -> KernelImage | FormatError:
    try:
        return read_kernel_stream(body)
    except FormatError as error:
        return error


def _fault_of_initramfs(head: bytes) -> str:
    if not head.strip(b"\0"):
        return "begins with zeros and nothing else" if head else "is empty"
    known = compression_of(head[:16]) or head.startswith(_INITRAMFS)
    return "" if known else "is neither a cpio archive nor a compressed one"


def _fault_of_hooks(member: Member, body: BinaryIO) -> str:
    if member.kind != "file":
        return ""
    if not member.mode & 0o111:
        return "is not executable"
    return "" if body.read(2) == b"#!" else "does not begin with #!"


def _joined(folder: str, target: str) -> str:
    """Return where a link in `folder` points, as the name of a member; the root has no parent."""
    parts: list[str] = []
    for part in target.split("/") if target.startswith("/") else f"{folder}/{target}".split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


class _Watch:
    """Looks out for members that do harm to whoever unpacks the archive, or can't be unpacked.

    Of each name only its hash is kept: there may be a million of them.
    """

    def __init__(self, harms: dict[str, Harm]) -> None:
        self._harms = harms
        self._seen: dict[int, str] = {}
        self._full: set[int] = set()
        self._leaving: set[int] = set()
        self._parent = ""

    def see(self, member: Member) -> None:
        name = member.name
        if member.climbs or (member.kind == "hardlink" and member.links_out):
            self._harm("centos-climbs", name)
        if member.kind == "device" and not _DEVICES.intersection(name.split("/")[:-1]):
            self._harm("centos-device", name)
        kind = "file" if member.kind == "hardlink" else member.kind
        before = self._seen.setdefault(hash(name), kind)
        # GNU tar puts anything in place of anything, but for a directory that has something in it.
        if before == "dir" != kind and hash(name) in self._full:
            self._harm("centos-twice", name)
        self._full.add(hash(name.rpartition("/")[0]))
        if self._leaving:
            self._check_parents(name)
        if kind == "symlink" and _leaves(member.target):
            self._leaving.add(hash(name))
            self._parent = ""

    def _check_parents(self, name: str) -> None:
        """Find what is below a link that leaves.

        GNU tar makes those links last of all; until then an empty file is in their place.
        """
        parent = name.rpartition("/")[0]
        if parent == self._parent:
            return
        self._parent = parent
        while parent:
            if hash(parent) in self._leaving:
                self._parent = ""
                self._harm("centos-below-link", name)
                return
            parent = parent.rpartition("/")[0]

    def _harm(self, code: str, name: str) -> None:
        if code in self._harms:
            self._harms[code].count += 1
        else:
            self._harms[code] = Harm(name)


def _leaves(target: str) -> bool:
    return target.startswith("/") or (".." in target and ".." in target.split("/"))
