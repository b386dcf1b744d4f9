"""Custom images out of snapshots, where the catalogue is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.errors import BlobMissing, SnapshotInvalid
from mirror.images.declaration import Declaration
from mirror.images.names import CUSTOM_SOURCE
from mirror.images.records import CustomImage, ImageVersion
from mirror.sync.published import each_published

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from mirror.model import Product, Version
    from mirror.store import Store
    from mirror.sync.plan import Planned


def images_of(
    published: Iterable[Planned], store: Store, ids: Sequence[str], *, usual: int, now: datetime
) -> list[CustomImage]:
    """Return the custom images among what is `published`, as the catalogue has them.

    No snapshot tells who put them in. What the greatest version of each was, all of them tell: a
    version that comes next is greater. `usual` is how many are held of one.
    """
    products = [each.product for each in published if each.source == CUSTOM_SOURCE]
    newest = _newest(store, ids) if products else {}
    return [
        CustomImage(
            declaration=_declaration(product),
            keep=len(product.versions) if len(product.versions) > usual else 0,
            newest=newest[product.name],
            versions=tuple(_version(each, now) for each in product.versions),
        )
        for product in products
    ]


def _newest(store: Store, ids: Sequence[str]) -> dict[str, str]:
    newest: dict[str, str] = {}
    for snapshot_id in ids:
        try:
            for each in each_published(store.snapshots.load(snapshot_id), store.blobs):
                if each.source == CUSTOM_SOURCE and each.product.versions:
                    name, last = each.product.name, each.product.versions[-1].name
                    newest[name] = max(newest.get(name, ""), last)
        except (BlobMissing, SnapshotInvalid):  # the report says so
            continue
    return newest


def _declaration(product: Product) -> Declaration:
    said = product.attributes
    title = str(said.get("release_title", ""))
    return Declaration(
        os=product.os,
        release=product.release,
        arch=product.arch,
        subarch=str(said.get("subarch", "generic")),
        ftype=product.versions[-1].items[0].ftype,
        title="" if title == f"{product.os}/{product.release}" else title,
        base_image=str(said.get("base_image", "")),
        licence=product.licence,
    )


def _version(version: Version, now: datetime) -> ImageVersion:
    return ImageVersion(name=version.name, items=version.items, at=now, by="rebuilt")
