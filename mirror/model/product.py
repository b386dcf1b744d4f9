"""Products, their versions and items: what a stream lists."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


Attributes = dict[str, Any]
"""Further keys of a product, version or item, as JSON values, as the boot source wrote them."""


class Kind(StrEnum):
    """What shape a product has. MAAS 3.7+ refuses a products file that mixes them."""

    BOOTLOADER = "bootloader"
    MULTI_FILE = "multi-file"
    SINGLE_FILE = "single-file"
    OTHER = "other"
    """No MAAS 3.7+ can parse it (a dd image, say): published in `index-all` only."""


CUSTOM_CONTENT_ID = "custom"
"""The content id of the products that are not a boot source's, but the operator's own images."""


class Licence(StrEnum):
    """Who may have an image. A product that has no attribute `licence` is free."""

    FREE = "free"
    SUBSCRIPTION = "subscription"
    """For those who subscribe (RHEL, SLES)."""
    PROPRIETARY = "proprietary"
    """Not to be passed on without its owner's leave (Windows, ESXi)."""


class Item(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One file of a version. `path` is relative to the base of the stream; `size` is in bytes.

    `derived`: a plugin made it from the others; no source has it.
    """

    name: str
    ftype: str
    path: str
    sha256: str
    size: int
    attributes: Attributes = {}
    derived: bool = False


class Version(msgspec.Struct, frozen=True, gc=False):
    """One build of a product. `name` sorts by time as a string: MAAS takes the greatest."""

    name: str
    items: tuple[Item, ...]
    attributes: Attributes = {}


class Product(msgspec.Struct, frozen=True, gc=False):
    """What a boot source offers under one name. `versions` are sorted by name, oldest first."""

    name: str
    content_id: str
    attributes: Attributes
    versions: tuple[Version, ...]

    @property
    def os(self) -> str:
        """The operating system, as MAAS names it (`ubuntu`, `centos`, `grub-efi-signed`)."""
        return str(self.attributes.get("os", ""))

    @property
    def release(self) -> str:
        """The release (`noble`, `centos70`); empty for a bootloader."""
        return str(self.attributes.get("release", ""))

    @property
    def arch(self) -> str:
        """Debian's name of the architecture (`amd64`)."""
        return str(self.attributes.get("arch", ""))

    @property
    def is_custom(self) -> bool:
        """Whether it is an image that an operator put in: here, or on the mirror that has it.

        A stream with several kinds of them has a content id for each: `custom:single-file`.
        """
        return self.content_id.partition(":")[0] == CUSTOM_CONTENT_ID

    @property
    def licence(self) -> Licence:
        """Who may have it; what is not known is as good as proprietary."""
        said = self.attributes.get("licence", Licence.FREE)
        return Licence(said) if said in tuple(Licence) else Licence.PROPRIETARY


def flatten(product: Product, version: Version, item: Item) -> Mapping[str, Any]:
    """Return every attribute that a simplestreams filter can name, the innermost level winning."""
    return {
        "content_id": product.content_id,
        **product.attributes,
        **version.attributes,
        **item.attributes,
        "ftype": item.ftype,
        "path": item.path,
        "sha256": item.sha256,
        "size": item.size,
        "product_name": product.name,
        "version_name": version.name,
        "item_name": item.name,
    }
