"""Choose how to make an image, by what the file is and what is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.api import BuildRefused
from mirror.formats import identify, way_out
from mirror_custom_images.building.hooks import read_hooks
from mirror_custom_images.building.options import Options, read_options
from mirror_custom_images.disks.expanded import holds_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mirror.api import BuildOrder, Built, Product
    from mirror.formats import ImageType
    from mirror_custom_images.building.hooks import Hook

ROOT_TGZ = "root-tgz"
DD_GZ = "root-dd.gz"

_TREES = {"tar of a root file system", "tar of files"}
BARE = "file system without a partition table"
_DISKS = {"raw", "file system", "qcow2", "vhd", "vhdx"}


@dataclass(frozen=True, kw_only=True)
class Work:
    """All that there is to know of one build."""

    product: Product
    file: Path
    found: ImageType
    order: BuildOrder
    options: Options
    hooks: tuple[Hook, ...]
    scratch: Path
    report: Callable[[int, int], None]

    @property
    def out(self) -> Path:
        """Where the image is to be."""
        return self.scratch / "image"


def build(
    product: Product,
    file: Path,
    order: BuildOrder,
    scratch: Path,
    report: Callable[[int, int], None],
) -> Built:
    """Make an image; see `mirror.api.Distribution.build`."""
    work = Work(
        product=product,
        file=file,
        found=identify(file),
        order=order,
        options=read_options(order.options),
        hooks=read_hooks(order.hooks) if order.hooks is not None else (),
        scratch=scratch,
        report=report,
    )
    if work.found.inside in _TREES:
        from mirror_custom_images.building.of_tree import build_of_tree

        return build_of_tree(work)
    if work.found.form in _DISKS or holds_disk(work.found):
        from mirror_custom_images.building.of_disk import build_of_disk

        return build_of_disk(work)
    raise refused(work.found)


def refused(found: ImageType) -> BuildRefused:
    """Return what is said of a file that nothing can be built of."""
    if found.ftype:
        what = f"it is {found}, which MAAS takes as {found.ftype}: there is nothing to build"
        return BuildRefused(what, "Add it as it is.")
    way = way_out(found)
    return BuildRefused(f"it is {found}", f"{way[:1].upper()}{way[1:]}.")
