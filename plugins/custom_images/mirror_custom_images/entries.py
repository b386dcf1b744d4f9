"""One thing in a file system or an archive, whatever it was read from."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Kind = Literal["file", "dir", "symlink", "hardlink", "char", "block", "fifo", "socket"]


def _nothing() -> BinaryIO:
    return BytesIO()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, a directory, a link or a device.

    `path` is relative to the root (`etc/os-release`), which is `.` itself; bytes that are no UTF-8
    are in it as surrogate escapes. `mode` is the permission bits, setuid, setgid and sticky among
    them; `mtime` is in nanoseconds. `target` is where a symbolic link points, or the path at which
    a hard link's file was seen first. `device` is (major, minor). `xattrs` have their full names
    (`security.selinux`, `system.posix_acl_access`), and values as the kernel gives them.
    """

    path: str
    kind: Kind
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    open: Callable[[], BinaryIO] = _nothing
    """Return the content of a file; of one in an archive, only until the next entry is read."""
