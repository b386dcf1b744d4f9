"""Whether curtin finds its way on a disk: a directory `curtin`, on one of the file systems.

It mounts one partition after the other, and looks; the deployment fails where it finds nothing, and
goes on with the last that it finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mirror.api import Finding, Severity
from mirror.formats import FormatError
from mirror_custom_images.checks.curtin_hooks import HOOKS, fault_of_hooks
from mirror_custom_images.checks.on_disk import MOUNTED
from mirror_custom_images.checks.seen import MOST_TEXT, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirror.api import Product
    from mirror_custom_images.checks.on_disk import Place
    from mirror_custom_images.entries import Entry
    from mirror_custom_images.filesystems.filesystem import FileSystem

MARKS = ("curtin", "system-data/var/lib/snapd", "snaps")
"""The directories by which curtin knows the file system that it is to work in."""
HELPLESS = frozenset(("esxi", "windows"))
"""Systems that curtin can do nothing with by itself: all depends on hooks in the image."""


class _Marked(NamedTuple):
    place: Place
    files: FileSystem
    mark: str


def check_curtin(places: Sequence[Place], product: Product) -> Iterator[Finding]:
    """Say whether curtin finds one file system to work in, and can run the hooks there."""
    marked: list[_Marked] = []
    for place in places:
        if place.kind in MOUNTED and place.files is not None:
            try:
                marked += _marks(place, place.files)
            except FormatError as error:
                what = f"the {place.kind} on it {error}: what is in it is not checked"
                yield _finding(Severity.WARNING, "filesystem-unread", place.name, what)
    if not marked:
        yield _nothing(places, product)
        return
    if len(marked) > 1:
        some = ", ".join(each.place.name for each in marked)
        what = f"there is a directory {marked[0].mark} on {some}: curtin works in the last it finds"
        yield _finding(Severity.WARNING, "several-curtin", "", f"{what}; leave one")
    for each in marked:
        if each.mark == "curtin":
            yield from _hooks(each, product)


def _marks(place: Place, files: FileSystem) -> list[_Marked]:
    for mark in MARKS:
        entry = files.find(mark)
        if entry is not None and entry.kind == "dir":
            return [_Marked(place, files, mark)]
    return []


def _nothing(places: Sequence[Place], product: Product) -> Finding:
    """Say that curtin finds nothing: as a maybe, where a file system could not be looked into."""
    unread = [each for each in places if each.kind in MOUNTED and each.files is None]
    what = "no partition has a directory curtin"
    if unread:
        some = ", ".join(f"{each.name} ({each.kind})" for each in unread)
        what = f"no partition that can be read has a directory curtin, and {some} can't be"
    what = (
        f'{what}: a deployment without one fails with "Did not find any filesystem ... that '
        "contained one of ['curtin', ...]\"; put curtin hooks into the image"
    )
    certain = product.os in HELPLESS and not unread
    return _finding(Severity.ERROR if certain else Severity.WARNING, "no-curtin", "", what)


def _hooks(marked: _Marked, product: Product) -> Iterator[Finding]:
    where = marked.place.where(HOOKS)
    try:
        entry = marked.files.find(HOOKS)
        certain, doubtful = _fault(entry, product)
    except FormatError as error:
        certain, doubtful = "", f"{error}"
    if certain:
        yield _finding(Severity.ERROR, "curtin-hooks", where, f"{HOOKS} {certain}")
    elif doubtful:
        yield _finding(Severity.WARNING, "curtin-hooks", where, f"{HOOKS} {doubtful}")


def _fault(entry: Entry | None, product: Product) -> tuple[str, str]:
    """Return what is certainly wrong with the hooks, and what may be; '' for nothing."""
    if entry is None:
        if product.os in HELPLESS:
            return f"is not there: curtin can't install {shown(product.os)} without", ""
        return "", "is not there: curtin does what it does for the systems that it knows"
    if entry.kind != "file":
        return "", f"is a {entry.kind}"
    if product.os == "windows" and not entry.size:
        return "", ""  # finalize does the work, as packer-maas builds it
    with entry.open() as stream:
        return fault_of_hooks(entry, stream.read(MOST_TEXT))


def _finding(severity: Severity, code: str, where: str, what: str) -> Finding:
    return Finding(severity, f"custom-images-{code}", where, what)
