"""Curtin hooks in a `root-tgz`: put in front of it, with not a byte of it packed anew.

A gzip file may be several members, one behind the other, as `cat a.gz b.gz` makes them. So a small
one with the hooks goes first, a tar that does not end, and then the file as it was. Where hooks are
in it already, it is copied block by block without them: headers stay as they are, and with them
whatever extended attributes and holes the members have.
"""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

from mirror.api import BuildRefused
from mirror.formats import decompressed, read_archive
from mirror_custom_images.building.containers import MOST, tgz
from mirror_custom_images.building.hooks import ROOT, as_tar
from mirror_custom_images.building.parallel_gzip import PIECE
from mirror_custom_images.building.tar_blocks import blocks_without

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mirror_custom_images.building.hooks import Hook

_COPIED = 64 * 1024**2
"""Bytes that are copied between two reports."""


def own_hooks(file: Path, report: Callable[[int, int], None]) -> str:
    """Return the first member of a root that is below `/curtin`, and no directory; '' for none.

    The archive is read to its end. Raises `FormatError` where it is damaged.
    """
    found = ""
    with file.open("rb", buffering=0) as source:
        total = source.seek(0, 2)
        source.seek(0)
        for count, (member, _) in enumerate(read_archive(source, limit=MOST)):
            if not found and is_hook(member.name) and member.kind != "dir":
                found = member.name
            if not count % 1000:
                report(min(source.tell(), total), total)
    return found


def is_hook(name: str) -> bool:
    """Say whether a member is `/curtin`, or below it."""
    return name == ROOT or name.startswith(f"{ROOT}/")


def put_hooks_in_front(
    file: Path, out: Path, hooks: tuple[Hook, ...], report: Callable[[int, int], None]
) -> None:
    """Write a gzipped tar to a new file, with hooks in front of it: it must have none."""
    total = file.stat().st_size
    with file.open("rb", buffering=0) as source, out.open("xb", buffering=0) as target:
        target.write(gzip.compress(as_tar(hooks), mtime=0))
        done = 0
        while count := _copied(source.fileno(), target.fileno(), _COPIED):
            done += count
            report(done, total)


def replace_hooks(
    file: Path,
    out: Path,
    hooks: tuple[Hook, ...],
    *,
    level: int,
    report: Callable[[int, int], None],
) -> None:
    """Write a tar to a new `root-tgz`, with these hooks in place of its own.

    Raises `FormatError` where it is damaged, in a way that matters here: look at it before.
    """
    with file.open("rb", buffering=0) as source, tgz(out, level) as target:
        total = source.seek(0, 2)
        source.seek(0)
        target.write(as_tar(hooks))
        with decompressed(source, limit=MOST) as content:
            for count, block in enumerate(blocks_without(content, is_hook)):
                target.write(block)
                if not count % 1000:
                    report(min(source.tell(), total), total)


def refuse(found: str) -> BuildRefused:
    """Return what is said of a root that has hooks already."""
    return BuildRefused(
        f"it has hooks of its own already: {found[:80]!a}",
        "Put others in their place with the option hooks=replace, or leave out the hooks.",
    )


def _copied(source: int, target: int, most: int) -> int:
    """Copy the next bytes of one file to another, in the kernel where that can; return how many."""
    try:
        return os.copy_file_range(source, target, most)
    except OSError:  # another file system, or one that can't
        return _copied_by_hand(source, target)


def _copied_by_hand(source: int, target: int) -> int:
    data = memoryview(os.read(source, PIECE))
    rest = data
    while rest:
        rest = rest[os.write(target, rest) :]
    return len(data)
