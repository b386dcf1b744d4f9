"""What the boot sources offer, as it is listed for people: each product, taken or why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.validations import content_digest
from mirror.model import AvailableImage
from mirror.plugin_manager.words import clean
from mirror.simplestreams.collector import collector_paused
from mirror.sync.selecting import kernel_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mirror.api import Distribution
    from mirror.catalog import Catalog
    from mirror.model import Product, Version
    from mirror.sync.plan import Considered, Planned

_NEXT_SYNC = "selected: comes with the next sync"
_GOES = "leaves with the next sync"
_LONGEST_TITLE = 200
"""Characters."""


@collector_paused()
def store_available(
    catalog: Catalog,
    considered: Iterable[Considered],
    read: Collection[str],
    enabled: Collection[str],
    *,
    published: Mapping[str, Planned] | None = None,
) -> None:
    """Store what the sources that were `read` offer; forget those that are not `enabled`.

    With `published`, nothing was synced: what counts as taken is what the channel has.
    """
    by_source: dict[str, list[AvailableImage]] = {name: [] for name in read}
    for each in considered:
        taken, reason = each.taken, each.reason
        if published is not None:
            ours = published.get(each.product.name)
            taken = ours is not None and ours.source == each.source
            if each.taken and not taken:
                reason = reason or _NEXT_SYNC
            elif taken and not each.taken:
                reason = f"{reason}: {_GOES}"
        by_source[each.source].append(_image(each, taken=taken, reason=reason))
    catalog.available.replace(by_source, keep=enabled)


def title_of(product: Product, distribution: Distribution | None) -> str:
    """Name a product for a person, on a line; by its own name where no plugin can."""
    try:
        said = distribution.describe(product) if distribution else ""
        title = clean(said, _LONGEST_TITLE) if isinstance(said, str) else ""
    except Exception:  # noqa: BLE001  (a plugin's code: anything may come)
        title = ""
    return title or product.name


def _image(each: Considered, *, taken: bool, reason: str) -> AvailableImage:
    product, about = each.product, each.product.attributes
    newest = _newest(product, each.distribution)
    return AvailableImage(
        source=each.source,
        product=product.name,
        os=product.os,
        release=product.release,
        arch=product.arch,
        subarch=kernel_of(about),
        label=str(about.get("label", "")),
        title=title_of(product, each.distribution),
        version=newest.name if newest else "",
        bytes=sum(item.size for item in newest.items) if newest else 0,
        taken=taken,
        reason=reason,
        digest=content_digest(newest) if newest else "",
    )


def _newest(product: Product, distribution: Distribution | None) -> Version | None:
    """Return the newest version, with what would be taken of it; all where no plugin says."""
    if not product.versions:
        return None
    newest = product.versions[-1]
    try:
        chosen = tuple(distribution.choose_items(product, newest)) if distribution else ()
    except Exception:  # noqa: BLE001  (a plugin's code: anything may come)
        chosen = ()
    return msgspec.structs.replace(newest, items=chosen) if chosen else newest
