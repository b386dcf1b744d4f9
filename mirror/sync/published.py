"""The products of a snapshot, read back from its own metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.errors import BlobMissing, SnapshotInvalid, StreamError
from mirror.model import Kind, Product
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.read import parse_products
from mirror.sync.plan import Planned

if TYPE_CHECKING:
    from mirror.model import Snapshot
    from mirror.store.blobs import Blobs

_INDEXES = frozenset({"streams/v1/index.json", "streams/v1/index-all.json"})

_OWN_LIMITS = Limits(products_bytes=1 << 30, items=1 << 30)
"""What we wrote ourselves may be the sum of several sources."""


def is_metadata(path: str) -> bool:
    """Say whether a published path is one of the stream's metadata files."""
    return path.startswith("streams/")


def published_products(snapshot: Snapshot, blobs: Blobs) -> dict[str, Planned]:
    """Return the snapshot's products by name, each with the boot source it came from.

    Raises `BlobMissing` or `SnapshotInvalid` when the snapshot's metadata is not what it was.
    """
    found: dict[str, Planned] = {}
    for path in sorted(snapshot.files):
        if not is_metadata(path) or not path.endswith(".json") or path in _INDEXES:
            continue
        for product in _read(path, snapshot, blobs):
            source = _source(product, snapshot)
            found[product.name] = Planned(product=_with_own_content_id(product), source=source)
    return found


def _read(path: str, snapshot: Snapshot, blobs: Blobs) -> tuple[Product, ...]:
    ref = snapshot.files[path]
    try:
        data = blobs.path(ref.sha256).read_bytes()
        return parse_products(data, _OWN_LIMITS).products
    except FileNotFoundError:
        raise BlobMissing(f"{path} of the published snapshot is gone from the store") from None
    except StreamError as error:
        raise SnapshotInvalid(f"{path} of the published snapshot is damaged: {error}") from error


def _source(product: Product, snapshot: Snapshot) -> str:
    for version in reversed(product.versions):
        for item in version.items:
            if item.path in snapshot.files:
                return snapshot.files[item.path].source
    return ""


def _with_own_content_id(product: Product) -> Product:
    """Take off the kind that the writer appends where a content id holds several."""
    own, _, kind = product.content_id.rpartition(":")
    if kind not in set(Kind):
        return product
    return msgspec.structs.replace(product, content_id=own)
