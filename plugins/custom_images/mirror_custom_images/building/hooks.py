"""Curtin hooks in a directory, to be put into an image as `/curtin`: always the same bytes."""

from __future__ import annotations

import os
import stat
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.api import BuildRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = "curtin"
MTIME = 1_577_836_800
"""In seconds: always the same, and not so old that tar wonders."""

_RUN = ("curtin-hooks", "finalize")
"""What curtin runs, if it is there: one of them must be."""
_MOST_FILES = 1000
_MOST_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Hook:
    """A file or a directory: `path` is relative to the root of the image, `content` a file's."""

    path: str
    mode: int
    content: bytes | None = None


def read_hooks(folder: Path) -> tuple[Hook, ...]:
    """Read a directory with curtin hooks, or one with a directory `curtin` that they are in.

    The directory itself comes first, and each before what is in it, in the order of the names.
    Raises `BuildRefused` for what is no such directory, or has something else in it.
    """
    inner = folder / ROOT
    if inner.is_dir() and not any((folder / name).exists() for name in _RUN):
        folder = inner
    if not folder.is_dir():
        raise _refused(f"{folder.name} is no directory")
    found = [Hook(ROOT, 0o755)]
    size = 0
    for hook in _walk(folder, ROOT):
        found.append(hook)
        size += len(hook.content or b"")
        if len(found) > _MOST_FILES or size > _MOST_BYTES:
            raise _refused(
                f"there are more than {_MOST_FILES:,} files or {_MOST_BYTES // 1024**2} MiB of them"
            )
    run = [each for each in found if each.path in {f"{ROOT}/{name}" for name in _RUN}]
    if not run:
        raise _refused(f"there is neither a {_RUN[0]} nor a {_RUN[1]}")
    for each in run:
        if not each.mode & 0o100:
            raise _refused(f"{each.path} can't be run: make it executable")
    return tuple(found)


def _walk(folder: Path, path: str) -> Iterator[Hook]:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        name = f"{path}/{entry.name}"
        about = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(about.st_mode) & 0o777
        if not name.isprintable():
            raise _refused(f"{name!r} is no name of a file")
        if entry.is_dir(follow_symlinks=False):
            yield Hook(name, mode)
            yield from _walk(folder / entry.name, name)
        elif entry.is_file(follow_symlinks=False):
            if about.st_size > _MOST_BYTES:
                raise _refused(f"{name} is of {about.st_size:,} bytes")
            yield Hook(name, mode, (folder / entry.name).read_bytes())
        else:
            raise _refused(f"{name} is neither a file nor a directory")


def as_tar(hooks: tuple[Hook, ...]) -> bytes:
    """Return the hooks as members of a tar, owned by root, without the end of an archive."""
    return b"".join(_member(each) for each in hooks)


def _member(hook: Hook) -> bytes:
    info = tarfile.TarInfo(f"./{hook.path}")
    info.mode, info.mtime, info.uname, info.gname = hook.mode, MTIME, "root", "root"
    if hook.content is None:
        info.type = tarfile.DIRTYPE
        return info.tobuf(tarfile.GNU_FORMAT)
    info.size = len(hook.content)
    header = info.tobuf(tarfile.GNU_FORMAT)
    return header + hook.content + bytes(-len(hook.content) % 512)


def _refused(what: str) -> BuildRefused:
    return BuildRefused(
        f"the hooks: {what}",
        "Name a directory with an executable curtin-hooks in it, and what that needs.",
    )
