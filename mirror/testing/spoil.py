"""Ways to spoil a good file: what networks, disks and strangers make of it.

    bad = spoil.cut(squashfs)                            # a download that ended early
    bad = spoil.gzip_bomb(4 << 30)                       # 4 MB that expand to 4 GiB
    bad = spoil.tar_with({"a": b"a"}, "../../etc/passwd")  # an archive that climbs

Each function gives bytes, the same for the same arguments. What only one distribution calls bad (a
kernel of another architecture) is for its own tests to make.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from typing import TYPE_CHECKING, Literal

from mirror.testing.artefacts import MTIME, noise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Planted = Literal["file", "dir", "symlink", "hardlink", "device", "fifo"]

_TYPES: dict[Planted, bytes] = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "device": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}
_BLOCK = 32 << 20


def web_page() -> bytes:
    """Return what a captive portal answers to any request, with status 200."""
    return (
        b"<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>"
        b"<h1>Please log in to use this network</h1>" + b"<p>Terms of use.</p>" * 40 + b"</body>"
        b"</html>\n"
    )


def zeros(size: int) -> bytes:
    """Return zeros: what is left of a file after a power cut."""
    return bytes(size)


def empty() -> bytes:
    """Return nothing at all."""
    return b""


def cut(data: bytes, at: int | None = None) -> bytes:
    """Return the first `at` bytes; the first half unless given."""
    return data[: len(data) // 2 if at is None else at]


def scrambled(size: int) -> bytes:
    """Return noise that is of no format, and no text in any encoding."""
    return b"\xff\x01" + noise("spoiled", size - 2)


def utf16(text: str) -> bytes:
    """Return text in another encoding than UTF-8, as some editors save it."""
    return text.encode("utf-16")


def gzip_bomb(size: int, *, head: bytes = b"") -> bytes:
    """Return a valid gzip file that expands to `head` and zeros, a thousand times its own length.

    It is quickly made: every 32 MiB are a gzip member of their own, as `cat a.gz b.gz` has them.
    """
    pieces = [_gzip(head)] if head else []
    whole, rest = divmod(max(size - len(head), 0), _BLOCK)
    if whole:
        pieces.append(_gzip(bytes(_BLOCK)) * whole)
    if rest:
        pieces.append(_gzip(bytes(rest)))
    return b"".join(pieces)


def tar_with(
    files: Mapping[str, bytes], name: str, kind: Planted = "file", *, target: str = ""
) -> bytes:
    """Return a tar of good `files` and, behind them, one member that should not be there.

    `name` may climb (`../x`) or be absolute; `target` is where a link leads.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for good, content in files.items():
            archive.addfile(_member(good, len(content)), io.BytesIO(content))
        planted = _member(name, 0)
        planted.type, planted.linkname = _TYPES[kind], target
        if kind == "device":
            planted.devmajor, planted.devminor = 8, 0
        archive.addfile(planted)
    return out.getvalue()


GENERIC: dict[str, Callable[[bytes], bytes]] = {
    "a web page": lambda _: web_page(),
    "zeros": lambda good: zeros(max(len(good), 1)),
    "nothing": lambda _: empty(),
    "its first half": cut,
    "noise": lambda good: scrambled(max(len(good), 64)),
}
"""What becomes of any file: how it is said, and the bad bytes from the good ones."""


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, MTIME, 0o644
    return info


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()
