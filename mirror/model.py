"""The nouns of the mirror, as frozen values.

A *product* (one os/release/arch/kernel) has *versions*; a version has *items* (files). A *boot
source* offers products, a *selection* chooses among them. A *snapshot* names every published path
and the blob behind it; a *channel* points at one snapshot.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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


class Item(msgspec.Struct, frozen=True, gc=False):
    """One file of a version. `path` is relative to the base of the stream; `size` is in bytes."""

    name: str
    ftype: str
    path: str
    sha256: str
    size: int
    attributes: Attributes = {}


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


class BootSource(msgspec.Struct, frozen=True):
    """Where images come from.

    `url` is the base of the stream, or the address of one index file. `keyring` is the path of a
    binary or armored OpenPGP keyring; `fingerprints` narrows it to those primary keys or subkeys
    (empty: any key of the keyring). `trust` is `signed`, or `none` for an unsigned source.
    `bandwidth` is in bytes per second (0: no limit).
    """

    name: str
    url: str
    keyring: str = ""
    fingerprints: tuple[str, ...] = ()
    trust: str = "signed"
    priority: int = 0
    enabled: bool = True
    proxy: str = ""
    ca_file: str = ""
    username: str = ""
    password_file: str = ""
    bandwidth: int = 0
    max_staleness: timedelta = timedelta(days=7)


class Selection(msgspec.Struct, frozen=True):
    """What to take: the products that pass every filter, of `source` (empty: of any source).

    `filters` are simplestreams filters (`release~(jammy|noble)`); `keep` is how many versions of
    each product to hold, newest first.
    """

    id: int
    filters: tuple[str, ...]
    source: str = ""
    keep: int = 2


class FileRef(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The blob behind a published path, and the boot source it came from ('' for our own files)."""

    sha256: str
    size: int
    source: str = ""


class SourceState(msgspec.Struct, frozen=True):
    """What a snapshot took from one boot source: which stream, as of when.

    `updated` is the stream's own time (ISO 8601); `files` are the signed metadata files as they
    were received, by their path at the source: the evidence for every digest in the snapshot.
    """

    url: str
    updated: str
    fingerprint: str
    files: dict[str, FileRef]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Every published path and the blob behind it, at one time.

    `variants` holds compressed forms of metadata files: path -> content coding -> blob. `products`
    is the blob that lists the products for the next sync; clients read the stream.
    `notes` says what a person should know about a product (`vanished upstream`), by product name.
    """

    format: str = "snapshot:1"
    created: datetime
    updated: datetime
    """The `updated` of every published metadata file: strictly increasing, whole seconds."""
    parent: str = ""
    sources: dict[str, SourceState] = {}
    files: dict[str, FileRef]
    variants: dict[str, dict[str, FileRef]] = {}
    products: FileRef | None = None
    notes: dict[str, list[str]] = {}


class Severity(StrEnum):
    """How bad a finding is. An `error` quarantines the version that has it."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(msgspec.Struct, frozen=True):
    """Something a check found: a stable `code`, `where` (path, product, item), and what it is."""

    severity: Severity
    code: str
    where: str
    message: str


class Switch(msgspec.Struct, frozen=True):
    """One entry of a channel's history: it was pointed at `snapshot` at `at`, because `reason`."""

    at: datetime
    snapshot: str
    previous: str
    reason: str


def utcnow() -> datetime:
    """Return the time, aware, to the second: no finer time is published anywhere."""
    return datetime.now(UTC).replace(microsecond=0)


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
