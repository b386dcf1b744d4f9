"""Which of MAAS's file types an image is, by what is in it: a name tells nothing.

The wrong one is what most failed deployments come from: a disk image that is taken for an archive,
or the other way round.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from mirror.formats.archive import read_archive
from mirror.formats.compression import decompressed
from mirror.formats.errors import FormatError
from mirror.formats.head import check_head
from mirror.formats.image_forms import FILE_SYSTEM, FOOTER, RAW, TAR, WANTED, form_of
from mirror.formats.sniff import COMPRESSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from mirror.formats.archive import Member

DISK = "disk image"
BARE = "file system without a partition table"
ROOT = "root file system"
ROOT_TAR = "tar of a root file system"
DISK_TAR = "tar of one disk image"
MIXED_TAR = "tar of a disk image and other files"
FILES_TAR = "tar of files"
CONTAINER = "tar of a container image"
APPLIANCE = "tar of a virtual appliance (OVA)"

UPLOAD_TYPES = {
    "tgz": "root-tgz",
    "tbz": "root-tbz",
    "txz": "root-txz",
    "ddtgz": "root-dd",
    "ddtbz": "root-dd.tar.bz2",
    "ddtxz": "root-dd.tar.xz",
    "ddtar": "root-dd.tar",
    "ddgz": "root-dd.gz",
    "ddbz2": "root-dd.bz2",
    "ddxz": "root-dd.xz",
    "ddraw": "root-dd.raw",
}
"""What MAAS calls a type where one is uploaded, and what it stores that as.

A squashfs has a stored type only: MAAS takes none by upload.
"""

FTYPES = (*UPLOAD_TYPES.values(), "squashfs")
"""The file types of images, as MAAS stores them."""

_FTYPES = {
    ("gzip", ROOT_TAR): "root-tgz",
    ("bzip2", ROOT_TAR): "root-tbz",
    ("xz", ROOT_TAR): "root-txz",
    ("gzip", DISK_TAR): "root-dd",
    ("bzip2", DISK_TAR): "root-dd.tar.bz2",
    ("xz", DISK_TAR): "root-dd.tar.xz",
    (TAR, DISK_TAR): "root-dd.tar",
    ("gzip", DISK): "root-dd.gz",
    ("bzip2", DISK): "root-dd.bz2",
    ("xz", DISK): "root-dd.xz",
    (RAW, DISK): "root-dd.raw",
    ("squashfs", ROOT): "squashfs",
}

_WINDOW = 512 * 1024
"""How much is looked at, in bytes; expanded, where it is compressed."""
_NO_LIMIT = 2**62

_ROOT_NAMES = frozenset({
    "bin", "boot", "curtin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media",
    "mnt", "opt", "proc", "root", "run", "sbin", "selinux", "snap", "srv", "sys", "tmp", "usr",
    "var",
})  # fmt: skip
_CONTAINER_NAME = re.compile(
    r"oci-layout|index\.json|manifest\.json|repositories|blobs/sha256.*"
    r"|[0-9a-f]{64}(\.json|/json|/VERSION|/layer\.tar)"
)


@dataclass(frozen=True, slots=True)
class ImageType:
    """What an image is.

    `ftype` is the type as MAAS stores it (`root-tgz`, `root-dd.gz`, `squashfs`); '' where MAAS can
    take none of the kind, see `way_out`. `form` is what the file is: a compression (`gzip`, `zstd`)
    or else `tar`, `raw`, `file system`, `squashfs`, `qcow2`, `vhd`, `vhdx`, `vmdk`, `iso9660` ...
    `inside` is what that holds: `disk image`, `tar of one disk image`, `tar of a root file system`,
    `root file system` ..., or the form of what is in it. `str` of it is what a person would say.
    """

    ftype: str
    form: str
    inside: str

    def __str__(self) -> str:
        """Name it as a person would: `a tar of a root file system, compressed with gzip`."""
        if self.form in COMPRESSIONS:
            return f"{_a(self.inside)}, compressed with {self.form}"
        if self.form == "squashfs":
            return "a squashfs of a root file system"
        return _a(self.inside if self.form in {RAW, TAR, FILE_SYSTEM} else self.form)


def identify(file: Path) -> ImageType:
    """Say what an image is, by its first 512 KiB, expanded, and its last 512 bytes.

    Whether the rest of it is whole is for others to see: an archive may have more after the disk
    image that it begins with. Raises `FormatError` where it is nothing known, or damaged so far.
    """
    with file.open("rb", buffering=0) as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, size - FOOTER))
        tail = stream.read(FOOTER)
        stream.seek(0)
        window = stream.read(_WINDOW)
        form = form_of(window[:WANTED], tail)
        if form not in COMPRESSIONS:
            return _found(form, _inside(form, window))
        stream.seek(0)
        return _found(form, _inside_compressed(stream))


def stored_type(word: str) -> str:
    """Return the type as MAAS stores it for either of its names (`ddgz`, `root-dd.gz`), else ''."""
    return UPLOAD_TYPES.get(word, word if word in FTYPES else "")


def upload_type(ftype: str) -> str:
    """Return what MAAS calls a type where one is uploaded; '' for what it takes in no upload."""
    return next((word for word, stored in UPLOAD_TYPES.items() if stored == ftype), "")


def _found(form: str, inside: str) -> ImageType:
    # A tar of files that are no root we know is checked as one: the check says what is missing.
    ftype = _FTYPES.get((form, ROOT_TAR if inside == FILES_TAR else inside), "")
    return ImageType(ftype, form, inside)


def _inside_compressed(stream: BinaryIO) -> str:
    with decompressed(stream, limit=_NO_LIMIT) as content:
        window = content.read(_WINDOW)
    if not window:
        raise FormatError("is compressed, and there is nothing in it")
    return _inside(form_of(window[:WANTED]), window)


def _inside(form: str, window: bytes) -> str:
    """Say what is in something of a form, of which the first bytes are in `window`."""
    if not form:
        check_head(window)
        raise FormatError(
            "is no image: neither a disk, nor an archive of a root file system, nor anything else "
            f"that is known; it begins with {window[:16].hex(' ')}"
        )
    if form == TAR:
        return _inside_tar(window)
    return {RAW: DISK, FILE_SYSTEM: BARE, "squashfs": ROOT}.get(form, form)


def _inside_tar(window: bytes) -> str:
    members: list[Member] = []
    forms: list[str] = []
    try:
        for member, content in read_archive(io.BytesIO(window), limit=_NO_LIMIT):
            members.append(member)
            if member.kind == "file" and len(forms) < 2:
                forms.append(form_of(content.read(WANTED)))
    except FormatError:
        if len(window) < _WINDOW:
            raise
    return _told_by_names(members) or _told_by_files(members, forms)


def _told_by_names(members: list[Member]) -> str:
    if any(member.name.partition("/")[0] in _ROOT_NAMES for member in members):
        return ROOT_TAR
    if any(_CONTAINER_NAME.fullmatch(member.name) for member in members):
        return CONTAINER
    return APPLIANCE if members and members[0].name.lower().endswith(".ovf") else ""


def _told_by_files(members: list[Member], forms: list[str]) -> str:
    """Tell by what is in the first two files: directories beside them do not count for `dd`."""
    if not forms or any(member.kind not in {"file", "dir"} for member in members):
        return FILES_TAR
    if len(forms) > 1:
        return MIXED_TAR if RAW in forms else FILES_TAR
    if forms[0] == RAW:
        return DISK_TAR
    return f"tar of one {forms[0]} file" if forms[0] else FILES_TAR


# --- what to do about one that MAAS can't take ----------------------------------------------------

_BUILD = "make an image of it with `mirror image build`"
_CONVERT = "make a raw disk of it with `qemu-img convert -O raw`, and then an image of that"
_INSTALL = (
    "it installs a system, and is none: install it in a virtual machine with Packer (packer-maas "
    "has templates for most systems), and take the image that this makes"
)
_TAKE_OUT = "take out what is in it, and use that"
_WAYS = {
    "qcow2": _BUILD,
    "vhd": _BUILD,
    "vhdx": _BUILD,
    "vmdk": _CONVERT,
    "vdi": _CONVERT,
    "qed": _CONVERT,
    "parallels": _CONVERT,
    "android-sparse": "expand it with `simg2img`, and use what that makes",
    "iso9660": _INSTALL,
    "wim": _INSTALL,
    "rpm": "it is a package, to be installed in an image",
    "deb": "it is a package, to be installed in an image",
    "elf": "it is a program, to be installed in an image",
    "cpio": "it is an archive such as an initrd is: pack the root file system with tar and gzip",
    BARE: (
        "put it on a disk with a partition table and a boot loader; of an ext4 or XFS with a whole "
        "system, `mirror image build` makes a root-tgz"
    ),
    CONTAINER: (
        "a container has neither kernel nor boot loader: build an image for machines, with Packer "
        "(packer-maas has templates for most systems)"
    ),
    APPLIANCE: f"take the disk out of it with tar, {_CONVERT}",
    MIXED_TAR: (
        "MAAS writes all the files in a tar to the disk, one behind the other: pack the disk image "
        "alone"
    ),
}


def way_out(found: ImageType) -> str:
    """Return what to do with an image that MAAS can't take, in a clause; '' where it can."""
    if found.ftype:
        return ""
    if found.inside in {ROOT_TAR, FILES_TAR}:
        return "MAAS takes a tar that is compressed with gzip, bzip2 or xz: compress it so"
    if found.inside in {DISK, DISK_TAR}:
        return f"MAAS knows no {found.form}: {_BUILD}"
    return _WAYS.get(found.inside, _TAKE_OUT)


_WITH_AN = ("a", "e", "i", "o", "u", "rpm", "xz")


def _a(noun: str) -> str:
    noun = noun if " " in noun else f"{noun} file"
    return f"{'an' if noun.startswith(_WITH_AN) else 'a'} {noun}"
