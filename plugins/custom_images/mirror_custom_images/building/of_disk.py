"""A disk, in whatever form: as an image of a disk, or of the root file system in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.api import BuildRefused, Built, Finding, Severity
from mirror_custom_images.building.build import BARE, DD_GZ, ROOT_TGZ
from mirror_custom_images.building.containers import repack_disk, tgz
from mirror_custom_images.building.dd_gz import WRITTEN, write_disk
from mirror_custom_images.building.fitting import fitted
from mirror_custom_images.building.hooks import as_tar
from mirror_custom_images.building.options import OF_DISK, OF_ROOT_IN_DISK
from mirror_custom_images.building.overlay import Overlay
from mirror_custom_images.disks.bombs import check_ratio

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mirror_custom_images.building.build import Work
    from mirror_custom_images.disks.disk import Disk

_DISK_ONLY = {"windows", "esxi"}
_ROOT_ONLY = {"rhel", "centos", "suse", "ol"}
_NEITHER = "a file system without a partition table is no disk that a machine boots from"


def build_of_disk(work: Work) -> Built:
    """Make an image of a disk. Raises `BuildRefused`, and `FormatError` for a damaged one."""
    wanted = work.order.ftype or _usual(work)
    if wanted in {"", ROOT_TGZ}:
        work.options.check_for(f"a {ROOT_TGZ}", OF_ROOT_IN_DISK)
        try:
            return _root(work)
        except BuildRefused as refusal:
            if wanted or work.found.inside == BARE:
                raise
            return _disk(work, DD_GZ, [_why_disk(refusal)])
    if wanted not in WRITTEN:
        raise BuildRefused(
            f"of {work.found}, no {wanted} is made",
            f"Take {DD_GZ}: MAAS takes it wherever it takes another image of a disk.",
        )
    return _disk(work, wanted, [])


def _usual(work: Work) -> str:
    """Return the type that suits an operating system; '' where that depends on what is inside."""
    if work.product.os in _ROOT_ONLY:
        return ROOT_TGZ
    if work.product.os in _DISK_ONLY or work.options.given.keys() - OF_ROOT_IN_DISK:
        return DD_GZ
    return ""


def _why_disk(refusal: BuildRefused) -> Finding:
    message = f"it is an image of the whole disk, for no root-tgz can be made of it: {refusal.what}"
    return Finding(Severity.NOTE, "custom-images-built-as-disk", DD_GZ, message)


# --- a root file system ---------------------------------------------------------------------------


def _root(work: Work) -> Built:
    from mirror_custom_images.building.root_tgz import OPTIONS, build_root_tgz
    from mirror_custom_images.disks.containers import open_disk

    own = {name: value for name, value in work.options.given.items() if name in OPTIONS}
    order = msgspec.structs.replace(work.order, options=own)
    try:
        with open_disk(work.file, work.scratch) as disk, tgz(work.out, work.options.level) as out:
            if work.hooks:
                _check_no_hooks(disk, own.get("root", ""))
                out.write(as_tar(work.hooks))
            findings = build_root_tgz(disk, work.product, order, out, work.report)
    except BuildRefused:
        work.out.unlink(missing_ok=True)
        raise
    return Built(ftype=ROOT_TGZ, file=work.out, findings=tuple(findings))


def _check_no_hooks(disk: Disk, root: str) -> None:
    from mirror_custom_images.building.disk_volumes import read_disk
    from mirror_custom_images.building.mounts import find_root

    system = find_root(read_disk(disk), root).system
    if system is not None and any(system.list("curtin")):
        raise BuildRefused(
            "it has hooks of its own already, in /curtin",
            "Build without hooks; then build again of the root-tgz, with the hooks and the option "
            "hooks=replace.",
        )


# --- a disk ---------------------------------------------------------------------------------------


def _disk(work: Work, ftype: str, findings: list[Finding]) -> Built:
    from mirror_custom_images.disks.containers import open_disk

    options = work.options
    options.check_for(f"a {ftype}", OF_DISK)
    if work.found.inside == BARE:
        raise BuildRefused(_NEITHER, f"Ask for a {ROOT_TGZ}, if it holds a whole system.")
    if _is_packed_otherwise(work, ftype):
        about = repack_disk(
            work.file,
            work.out,
            ftype,
            in_tar=work.found.inside == "tar of one disk image",
            level=options.level,
            report=work.report,
        )
        return Built(ftype=ftype, file=work.out, findings=tuple(findings), attributes=about)
    with open_disk(work.file, work.scratch) as given:
        _check_holes(given, work.file)
        disk, notes = fitted(given, shrink=options.shrink, mend=options.mend)
        disk, more = _written_to(disk, work)
        about = write_disk(disk, work.out, ftype, level=options.level, report=work.report)
    return Built(
        ftype=ftype,
        file=work.out,
        findings=(*findings, *_about([*notes, *more], ftype)),
        attributes=about,
    )


def _check_holes(disk: Disk, file: Path) -> None:
    """Refuse a disk of next to nothing but holes: each TiB of them takes minutes, and a GB."""
    data = sum(end - start for start, end in disk.extents(0, disk.size))
    check_ratio(data, file.stat().st_size, disk.size - data)


def _written_to(disk: Disk, work: Work) -> tuple[Disk, list[Finding]]:
    """Return the disk with what is to be put into its ESP, and notes on that."""
    from mirror_custom_images.building.esp_hooks import hook_patches, loader_patches

    notes = []
    if work.hooks:
        if work.product.os == "windows":
            raise BuildRefused(
                "hooks are not put into an image of Windows: they are to be on its own volume, "
                "and NTFS can't be written to without root",
                "Put them in where the image is built: the templates of packer-maas do.",
            )
        patches = hook_patches(disk, work.hooks, replace=work.options.replace_hooks)
        disk = Overlay(disk, disk.size, patches)
        message = "curtin's hooks were put into its EFI System Partition"
        notes.append(Finding(Severity.NOTE, "custom-images-hooks-added", "", message))
    if work.options.add_loader:
        patches, written = loader_patches(disk, work.product.arch)
        disk = Overlay(disk, disk.size, patches)
        message = f"its own loader was copied, to {' and '.join(written)}"
        if written:
            notes.append(Finding(Severity.NOTE, "custom-images-loader-added", "", message))
    return disk, notes


def _is_packed_otherwise(work: Work, ftype: str) -> bool:
    """Say whether it has the wrong wrapping, and nothing more is asked for than another one."""
    packed = work.found.form != "raw" and work.found.inside in {
        "disk image",
        "tar of one disk image",
    }
    asked = work.options.given.keys() & {"gpt", "loader", "shrink"} or work.hooks
    return packed and not asked and ftype in {DD_GZ, "root-dd.raw"} and work.found.ftype != ftype


def _about(findings: Iterable[Finding], ftype: str) -> list[Finding]:
    return [msgspec.structs.replace(each, where=ftype) for each in findings]
