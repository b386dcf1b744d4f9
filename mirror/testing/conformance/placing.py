"""Checks of how a rack lays out what its machines boot from."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import msgspec

from mirror.api import Placement
from mirror.errors import UnsafePath
from mirror.simplestreams.paths import check_item_path
from mirror.testing.conformance.making import derived_items
from mirror.testing.conformance.specimen import must

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mirror.model import Item, Product, Version
    from mirror.testing.conformance.specimen import Specimen


class PlacingChecks:
    """Where a rack puts its items."""

    def test_lays_out_safely(self, specimen: Specimen) -> None:
        """`lay_out` must put items of the version at relative paths, each path once."""
        placed_any = False
        for product, version in _published(specimen):
            placements = list(specimen.distribution.lay_out(product, version))
            again = list(specimen.distribution.lay_out(product, version))
            must(placements == again, f"{product.name}: it lays out {placements}, and then {again}")
            known = {item.name for item in version.items}
            for each in placements:
                must(isinstance(each, Placement), f"{product.name}: {each!r} is no Placement")
                must(each.item in known, f"{product.name}: there is no item {each.item!r} to place")
                _check_path(product, each)
            single = [(each.path, each.item if each.unpack else "") for each in placements]
            must(len(set(single)) == len(single), f"{product.name}: a path twice: {placements}")
            placed_any = placed_any or bool(placements)
        must(
            placed_any or not specimen.overrides("lay_out"),
            "lay_out is overridden and places nothing of the sample: leave it out",
        )

    def test_layouts_do_not_collide(self, specimen: Specimen) -> None:
        """`lay_out` must not want two products' files at one path of a rack, unpacked or not."""
        wanted: dict[str, tuple[str, str]] = {}
        for product, version in _published(specimen):
            for path, content in _files(specimen, product, version):
                first, owner = wanted.setdefault(path, (content, product.name))
                must(
                    first == content,
                    f"{owner} and {product.name} have different files at {path!r} of a rack",
                )
        for path in wanted:
            for parent in _parents(path):
                must(parent not in wanted, f"{parent!r} is a file, and the folder of {path!r}")


def _published(specimen: Specimen) -> Iterator[tuple[Product, Version]]:
    """Yield the newest versions as they would be published."""
    for product, version in specimen.newest():
        chosen = specimen.chosen(product, version)
        made: tuple[Item, ...] = ()
        if specimen.overrides("derive"):
            made = derived_items(specimen, product, version)
        yield product, msgspec.structs.replace(version, items=(*chosen, *made))


def _check_path(product: Product, placement: Placement) -> None:
    try:
        check_item_path(placement.path)
    except UnsafePath as error:
        must(None, f"{product.name}: it puts {placement.item} where no rack may: {error}")


def _files(specimen: Specimen, product: Product, version: Version) -> Iterator[tuple[str, str]]:
    """Yield each file of the layout: its path, and a name for its content."""
    items = {item.name: item for item in version.items}
    files = specimen.files(product, product.versions[-1])
    for each in specimen.distribution.lay_out(product, version):
        if not each.unpack:
            yield each.path, items[each.item].sha256
        elif each.item in files:
            for member in _members(files[each.item]):
                yield f"{each.path}/{member}", f"{items[each.item].sha256} {member}"


def _members(archive: Path) -> list[str]:
    with tarfile.open(archive) as opened:
        return [member.name.removeprefix("./") for member in opened if member.isfile()]


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
