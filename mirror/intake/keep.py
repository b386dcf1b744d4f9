"""Keep an image that was found good: its files in the store, its version in the catalogue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mirror.catalog.validations import Validation, content_digest
from mirror.images.declaration import Declaration, declared, product_name, root_item
from mirror.images.records import (
    ImageVersion,
    MadeFrom,
    as_before,
    change_image,
    find_image,
    with_version,
)
from mirror.images.versions import next_version
from mirror.intake.look import distribution_of
from mirror.intake.order import Taken
from mirror.intake.receive import Digested  # noqa: TC001  (a NamedTuple names it)
from mirror.model import Attributes, Finding, Item, Licence, Version, utcnow
from mirror.store.locks import file_lock
from mirror.sync.derived import store_derived
from mirror.sync.validate import judges

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mirror.images.records import CustomImage
    from mirror.intake.order import TakeOrder
    from mirror.isolation.workshop import Inspected
    from mirror.store import Store
    from mirror.sync.situation import Tools

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LONGEST = 200
"""Characters of an attribute."""

IMAGES_LOCK = "images.lock"
"""Below the data directory: who holds it keeps or changes an image, or drops unneeded files."""


class Good(NamedTuple):
    """An image that was looked into and found good."""

    declaration: Declaration
    digested: Digested
    findings: tuple[Finding, ...]
    made_from: MadeFrom | None
    attributes: Attributes
    """Of the item, as who built it says."""


def keep_image(
    file: Path, good: Good, inspected: Inspected, order: TakeOrder, tools: Tools
) -> Taken:
    """Make a version of it; the file is gone afterwards. Blocks.

    Of two for one name, each gets a version, one after the other; of two of the same file, one.
    Raises `DerivedRefused`, and the errors of the disk.
    """
    sha256, size = good.digested
    attributes = _plain(good.attributes)
    with file_lock(tools.store.dir.root / IMAGES_LOCK):
        declaration = _as_it_is(good.declaration, order, tools)
        again = _same_again(declaration, sha256, order, tools)
        if again is not None:
            return again
        name = following_version(declaration, tools)
        root = root_item(declaration, name, sha256, size)
        root = msgspec.structs.replace(root, attributes=attributes)
        about = f"{declaration.name} {name}"
        derived = store_derived(inspected, Version(name, (root,)), tools.store.blobs, about)
        items = (root, *_beside(root, derived))
        restrict(declaration, items, tools.store)
        tools.store.blobs.adopt(file, sha256)
        version = ImageVersion(
            name=name,
            items=items,
            at=utcnow(),
            by=order.by,
            judge=judges(tools.plugins)[distribution_of(declaration, tools.plugins)],
            findings=good.findings,
            accepted=order.accept,
            made_from=good.made_from,
        )
        _write_down(declaration, version, order, tools)
    product = product_name(declaration)
    return Taken(product=product, declaration=declaration, version=version, is_new=True)


def restrict(declaration: Declaration, items: Iterable[Item], store: Store) -> None:
    """Let nobody have files of an image that is not free by their digests alone. Blocks."""
    if declaration.licence is not Licence.FREE:
        for item in items:
            store.restricted.mark(item.sha256, declaration.licence.value)


def same_again(
    declaration: Declaration, sha256: str, order: TakeOrder, tools: Tools
) -> Taken | None:
    """Return the newest version, if it is this very file; what is said of it may be new. Blocks.

    Raises `LicenceFixed`.
    """
    with file_lock(tools.store.dir.root / IMAGES_LOCK):
        return _same_again(_as_it_is(declaration, order, tools), sha256, order, tools)


def _as_it_is(declaration: Declaration, order: TakeOrder, tools: Tools) -> Declaration:
    """Return the declaration by what is known of the image now: that may have changed meanwhile.

    A licence that an operator has given since the file came in is not taken back.
    """
    said = msgspec.structs.replace(order.wanted, ftype="")
    wanted = as_before(said, tools.catalog, licence_stays=order.licence_stays)
    return declared(wanted, declaration.ftype)


def _same_again(
    declaration: Declaration, sha256: str, order: TakeOrder, tools: Tools
) -> Taken | None:
    catalog = tools.catalog
    image = find_image(catalog, product_name(declaration))
    newest = image.versions[-1] if image is not None and image.versions else None
    if image is None or newest is None or newest.root.sha256 != sha256:
        return None
    if not all(tools.store.blobs.has(item.sha256) for item in newest.items):
        return None
    after = msgspec.structs.replace(image, declaration=declaration, keep=order.keep or image.keep)
    if after != image:
        for version in after.versions:
            restrict(declaration, version.items, tools.store)
        change_image(catalog, image.product, lambda _: after)
        catalog.audit.record(order.by, "image.set", image.product, image, after)
    return Taken(product=image.product, declaration=declaration, version=newest, is_new=False)


def following_version(declaration: Declaration, tools: Tools) -> str:
    """Return the name that the next version of an image gets."""
    image = find_image(tools.catalog, product_name(declaration))
    return next_version(image.newest if image else "", utcnow().date())


def _write_down(
    declaration: Declaration, version: ImageVersion, order: TakeOrder, tools: Tools
) -> None:
    catalog, usual = tools.catalog, tools.settings.images.keep
    product = product_name(declaration)
    digest = content_digest(Version(version.name, version.items))
    catalog.validations.record(
        [Validation(product, version.name, digest, version.judge, version.findings)]
    )

    def change(image: CustomImage | None) -> CustomImage:
        if image is not None and order.keep:
            image = msgspec.structs.replace(image, keep=order.keep)
        changed = with_version(image, declaration, version, order.keep or usual)
        return msgspec.structs.replace(changed, keep=order.keep or changed.keep)

    change_image(catalog, product, change)
    catalog.audit.record(order.by, "image.add", f"{product} {version.name}", None, version)


def _plain(attributes: Attributes) -> Attributes:
    """Return what can be published of attributes that a plugin gave: words and numbers."""
    return {
        name: value
        for name, value in attributes.items()
        if _NAME.fullmatch(name)
        and name not in Item.__struct_fields__
        and isinstance(value, str | int)
        and len(str(value)) <= _LONGEST
    }


def _beside(root: Item, derived: Iterable[Item]) -> tuple[Item, ...]:
    """Return derived items in the folder of the root item.

    They were made for a version that may have another name by now.
    """
    folder = root.path.rpartition("/")[0]
    return tuple(
        msgspec.structs.replace(each, path=f"{folder}/{each.path.rpartition('/')[2]}")
        for each in derived
    )
