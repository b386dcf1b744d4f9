"""The initial file system that a kernel boots with.

It is one cpio archive after another, each plain or compressed, with zeros between them: microcode
comes first and plain, then modules and programs in one that is compressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from mirror.formats.compression import within
from mirror.formats.cpio import at_archive, read_cpio
from mirror.formats.errors import FormatError
from mirror.formats.expand import expand
from mirror.formats.feed import Feed, feed_of
from mirror.formats.head import HEAD_SIZE, check_head
from mirror.formats.kernel_headers import after_uimage
from mirror.formats.sniff import SNIFF, compression_of

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 4 * 1024**3
"""What an initrd may expand to, in bytes."""

MAX_ARCHIVES = 1000
MAX_MEMBERS = 1_000_000
MAX_KERNELS = 100
LZO = b"\x89LZO\0"
BOOTCONFIG = b"#BOOTCONFIG\n"
MODULES = ("lib/modules/", "usr/lib/modules/")


@dataclass(frozen=True)
class Initrd:
    """What was found in an initrd that is whole.

    `compressions` has a name for each archive ('' for a plain one); `kernels` are the versions that
    it has modules for: the names below `lib/modules` and `usr/lib/modules`. `unread` names a
    compression that kernels know and we do not (`lzo`): from there on nothing was looked at.
    """

    archives: int
    compressions: tuple[str, ...]
    members: int
    kernels: frozenset[str]
    unread: str = ""


def read_initrd(file: Path) -> Initrd:
    """Read an initrd to its end.

    Raises `FormatError` where it is no initrd, is damaged or cut, or expands to more than 4 GiB.
    """
    with file.open("rb", buffering=0) as stream:
        return read_initrd_stream(stream)


def read_initrd_stream(stream: BinaryIO) -> Initrd:
    """Do what `read_initrd` does, from an open file."""
    feed = feed_of(stream)
    if after_uimage(feed) not in {"", "initrd"}:
        raise FormatError("is no initrd: it is another image of U-Boot's")
    head = feed.peek(HEAD_SIZE)
    if not at_archive(head) and head.strip(b"\0"):
        check_head(head)
    found = _Found()
    feed.skip_zeros()
    while head := feed.peek(SNIFF):
        form = compression_of(head)
        if head.startswith(LZO):
            found.unread = "lzo"
            return found.initrd()
        if not form and not at_archive(head):
            if found.compressions and _ends_with_bootconfig(feed):
                break
            raise _neither(feed, found)
        try:
            if form:
                _read_compressed(feed, form, found)
            else:
                found.read(feed, "")
        except FormatError as error:
            raise FormatError(f"{error} (archive {len(found.compressions) + 1})") from error
        feed.skip_zeros()
    if not found.compressions:
        raise FormatError("is only zeros" if feed.position else "is empty")
    return found.initrd()


def _read_compressed(feed: Feed, form: str, found: _Found) -> None:
    """Read the archives inside compressed data: mostly one."""
    inner = Feed(within(expand(feed, form), LIMIT, before=found.expanded))
    inner.skip_zeros()
    before = len(found.compressions)
    while head := inner.peek(SNIFF):
        if not at_archive(head):
            raise FormatError(f"holds no cpio archive in its {form} data")
        found.read(inner, form)
        inner.skip_zeros()
    if len(found.compressions) == before:
        raise FormatError(f"holds no cpio archive in its {form} data")
    found.expanded += inner.position


def _ends_with_bootconfig(feed: Feed) -> bool:
    """Look at what the rest of a file ends with: parameters of the kernel, in a form of its own."""
    start, tail = feed.position, b""
    while chunk := feed.chunk():
        tail = (tail + chunk)[-len(BOOTCONFIG) :]
    if tail == BOOTCONFIG:
        return True
    feed.position = start
    return False


def _neither(feed: Feed, found: _Found) -> FormatError:
    if not found.compressions:
        return FormatError(
            "is no initrd: it begins with neither a cpio archive nor compressed data"
        )
    return FormatError(
        f"has neither a cpio archive nor compressed data at byte {feed.position}, "
        f"behind archive {len(found.compressions)}"
    )


class _Found:
    """What was read up to now."""

    def __init__(self) -> None:
        self.compressions: list[str] = []
        self.members = 0
        self.expanded = 0
        self.kernels: set[str] = set()
        self.unread = ""

    def read(self, feed: Feed, form: str) -> None:
        """Read one archive."""
        if len(self.compressions) == MAX_ARCHIVES:
            raise FormatError(f"holds more than {MAX_ARCHIVES} archives")
        for name in read_cpio(feed):
            self.members += 1
            if self.members > MAX_MEMBERS:
                raise FormatError(f"holds more than {MAX_MEMBERS} files")
            if "lib/modules/" in name:
                self._note_kernel(name)
        self.compressions.append(form)

    def _note_kernel(self, name: str) -> None:
        path = name.removeprefix(".").lstrip("/")
        for folder in MODULES:
            if path.startswith(folder) and (version := path[len(folder) :].split("/", 1)[0]):
                self.kernels.add(version)
        if len(self.kernels) > MAX_KERNELS:
            raise FormatError(f"has modules for more than {MAX_KERNELS} kernels")

    def initrd(self) -> Initrd:
        return Initrd(
            archives=len(self.compressions),
            compressions=tuple(self.compressions),
            members=self.members,
            kernels=frozenset(self.kernels),
            unread=self.unread,
        )
