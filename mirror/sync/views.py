"""Which metadata is for whom: a stream of what is free, and one for each combination of licences.

Of products that are not free, none but those who may have them should even know. So everyone's
stream does not list them, and whoever has licences gets a stream that lists what these are for. The
files that do not differ are shared: where everything is free, there is one stream and no cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.access.licences import FREE, combined, needed_for, needs_all, needs_any
from mirror.model import FileRef, Licence
from mirror.simplestreams.write import write_nothing, write_stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mirror.model import Product
    from mirror.simplestreams.write import Document
    from mirror.sync.offers import Planned

EVERYONE = ""
"""The name of the view of who has no licence."""


def write_views(products: Sequence[Product], updated: datetime) -> dict[str, list[Document]]:
    """Write everyone's stream, and those of the others, by the name of the view.

    Where nothing is free, everyone's is an empty one. Raises as `write_stream` does.
    """
    restricted = {
        each.licence.value
        for each in products
        if each.licence is not Licence.FREE and any(version.items for version in each.versions)
    }
    free = [each for each in products if each.licence is Licence.FREE]
    anything_free = any(version.items for each in free for version in each.versions)
    views = {EVERYONE: write_nothing(updated) if restricted and not anything_free else []}
    if not views[EVERYONE]:
        views[EVERYONE] = write_stream(free, updated)
    for licences in combined(restricted):
        seen = [each for each in products if each.licence in {Licence.FREE, *licences}]
        views[needs_all(licences)] = write_stream(seen, updated)
    return views


def image_files(planned: Sequence[Planned]) -> dict[str, FileRef]:
    """Return every image file by its path. One that is in several products is as free as it gets.

    It is the bytes that count: what anyone can have from a free product is hidden nowhere.
    """
    needed: dict[str, str] = {}
    if any(each.product.licence is not Licence.FREE for each in planned):
        ways: dict[str, set[str]] = {}
        for each in planned:
            licence = needed_for(each.product)
            for version in each.product.versions:
                for item in version.items:
                    ways.setdefault(item.sha256, set()).add(licence)
        needed = {sha256: needs_any(each) for sha256, each in ways.items()}
    return {
        item.path: FileRef(item.sha256, item.size, each.source, needed.get(item.sha256, FREE))
        for each in planned
        for version in each.product.versions
        for item in version.items
    }
