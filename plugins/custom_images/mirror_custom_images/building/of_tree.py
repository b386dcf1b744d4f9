"""A root file system in a tar: as `root-tgz`, with hooks put in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import BuildRefused, Built
from mirror_custom_images.building.build import ROOT_TGZ
from mirror_custom_images.building.containers import repack_root
from mirror_custom_images.building.hooks import as_tar
from mirror_custom_images.building.options import OF_TREE
from mirror_custom_images.building.tgz_hooks import (
    own_hooks,
    put_hooks_in_front,
    refuse,
    replace_hooks,
)

if TYPE_CHECKING:
    from mirror_custom_images.building.build import Work


def build_of_tree(work: Work) -> Built:
    """Make a `root-tgz` of a tar. Raises `BuildRefused`, and `FormatError` for a damaged one."""
    wanted = work.order.ftype or ROOT_TGZ
    if wanted.startswith("root-dd") or work.product.os in {"windows", "esxi"}:
        raise BuildRefused(
            f"it is {work.found}: no image of a disk can be made of it",
            "A disk has partitions and a boot loader, which a tar lacks: take the disk that the "
            "tar was made of, or build one with Packer.",
        )
    if wanted != ROOT_TGZ:
        raise BuildRefused(
            f"of {work.found}, no {wanted} is made",
            f"Take {ROOT_TGZ}: MAAS takes it wherever it takes another tar or a squashfs.",
        )
    work.options.check_for(f"a {ROOT_TGZ} of a tar", OF_TREE)
    if work.hooks:
        _with_hooks(work)
    elif work.found.ftype == ROOT_TGZ:
        raise BuildRefused(
            f"it is a {ROOT_TGZ} already, and no hooks are to be put in: there is nothing to build",
            "Add it as it is.",
        )
    else:
        _repack(work, b"")
    return Built(ftype=ROOT_TGZ, file=work.out)


def _with_hooks(work: Work) -> None:
    found = own_hooks(work.file, work.report)
    if found and not work.options.replace_hooks:
        raise refuse(found)
    if found:
        level = work.options.level
        replace_hooks(work.file, work.out, work.hooks, level=level, report=work.report)
    elif work.found.ftype == ROOT_TGZ:
        put_hooks_in_front(work.file, work.out, work.hooks, work.report)
    else:
        _repack(work, as_tar(work.hooks))


def _repack(work: Work, front: bytes) -> None:
    level = work.options.level
    repack_root(work.file, work.out, front=front, level=level, report=work.report)
