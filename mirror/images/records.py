"""What is known of each custom image: the truth of what is wanted of them, in the catalogue.

An image that was removed is remembered by its newest version: one that takes its name again goes on
from there.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (msgspec reads it)
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import LicenceFixed, NotFound
from mirror.images.declaration import Declaration, declared, product_name, product_of
from mirror.model import Finding, Item, Product, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirror.catalog import Catalog
    from mirror.images.declaration import Wanted


class MadeFrom(msgspec.Struct, frozen=True, kw_only=True):
    """The file that an image was built from, and how."""

    file: str
    sha256: str
    size: int
    options: dict[str, str] = {}


class ImageVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version: its items (the image, then what was derived from it), and who put it in, when.

    `findings` is what `judge` (`custom-images=0.1.0`) found in it; those that the operator has
    `accepted`, by their codes, are warnings. `made_from` is None for one that was put in as it is.
    """

    name: str
    items: tuple[Item, ...]
    at: datetime
    by: str
    judge: str = ""
    findings: tuple[Finding, ...] = ()
    accepted: tuple[str, ...] = ()
    made_from: MadeFrom | None = None

    @property
    def root(self) -> Item:
        """The item that is the image."""
        return self.items[0]

    @property
    def bytes(self) -> int:
        """The bytes of all of its files."""
        return sum(item.size for item in self.items)


class CustomImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image and its versions, the oldest first.

    `keep` is how many of them are held (0: as the settings say); `newest` is the greatest name that
    any version of it has ever had.
    """

    declaration: Declaration
    keep: int = 0
    newest: str = ""
    versions: tuple[ImageVersion, ...] = ()

    @property
    def product(self) -> str:
        """The name of its product."""
        return product_name(self.declaration)

    def version(self, name: str) -> ImageVersion:
        """Return a version by name, or raise `NotFound`."""
        for each in self.versions:
            if each.name == name:
                return each
        have = ", ".join(each.name for each in self.versions)
        raise NotFound(f"{self.declaration.name} has no version {name!r}; it has {have}")


def offered(image: CustomImage, keep: int) -> Product:
    """Return what is to be published of an image: the newest versions, `keep` or as it says."""
    held = image.versions[-(image.keep or keep) :]
    return product_of(image.declaration, tuple(Version(each.name, each.items) for each in held))


def as_before(wanted: Wanted, catalog: Catalog, *, licence_stays: bool = False) -> Wanted:
    """Return what is wanted, with what is not said of it as it was of the image so far.

    So a new version of an image that is not free is not free, either. Raises `LicenceFixed` where
    another licence is wanted, and that of the image stays.
    """
    image = find_image(catalog, product_name(declared(wanted)))
    if image is None:
        return wanted
    before = image.declaration
    if licence_stays and wanted.licence not in {None, before.licence}:
        raise LicenceFixed(
            f"{before.name} is {before.licence.value}, and this upload may not change that"
        )
    return msgspec.structs.replace(
        wanted,
        title=wanted.title or before.title,
        base_image=wanted.base_image or before.base_image,
        licence=before.licence if wanted.licence is None else wanted.licence,
    )


def all_images(catalog: Catalog) -> Iterator[CustomImage]:
    """Yield every image that has a version, by product name."""
    return (each for each in known_images(catalog) if each.versions)


def known_images(catalog: Catalog) -> Iterator[CustomImage]:
    """Yield every image that there ever was, by product name."""
    return (_read(each) for each in catalog.custom_images.all())


def find_image(catalog: Catalog, product: str) -> CustomImage | None:
    """Return an image, though it may have no version any more; None: there never was one."""
    document = catalog.custom_images.get(product)
    return _read(document) if document else None


def change_image(
    catalog: Catalog, product: str, change: Callable[[CustomImage | None], CustomImage]
) -> CustomImage:
    """Store what `change` makes of an image; nothing comes in between. Return it."""

    def rewrite(document: bytes) -> bytes:
        return msgspec.json.encode(change(_read(document) if document else None))

    return _read(catalog.custom_images.change(product, rewrite))


def store_image(catalog: Catalog, image: CustomImage) -> None:
    """Store an image in place of whatever is known of its product."""
    change_image(catalog, image.product, lambda _: image)


def with_version(
    image: CustomImage | None, declaration: Declaration, version: ImageVersion, keep: int
) -> CustomImage:
    """Return the image with one more version, and with those alone that are to be held of it."""
    image = image or CustomImage(declaration=declaration)
    held = (*image.versions, version)[-(image.keep or keep) :]
    return msgspec.structs.replace(
        image, declaration=declaration, newest=version.name, versions=held
    )


def without_version(image: CustomImage, name: str) -> CustomImage:
    """Return the image without a version ('': without any). Raises `NotFound`."""
    if name:
        image.version(name)
    held = tuple(each for each in image.versions if name and each.name != name)
    return msgspec.structs.replace(image, versions=held)


def _read(document: bytes) -> CustomImage:
    return msgspec.json.decode(document, type=CustomImage)
